// User ring buffers: what programs read is what was written, in order.

import { expect, it } from "vitest";
import { ArgumentError, BpfObject, StateError, UserRingBuffer, ValueError } from "../../src/index.js";
import { fixturePath, openDescriptors, runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

interface Command {
  number: bigint;
  kind: number;
  text: string;
}

const noEdit = (): void => {};

/** Runs the program, which reads all; how many records it read. */
const drain = (obj: BpfObject): number => runFilter(obj, "drain");
/** What the program has read since it was loaded. */
const numbers = (obj: BpfObject): bigint[] => [...(obj.bss.numbers as bigint[])].slice(0, obj.bss.taken as number);
const upTo = (count: number): bigint[] => Array.from({ length: count }, (_, i) => BigInt(i));
/** The number as 8 bytes. */
const eight = (number: number): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(number)).buffer);

async function withRing(
  body: (ring: UserRingBuffer<Command>, obj: BpfObject) => void | Promise<void>,
  type: string | undefined = "command",
): Promise<void> {
  await withLoaded("user_ring", noEdit, async (obj) => {
    const ring = new UserRingBuffer<Command>(obj.map("commands"), { type });
    try {
      await body(ring, obj);
    } finally {
      ring.close();
    }
  });
}

async function withBytes(body: (ring: UserRingBuffer<Uint8Array>, obj: BpfObject) => void | Promise<void>) {
  await withLoaded("user_ring", noEdit, async (obj) => {
    const ring = new UserRingBuffer<Uint8Array>(obj.map("commands"));
    try {
      await body(ring, obj);
    } finally {
      ring.close();
    }
  });
}

