// Iteration over maps, also while they change.

import { expect, it } from "vitest";
import type { BpfMap, BpfObject } from "../../src/index.js";
import { walk } from "../../src/map/walk.js";
import { withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

const COUNT = 5000;

function largeFlows(obj: BpfObject): void {
  obj.map("flows").maxEntries = 20_000;
}

const key = (source: number) => ({ source, target: 0, port: 0, protocol: 0, padding: 0 });

function fill(map: BpfMap): void {
  for (let i = 0; i < COUNT; i++) map.set(key(i), { packets: BigInt(i) });
}

const sources = (map: BpfMap): number[] => [...map.keys()].map((each) => (each as { source: number }).source);

kernelDescribe("iteration", { needs: ["socket_filter", "ringbuf"] }, () => {
  it("gives every element once", async () => {
    await withLoaded("maps", largeFlows, (obj) => {
      const flows = obj.map("flows");
      expect([...flows]).toEqual([]);
      fill(flows);
      const seen = sources(flows);
      expect(seen.length).toBe(COUNT);
      expect(new Set(seen).size).toBe(COUNT);
      for (const [{ source }, { packets }] of flows as unknown as Iterable<[{ source: number }, { packets: bigint }]>) {
        expect(packets).toBe(BigInt(source));
      }
    });
  });

  it("gives the same key by key, where the kernel has no batches", async () => {
    await withLoaded("maps", largeFlows, (obj) => {
      const flows = obj.map("flows");
      fill(flows);
      const byKeys = [...walk(flows, {}, (keys) => keys.getUint32(0, true))];
      expect(byKeys.sort((a, b) => a - b)).toEqual(sources(flows).sort((a, b) => a - b));
    });
  });

  it("may delete what it sees, and everything else", async () => {
    await withLoaded("maps", largeFlows, (obj) => {
      const flows = obj.map("flows");
      fill(flows);
      for (const [each] of flows) expect(flows.delete(each)).toBe(true);
      expect(sources(flows)).toEqual([]);
      fill(flows);
      let seen = 0;
      for (const _ of flows) {
        if (seen++ === 0) for (let i = 0; i < COUNT; i++) flows.delete(key(i));
      }
      expect(seen).toBeLessThanOrEqual(COUNT);
    });
  });

  it("ends although elements are added all the time", async () => {
    await withLoaded("maps", largeFlows, (obj) => {
      const flows = obj.map("flows");
      flows.set(key(0), {});
      let next = 1;
      let steps = 0;
      for (const _ of flows) {
        if (++steps > 50_000) break;
        flows.delete(key(next - 1));
        flows.set(key(next++), {});
      }
      expect(steps).toBeLessThanOrEqual(50_000);
      steps = 0;
      for (const _ of walk(flows, {}, () => 0)) {
        if (++steps > 50_000) break;
        flows.delete(key(next - 1));
        flows.set(key(next++), {});
      }
      expect(steps).toBeLessThanOrEqual(50_000);
    });
  });

  it("may be left early and begun again", async () => {
    await withLoaded("maps", largeFlows, (obj) => {
      const flows = obj.map("flows");
      fill(flows);
      for (const _ of flows) break;
      expect(sources(flows).length).toBe(COUNT);
    });
  });
});
