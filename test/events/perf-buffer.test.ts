// Perf buffers: events of every CPU, read in every way there is.

import { readFile } from "node:fs";
import { expect, it } from "vitest";
import { BpfObject, PerfBuffer, type PerfBufferOptions, StateError } from "../../src/index.js";
import { onlineCpus } from "../../src/syscall/index.js";
import { eventually, fixturePath, openDescriptors, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

interface Sample {
  number: bigint;
  cpu: number;
  size: number;
}

const cpus = onlineCpus();
const last = cpus.at(-1)!;
const noEdit = (): void => {};

/** Has the program write events on one CPU. @param size of each; 0: of all sizes */
function emit(obj: BpfObject, count: number, { cpu = 0, size = 60 } = {}): void {
  Object.assign(obj.data, { count, size });
  expect(obj.program("emit").testRun({ context: new Uint8Array(8), cpu }).returnValue).toBe(0);
}

async function withBuffer(
  options: PerfBufferOptions,
  body: (buffer: PerfBuffer<Sample>, obj: BpfObject) => void | Promise<void>,
): Promise<void> {
  await withLoaded("perf", noEdit, async (obj) => {
    const buffer = new PerfBuffer<Sample>(obj.map("samples"), { type: "sample", ...options });
    try {
      await body(buffer, obj);
    } finally {
      buffer.close();
    }
  });
}

const numbers = (events: readonly Sample[]): bigint[] => events.map(({ number }) => number);
const upTo = (count: number, from = 0): bigint[] => Array.from({ length: count }, (_, i) => BigInt(from + i));

kernelDescribe("a perf buffer", { needs: ["array_mmap"] }, () => {
  it("has the events of each CPU, with the CPU", async () => {
    await withBuffer({}, (buffer, obj) => {
      expect(buffer.cpus).toEqual(cpus);
      for (const cpu of cpus) emit(obj, 3, { cpu });
      const seen: [bigint, number, number][] = [];
      expect(buffer.consume((event, cpu) => seen.push([event.number, event.cpu, cpu]))).toBe(3 * cpus.length);
      expect(seen.toSorted((a, b) => Number(a[0] - b[0]))).toEqual(
        cpus.flatMap((cpu, index) => upTo(3, index * 3).map((number) => [number, cpu, cpu])),
      );
      expect(buffer.consume()).toEqual([]);
      expect([buffer.availableBytes, buffer.lost, obj.bss.refused]).toEqual([0, 0, 0n]);
    });
  });

  it("puts events of all sizes together that wrap around", async () => {
    await withBuffer({ pages: 1 }, (buffer, obj) => {
      let next = 0;
      for (let round = 0; round < 200; round++) {
        emit(obj, 37, { cpu: last, size: 0 });
        const events = buffer.consume();
        expect(numbers(events)).toEqual(upTo(37, next));
        for (const [index, { size, cpu }] of events.entries()) expect([size, cpu]).toEqual([16 + index, last]);
        next += 37;
      }
    });
  });

  it("gives events by for await and by callback, without blocking the event loop", async () => {
    await withBuffer({}, async (buffer, obj) => {
      setTimeout(() => emit(obj, 5, { cpu: last }), 20);
      const seen: bigint[] = [];
      for await (const { number } of buffer) {
        seen.push(number);
        if (seen.length === 3) break;
      }
      const cpusSeen: number[] = [];
      const off = buffer.on(({ number }, cpu) => {
        seen.push(number);
        cpusSeen.push(cpu);
      });
      expect(() => buffer.on(() => {})).toThrow(/on\(\) is already reading this perf buffer/);
      expect(await eventually(() => seen.length === 5)).toBe(true);
      setTimeout(() => emit(obj, 2, { cpu: 0 }), 20);
      expect(await eventually(() => seen.length === 7)).toBe(true);
      off();
      emit(obj, 1);
      expect(numbers(buffer.consume())).toEqual([7n]);
      expect(seen).toEqual(upTo(7));
      expect(cpusSeen).toEqual([last, last, 0, 0]);
    });
  });

  /** Turns of the event loop: what they begin in, and what they go on after. */
  const turns: Readonly<Record<string, (then: () => void) => unknown>> = {
    "at once": (then) => then(),
    "a promise": (then) => Promise.resolve().then(then),
    "an immediate": (then) => setImmediate(then),
    "a timer": (then) => setTimeout(then, 1),
    "a file": (then) => readFile("/dev/null", then),
  };

  it.each(Object.keys(turns))("sees what is written before the event loop watches: begun in %s", async (begun) => {
    await withBuffer({}, async (buffer, obj) => {
      let written = 0n;
      for (const after of Object.values(turns)) {
        await new Promise<void>((resolve) => turns[begun]!(resolve));
        const iteration = buffer.events();
        const next = iteration.next();
        after(() => emit(obj, 1, { cpu: last }));
        expect((await next).value?.number).toBe(written++);
        await iteration.return();
        await new Promise<void>((resolve) => turns[begun]!(resolve));
        const seen: bigint[] = [];
        const off = buffer.on(({ number }) => seen.push(number));
        after(() => emit(obj, 1, { cpu: 0 }));
        expect(await eventually(() => seen.length > 0)).toBe(true);
        expect(seen).toEqual([written++]);
        off();
      }
    });
  });

  it("goes on from the event loop with what one lot left, and after a handler that throws", async () => {
    await withBuffer({ pages: 256 }, async (buffer, obj) => {
      for (let i = 0; i < 4; i++) emit(obj, 1024);
      const seen: bigint[] = [];
      const thrown: unknown[] = [];
      const listeners = process.listeners("uncaughtException");
      process.removeAllListeners("uncaughtException");
      process.on("uncaughtException", (error) => thrown.push(error));
      try {
        buffer.on(({ number }) => {
          seen.push(number);
          if (number === 1500n) throw new Error("from the handler");
        });
        expect(await eventually(() => seen.length === 4096)).toBe(true);
        expect(seen).toEqual(upTo(4096));
        expect(thrown).toEqual([new Error("from the handler")]);
      } finally {
        process.removeAllListeners("uncaughtException");
        for (const listener of listeners) process.on("uncaughtException", listener);
      }
    });
  });

  it("gives nothing more to a callback that was told to stop, not even by itself", async () => {
    await withBuffer({}, async (buffer, obj) => {
      for (const cpu of cpus) emit(obj, 4, { cpu });
      const seen: bigint[] = [];
      const off = buffer.on(({ number }) => {
        seen.push(number);
        if (seen.length === 2) off();
      });
      expect(await eventually(() => seen.length === 2)).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(seen.length).toBe(2);
      expect([...seen, ...numbers(buffer.consume())].toSorted((a, b) => Number(a - b))).toEqual(upTo(4 * cpus.length));
    });
  });

  it("is polled, also for what wakes nobody yet", async () => {
    await withBuffer({ wakeupEvents: 10 }, (buffer, obj) => {
      expect(buffer.poll(0)).toEqual([]);
      emit(obj, 25);
      expect(numbers(buffer.poll(-1))).toEqual(upTo(25));
      emit(obj, 1);
      const start = performance.now();
      expect(numbers(buffer.poll(10_000))).toEqual([25n]);
      expect(performance.now() - start).toBeLessThan(5000);
      expect(buffer.poll(10, () => expect.fail("there is nothing"))).toBe(0);
    });
  });

  it("counts what the kernel had no room for, and tells it where it is missing", async () => {
    const lost: [number, number][] = [];
    await withBuffer({ pages: 1, onLost: (count, cpu) => lost.push([count, cpu]) }, (buffer, obj) => {
      emit(obj, 100, { cpu: last });
      const refused = Number(obj.bss.refused);
      expect(refused).toBeGreaterThan(20);
      expect(numbers(buffer.consume())).toEqual(upTo(100 - refused));
      expect([buffer.lost, lost]).toEqual([0, []]);
      // The kernel tells of it with the next event that it has room for.
      emit(obj, 1, { cpu: last });
      expect(numbers(buffer.consume())).toEqual([100n]);
      expect([buffer.lost, lost]).toEqual([refused, [[refused, last]]]);
    });
  });

  it("gives bytes without a type, padded by the kernel", async () => {
    await withLoaded("perf", noEdit, (obj) => {
      using buffer = new PerfBuffer<Uint8Array>(obj.map("samples"));
      emit(obj, 48, { size: 0 });
      const events = buffer.consume();
      expect(events.map((bytes) => bytes.length)).toEqual(
        Array.from({ length: 48 }, (_, i) => Math.ceil((16 + i + 4) / 8) * 8 - 4),
      );
      expect(new DataView(events[47]!.buffer).getUint32(12, true)).toBe(63);
    });
  });

  it("takes its events out of the map, and leaves nothing behind", async () => {
    await withLoaded("perf", noEdit, (obj) => {
      const before = openDescriptors();
      for (let round = 0; round < 20; round++) {
        const buffer = new PerfBuffer(obj.map("samples"), { type: "sample", pages: 2 });
        emit(obj, 2);
        expect(buffer.consume().length).toBe(2);
        buffer.close();
        buffer.close();
        expect(() => buffer.poll(0)).toThrow(StateError);
        expect(() => buffer.availableBytes).toThrow("the perf buffer was used after close()");
      }
      expect(openDescriptors()).toBe(before);
      emit(obj, 3);
      expect(obj.bss.refused).toBe(3n);
    });
  });

  it("outlives its object", () => {
    const obj = BpfObject.open(fixturePath("perf"));
    obj.loadSync();
    const buffer = new PerfBuffer<Sample>(obj.map("samples"), { type: "sample" });
    emit(obj, 2);
    obj.close();
    expect(numbers(buffer.consume())).toEqual([0n, 1n]);
    buffer.close();
  });

  it("says what is wrong with its arguments", async () => {
    const unloaded = BpfObject.open(fixturePath("perf"));
    expect(() => new PerfBuffer(unloaded.map("samples"))).toThrow(/the map is not loaded yet/);
    await withLoaded("perf", noEdit, (obj) => {
      const map = obj.map("samples");
      const before = openDescriptors();
      for (const pages of [0, 3, 1.5, -4, 2 ** 30, "8" as unknown as number]) {
        expect(() => new PerfBuffer(map, { pages })).toThrow(/pages of a perf buffer are a power of two/);
      }
      for (const wakeupEvents of [0, 0.5, 2 ** 32]) {
        expect(() => new PerfBuffer(map, { wakeupEvents })).toThrow(/wakeupEvents is a whole number/);
      }
      expect(() => new PerfBuffer(map, { type: "smple" })).toThrow(/no type smple; did you mean sample/);
      expect(() => new PerfBuffer(obj.map(".bss"))).toThrow(
        /reads maps of type perf_event_array; this one is of type array/,
      );
      expect(openDescriptors()).toBe(before);
    });
  });
});