kernelDescribe("a user ring buffer", { needs: ["user_ringbuf", "array_mmap"] }, () => {
  it("gives values to programs", async () => {
    await withRing((ring, obj) => {
      expect(ring.submit({ number: 7n, kind: 1, text: "first" })).toBe(true);
      expect(ring.submit({ number: 8, text: "elevenchars!" })).toBe(true);
      expect(ring.pendingBytes).toBe(64);
      expect(drain(obj)).toBe(2);
      expect(ring.pendingBytes).toBe(0);
      expect(numbers(obj)).toEqual([7n, 8n]);
      expect([...(obj.bss.last as Uint8Array)].slice(0, 2)).toEqual([0, "!".charCodeAt(0)]);
      expect(drain(obj)).toBe(0);
    });
  });

  it("loses nothing when it wraps around, with records of all lengths, and says when it is full", async () => {
    await withBytes((ring, obj) => {
      let next = 0;
      const lasts: number[] = [];
      // 1024 is what the program notes.
      while (next < 1000) {
        const record = new Uint8Array(8 + (next % 50));
        record.set(eight(next));
        record[record.length - 1] = next % 50 === 0 ? record[7]! : (next % 250) + 1;
        if (ring.submit(record)) {
          lasts.push(record[record.length - 1]!);
          next++;
        } else {
          expect(ring.pendingBytes).toBeGreaterThan(4096 - 72);
          expect(drain(obj)).toBeGreaterThan(50);
        }
      }
      drain(obj);
      expect(numbers(obj)).toEqual(upTo(1000));
      expect([...(obj.bss.last as Uint8Array)].slice(0, 1000)).toEqual(lasts);
    });
  });

  it("fills records in place, or drops them", async () => {
    await withBytes((ring, obj) => {
      const [first, second, third] = [ring.reserve(8)!, ring.reserve(16)!, ring.reserve(8)!];
      third.bytes.set(eight(3));
      third.submit();
      expect(drain(obj)).toBe(0);
      first.bytes.set(eight(1));
      first.submit();
      expect(drain(obj)).toBe(1);
      {
        using dropped = second;
        dropped.bytes.set(eight(2));
      }
      second.discard();
      expect(() => second.submit()).toThrow(StateError);
      expect(() => first.bytes).toThrow("the record was submitted or discarded already");
      expect(drain(obj)).toBe(1);
      expect(numbers(obj)).toEqual([1n, 3n]);
      const whole = ring.reserve(4088)!;
      expect(ring.reserve(0)).toBeUndefined();
      whole.discard();
      drain(obj);
      expect(ring.pendingBytes).toBe(0);
    });
  });

  it("sends as soon as there is room, in order, and nothing overtakes", async () => {
    await withBytes(async (ring, obj) => {
      const done: number[] = [];
      const sends = Array.from({ length: 600 }, async (_, i) => {
        await ring.send(eight(i));
        done.push(i);
      });
      await new Promise((resolve) => setTimeout(resolve, 20));
      // 16 bytes each in 4096.
      expect(done.length).toBe(256);
      expect([ring.submit(eight(9999)), ring.reserve(8), ring.submitBlocking(eight(9999), 5)]).toEqual([
        false,
        undefined,
        false,
      ]);
      const stop = new AbortController();
      const aborted = ring.send(eight(9999), { signal: stop.signal });
      stop.abort(new Error("not any more"));
      await expect(aborted).rejects.toThrow("not any more");
      await expect(ring.send(eight(9999), { signal: stop.signal })).rejects.toThrow("not any more");
      const drainer = setInterval(() => drain(obj), 5);
      try {
        await Promise.all(sends);
      } finally {
        clearInterval(drainer);
      }
      drain(obj);
      expect(done).toEqual(Array.from({ length: 600 }, (_, i) => i));
      expect(numbers(obj)).toEqual(upTo(600));
    });
  });

  it("rests while it waits for room", async () => {
    await withBytes(async (ring, obj) => {
      while (ring.submit(eight(0)));
      drain(obj);
      // Room, but not for this one: an event that is told as long as there is some would spin.
      ring.submit(eight(0));
      const waiting = ring.send(new Uint8Array(4080));
      const before = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, 300));
      const { user, system } = process.cpuUsage(before);
      expect(user + system).toBeLessThan(150_000);
      drain(obj);
      await waiting;
      expect(drain(obj)).toBe(1);
    });
  });

  it("waits for room when told to, no longer than it is told", async () => {
    await withBytes((ring, obj) => {
      expect(ring.submitBlocking(eight(0), 0)).toBe(true);
      while (ring.submit(eight(1)));
      const start = performance.now();
      expect(ring.submitBlocking(eight(2), 60)).toBe(false);
      expect(performance.now() - start).toBeGreaterThanOrEqual(59);
      drain(obj);
      expect(ring.submitBlocking(eight(3), -1)).toBe(true);
      expect(drain(obj)).toBe(1);
      for (const wrong of [1.5, -2, Number.NaN, 2 ** 40]) {
        expect(() => ring.submitBlocking(eight(0), wrong)).toThrow(/whole milliseconds/);
      }
    });
  });

  it("refuses what waits when it is closed, and leaves nothing behind", async () => {
    const before = openDescriptors();
    await withBytes(async (ring, obj) => {
      const reserved = ring.reserve(8)!;
      while (ring.submit(eight(0)));
      const waiting = ring.send(eight(1));
      expect(drain(obj)).toBe(0);
      ring.close();
      ring.close();
      await expect(waiting).rejects.toThrow("the user ring buffer was used after close()");
      reserved.submit();
      expect(() => ring.submit(eight(1))).toThrow(StateError);
      await expect(ring.send(eight(1))).rejects.toThrow(StateError);
    });
    expect(openDescriptors()).toBe(before);
  });

  it("says what is wrong with its arguments, and writes nothing then", async () => {
    const unloaded = BpfObject.open(fixturePath("user_ring"));
    expect(() => new UserRingBuffer(unloaded.map("commands"))).toThrow(/the map is not loaded yet/);
    await withRing(async (ring, obj) => {
      expect(() => new UserRingBuffer(obj.map("commands"), { type: "comand" })).toThrow(/did you mean command/);
      expect(() => new UserRingBuffer(obj.map(".bss"))).toThrow(/of type user_ringbuf; this one is of type array/);
      expect(() => ring.submit({ number: 1n, kind: -1, text: "" })).toThrow(ValueError);
      await expect(ring.send({ number: 1n, kind: 1, text: "more than twelve" })).rejects.toThrow(ValueError);
      expect(ring.pendingBytes).toBe(0);
    });
    await withBytes((ring) => {
      expect(() => ring.submit("text" as unknown as Uint8Array)).toThrow(/without a type, records are Uint8Arrays/);
      expect(() => ring.submit(new Uint8Array(4089))).toThrow(/up to 4088 bytes, not 4089/);
      for (const length of [-1, 1.5, 4089, Number.NaN]) expect(() => ring.reserve(length)).toThrow(ArgumentError);
      expect(ring.pendingBytes).toBe(0);
    });
  });
});
