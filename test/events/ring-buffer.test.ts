// Ring buffers: events from programs that run, read in every way there is.

import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { BpfObject, RingBuffer, StateError } from "../../src/index.js";
import { eventually, fixturePath, openDescriptors, runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

interface ExecEvent {
  pid: number;
  comm: string;
}

const noEdit = (): void => {};

/** Opens `events`, loads, attaches, makes a ring, closes both after `body`. */
async function withRing(body: (ring: RingBuffer<ExecEvent>, obj: BpfObject) => void | Promise<void>): Promise<void> {
  const obj = BpfObject.open(fixturePath("events"));
  try {
    obj.loadSync();
    obj.attach();
    const ring = new RingBuffer<ExecEvent>(obj.map("events"), { type: "event" });
    try {
      await body(ring, obj);
    } finally {
      ring.close();
    }
  } finally {
    obj.close();
  }
}

/** Runs /bin/true and returns its pid. */
function execTrue(): number {
  const { pid, status } = spawnSync("/bin/true");
  expect(status).toBe(0);
  return pid;
}

kernelDescribe("a ring buffer", { needs: ["tracepoint", "ringbuf", "array_mmap"] }, () => {
  it("is read by for await without blocking the event loop", async () => {
    await withRing(async (ring) => {
      // The awaited event is made by a timer, several turns of the loop after the wait began: an iteration that holds
      // the loop never sees it.
      const wanted = 5;
      let [ticks, pid] = [0, -1];
      const ticker = setInterval(() => {
        if (++ticks === wanted) pid = execTrue();
      }, 5);
      const found: ExecEvent[] = [];
      try {
        for await (const event of ring) {
          if (pid === -1 || event.pid !== pid) continue;
          found.push(event);
          break;
        }
      } finally {
        clearInterval(ticker);
      }
      expect(found).toEqual([{ pid, comm: "true" }]);
      expect(ticks).toBeGreaterThanOrEqual(wanted);
      // And once more after the first iteration was left.
      const second = execTrue();
      for await (const event of ring.events()) if (event.pid === second) break;
    });
  });

  it("is polled", async () => {
    await withRing((ring) => {
      ring.poll(0);
      const pid = execTrue();
      expect(ring.poll(1000)).toContainEqual({ pid, comm: "true" });
      const seen: number[] = [];
      const second = execTrue();
      expect(ring.poll(1000, (event) => seen.push(event.pid))).toBe(seen.length);
      expect(seen).toContain(second);
      for (const wrong of [1.5, -2, Number.NaN, 2 ** 40]) expect(() => ring.poll(wrong)).toThrow(/whole milliseconds/);
    });
  });

  it("waits as long as it is told when nothing comes", async () => {
    await withLoaded("events", noEdit, (obj) => {
      const ring = new RingBuffer(obj.map("events"), { type: "struct event" });
      const start = performance.now();
      expect(ring.poll(100)).toEqual([]);
      expect(performance.now() - start).toBeGreaterThanOrEqual(95);
      expect(ring.consume()).toEqual([]);
      ring.close();
    });
  });

  it("calls back from the event loop until told to stop", async () => {
    await withRing(async (ring) => {
      const seen: number[] = [];
      const off = ring.on((event) => seen.push(event.pid));
      const pid = execTrue();
      expect(await eventually(() => seen.includes(pid))).toBe(true);
      expect(() => ring.on(() => {})).toThrow(/on\(\) is already reading this ring buffer/);
      off();
      off();
      const later = execTrue();
      await new Promise((done) => setTimeout(done, 100));
      expect(seen).not.toContain(later);
      expect(ring.consume().map((event) => event.pid)).toContain(later);
    });
  });

  it("gives nothing more to a callback that has told it to stop", async () => {
    await withLoaded("maps", noEdit, async (obj) => {
      using ring = new RingBuffer<Uint8Array>(obj.map("ring"));
      const number = (bytes: Uint8Array): number => new DataView(bytes.buffer).getUint32(0, true);
      for (let i = 0; i < 10; i++) runFilter(obj, "touch_maps");
      // What an iteration leaves over is decoded already, the rest is not.
      for (const found of [0, 1]) {
        if (found === 1) for await (const _ of ring) break;
        for (let i = 0; i < 5; i++) runFilter(obj, "touch_maps");
        const seen: unknown[][] = [];
        const off = ring.on((...given) => {
          seen.push(given);
          if (seen.length === 2) off();
        });
        expect(await eventually(() => seen.length === 2)).toBe(true);
        await new Promise((resolve) => setTimeout(resolve, 50));
        expect(seen.map(({ length }) => length)).toEqual([1, 1]);
      }
      expect(ring.consume().map(number)).toEqual(Array.from({ length: 15 }, (_, i) => 6 + i));
    });
  });

  it("ends iterations by abort and by close", async () => {
    await withRing(async (ring) => {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 50);
      for await (const _ of ring.events({ signal: stop.signal })) {
        // other processes' events
      }
      for await (const _ of ring.events({ signal: AbortSignal.abort() })) expect.fail("aborted before it began");
      setTimeout(() => ring.close(), 50);
      for await (const _ of ring) {
        // until closed
      }
      expect(() => ring.poll(0)).toThrow(StateError);
      await expect(ring.events().next()).rejects.toThrow(/used after close\(\)/);
    });
  });

  it("loses nothing when it wraps around, and nothing when an iteration ends early", async () => {
    await withLoaded("maps", noEdit, async (obj) => {
      const ring = new RingBuffer<Uint8Array>(obj.map("ring"));
      try {
        const number = (bytes: Uint8Array): number => new DataView(bytes.buffer).getUint32(0, true);
        let next = 1;
        // 16 bytes a record in 64 KiB: several times around, in uneven pieces.
        for (let round = 0; round < 12; round++) {
          const count = 1000 + round * 250;
          for (let i = 0; i < count; i++) runFilter(obj, "touch_maps");
          expect(ring.availableBytes).toBe(count * 16);
          const records = ring.consume();
          expect(records.map(number)).toEqual(Array.from({ length: count }, () => next++));
          expect(records[0]?.length).toBe(4);
        }
        for (let i = 0; i < 3000; i++) runFilter(obj, "touch_maps");
        const seen: number[] = [];
        while (seen.length < 3000) {
          for await (const record of ring) {
            seen.push(number(record));
            if (seen.length % 700 === 0 || seen.length === 3000) break;
          }
        }
        expect(seen).toEqual(Array.from({ length: 3000 }, () => next++));
      } finally {
        ring.close();
      }
    });
  });

  it("lets timers run during a flood", async () => {
    await withLoaded("maps", noEdit, async (obj) => {
      const ring = new RingBuffer<Uint8Array>(obj.map("ring"));
      try {
        let ticks = 0;
        const ticker = setInterval(() => ticks++, 1);
        let seen = 0;
        // The loop body itself makes the next event: there is always one more.
        runFilter(obj, "touch_maps");
        for await (const _ of ring) {
          runFilter(obj, "touch_maps");
          if (++seen === 20_000) break;
        }
        clearInterval(ticker);
        expect(seen).toBe(20_000);
        expect(ticks).toBeGreaterThan(0);
      } finally {
        ring.close();
      }
    });
  });

  it("survives a handler that throws or closes it", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const ring = new RingBuffer<Uint8Array>(obj.map("ring"));
      for (let i = 0; i < 5; i++) runFilter(obj, "touch_maps");
      expect(() =>
        ring.consume(() => {
          throw new Error("from the handler");
        }),
      ).toThrow("from the handler");
      // The faulty one counts as delivered.
      expect(ring.consume().length).toBe(4);
      for (let i = 0; i < 5; i++) runFilter(obj, "touch_maps");
      let calls = 0;
      expect(
        ring.consume(() => {
          calls++;
          ring.close();
        }),
      ).toBe(1);
      expect(calls).toBe(1);
    });
  });

  it("takes turns with another reader of the same ring: each record is delivered once", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const rings = [0, 1].map(() => new RingBuffer<Uint8Array>(obj.map("ring")));
      try {
        const seen: number[] = [];
        const note = (bytes: Uint8Array): unknown => seen.push(new DataView(bytes.buffer).getUint32(0, true));
        // Twice around the 64 KiB, so that what the other one has passed is overwritten.
        for (let round = 0; round < 12; round++) {
          for (let i = 0; i < 1000; i++) runFilter(obj, "touch_maps");
          const [ring, other] = round % 3 === 0 ? [rings[0]!, rings[1]!] : [rings[1]!, rings[0]!];
          expect(other.availableBytes).toBe(16_000);
          expect(ring.consume(note)).toBe(1000);
          expect(other.availableBytes).toBe(0);
          expect(other.consume()).toEqual([]);
        }
        expect(seen).toEqual(Array.from({ length: 12_000 }, (_, i) => i + 1));
      } finally {
        for (const ring of rings) ring.close();
      }
    });
  });

  it("refuses to be read by the handler of one of its records", async () => {
    await withLoaded("maps", noEdit, (obj) => {
      const ring = new RingBuffer<Uint8Array>(obj.map("ring"));
      try {
        for (let i = 0; i < 3; i++) runFilter(obj, "touch_maps");
        const read = (): unknown => ring.consume(() => ring.consume());
        expect(read).toThrow(StateError);
        expect(read).toThrow(/cannot read from the ring buffer whose record it is given/);
        expect(ring.consume().length).toBe(1);
      } finally {
        ring.close();
      }
    });
  });

  it("outlives its object and leaves nothing behind", async () => {
    const before = openDescriptors();
    for (let round = 0; round < 20; round++) {
      const obj = BpfObject.open(fixturePath("maps"));
      obj.loadSync();
      const ring = new RingBuffer<Uint8Array>(obj.map("ring"));
      runFilter(obj, "touch_maps");
      obj.close();
      expect(ring.consume().length).toBe(1);
      ring.close();
      ring.close();
    }
    expect(openDescriptors()).toBe(before);
  });

  it("says what is wrong with its arguments", async () => {
    const unloaded = BpfObject.open(fixturePath("events"));
    expect(() => new RingBuffer(unloaded.map("events"))).toThrow(/the map is not loaded yet/);
    await withLoaded("events", noEdit, (obj) => {
      expect(() => new RingBuffer(obj.map("events"), { type: "evnt" })).toThrow(
        /no type evnt; did you mean event\?.*const struct evnt \*unused/,
      );
      expect(() => new RingBuffer(obj.map(".bss"))).toThrow(/reads maps of type ringbuf; this one is of type array/);
    });
    await withLoaded("maps", noEdit, (obj) => {
      const ring = new RingBuffer(obj.map("ring"), { type: "traffic" });
      runFilter(obj, "touch_maps");
      expect(() => ring.consume()).toThrow(/a record of 4 bytes is shorter than its type \(32 bytes\)/);
      expect(ring.consume()).toEqual([]);
      ring.close();
    });
  });

  it("rounds its size up as the kernel wants it", async () => {
    await withLoaded(
      "maps",
      (obj) => {
        obj.map("ring").maxEntries = 100_000;
      },
      (obj) => {
        expect(obj.map("ring").maxEntries).toBe(131_072);
        runFilter(obj, "touch_maps");
      },
    );
  });
});
