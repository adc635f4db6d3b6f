// Iteration while another process changes the map as fast as it can: it ends, does not throw, and gives what stayed.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import type { BpfMap, BpfObject } from "../../src/index.js";
import { walk } from "../../src/map/walk.js";
import { mapShape } from "../../src/syscall/index.js";
import { withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";
import { moduleArguments } from "../support/script.js";

/** Elements that nobody touches. */
const STAYING = 300;
/** Keys that come and go lie above. */
const CHANGING = 1000;

/** Adds and removes keys by bytes: the last four bytes of the key are a big-endian number. */
const disturber = `
  import { BpfMap } from "./src/map/index.ts";
  const [id, keySize, valueSize, prefixLength] = process.argv.slice(1).map(Number);
  const map = BpfMap.openById(id);
  const key = new Uint8Array(keySize);
  const view = new DataView(key.buffer);
  if (prefixLength > 0) view.setUint32(0, prefixLength, true);
  const value = new Uint8Array(valueSize);
  let next = 0;
  const step = () => {
    for (let i = 0; i < 500; i++) {
      view.setUint32(keySize - 4, ${CHANGING} + (next++ * 7919) % 2000);
      if (next % 3 === 0) map.raw.delete(key);
      else try { map.raw.set(key, value); } catch {}
    }
    setImmediate(step);
  };
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
  step();
  console.log("ready");
`;

async function disturbed(map: BpfMap, prefixLength: number, body: () => void): Promise<void> {
  const { id } = map.info();
  const { keySize, valueBufferSize } = mapShape(map.descriptor);
  const child: ChildProcess = spawn(
    process.execPath,
    [...moduleArguments(disturber), ...[id, keySize, valueBufferSize, prefixLength].map(String)],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const exit = once(child, "exit");
  try {
    await once(child.stdout!, "data");
    body();
    expect(child.exitCode).toBeNull();
  } finally {
    child.stdin!.end();
    await exit;
  }
}

function stayingKey(keySize: number, prefixLength: number, index: number): Uint8Array {
  const key = new Uint8Array(keySize);
  const view = new DataView(key.buffer);
  if (prefixLength > 0) view.setUint32(0, prefixLength, true);
  view.setUint32(keySize - 4, index);
  return key;
}

const last = (key: Uint8Array): number => new DataView(key.buffer).getUint32(key.length - 4);

const maps: readonly { name: string; prefixLength: number; keepsAll: boolean }[] = [
  { name: "flows", prefixLength: 0, keepsAll: true },
  { name: "percpu_hits", prefixLength: 0, keepsAll: true },
  { name: "recent", prefixLength: 0, keepsAll: false },
  { name: "routes", prefixLength: 32, keepsAll: false },
];

const edit = (obj: BpfObject): void => {
  for (const { name } of maps) obj.map(name).maxEntries = 4096;
};

kernelDescribe("iteration under change", { needs: ["socket_filter", "ringbuf"] }, () => {
  for (const { name, prefixLength, keepsAll } of maps) {
    it(`of ${name}`, async () => {
      await withLoaded("maps", edit, async (obj) => {
        const map = obj.map(name);
        const { keySize, valueBufferSize } = mapShape(map.descriptor);
        for (let i = 0; i < STAYING; i++) {
          map.raw.set(stayingKey(keySize, prefixLength, i), new Uint8Array(valueBufferSize));
        }
        const check = (seen: readonly number[]): number => {
          expect(new Set(seen).size).toBe(seen.length);
          expect(seen.length).toBeLessThanOrEqual(4096);
          return seen.filter((each) => each < STAYING).length;
        };
        await disturbed(map, prefixLength, () => {
          // What is there beside the elements that stay, by number and sum: it has to be other things at other times. The
          // other process may be kept waiting for longer than forty rounds take.
          const changing = new Set<string>();
          const end = performance.now() + 20_000;
          for (let round = 0; round < 40 || (changing.size < 2 && performance.now() < end); round++) {
            const seen = Array.from(map.raw, ([key]) => last(key));
            const staying = check(seen);
            if (keepsAll) expect(staying).toBe(STAYING);
            changing.add(`${seen.length} ${seen.reduce((sum, each) => sum + each, 0)}`);
            // Key by key, some of those that stay may be missed.
            if (round % 10 === 0) check([...walk(map, {}, (keys) => keys.getUint32(keys.byteLength - 4))]);
          }
          expect(changing.size).toBeGreaterThan(1);
          for (let i = 0; i < 5; i++) {
            expect(map.count()).toBeLessThanOrEqual(4096);
            map.clear();
          }
        });
        map.clear();
        expect(map.count()).toBe(0);
      });
    });
  }
});
