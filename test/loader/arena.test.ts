// Arenas by their effect: variables and pointers that programs and this process share.

import { describe, expect, it } from "vitest";
import { BpfObject } from "../../src/index.js";
import { pageSize, progTestRun } from "../../src/syscall/index.js";
import { fixturePath, runSyscall, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

const any = (): void => {};

function code(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return { ...(error as object), message: (error as Error).message };
  }
  return "nothing was thrown";
}

describe("an arena that is not loaded", () => {
  it("shows its variables, and no memory", () => {
    using obj = BpfObject.open(fixturePath("arena"));
    expect(obj.arena.counter).toBe(40n);
    expect(obj.globals(".addr_space.1")).toBe(obj.arena);
    expect(obj.map("arena")).toMatchObject({ type: "arena", isInternal: false, dataSectionName: ".addr_space.1" });
    expect(code(() => obj.map("arena").memory)).toMatchObject({ code: "STATE" });
    using without = BpfObject.open(fixturePath("minimal"));
    expect(code(() => without.arena)).toMatchObject({ code: "NOT_FOUND" });
  });
});

kernelDescribe("arenas", { needs: ["arena", "syscall_program"] }, () => {
  it("share variables, with the values that were set before load", async () => {
    await withLoaded(
      "arena",
      (obj) => {
        obj.arena.counter = 41n;
        obj.arena.head = { next: 0n, value: 100n };
      },
      (obj) => {
        const table = obj.arena.table as number[];
        expect([table[0], table[1029], table.length]).toEqual([7, 9, 1030]);
        expect(runSyscall(obj, "walk").returnValue).toBe(0);
        expect(obj.bss.sum).toBe(105n);
        expect(obj.arena.counter).toBe(42n);
        expect((obj.arena.table as number[])[1029]).toBe(16);
        obj.arena.counter = 1000n;
        runSyscall(obj, "walk");
        expect(obj.arena.counter).toBe(1001n);
      },
    );
  });

  it("hold pointers of user space", async () => {
    await withLoaded("arena", any, (obj) => {
      runSyscall(obj, "walk");
      const arena = obj.map("arena");
      const { memory, memoryAddress } = arena;
      expect(memory.length).toBe(100 * pageSize());
      const next = (obj.arena.head as { next: bigint }).next;
      const at = Number(next - memoryAddress);
      // `tail` lies there: a null pointer, then its value.
      const view = new DataView(memory.buffer, memory.byteOffset);
      expect([view.getBigUint64(at, true), view.getBigUint64(at + 8, true)]).toEqual([0n, 5n]);
    });
  });

  it("are one memory, byte for byte", async () => {
    await withLoaded("arena", any, (obj) => {
      const arena = obj.map("arena");
      const offset = 50 * pageSize() + 8;
      // A page that user space has not touched is not there for programs: their writes go nowhere.
      arena.memory[offset] = 1;
      const context = new Uint8Array(8);
      new DataView(context.buffer).setBigUint64(0, arena.memoryAddress + BigInt(offset), true);
      expect(progTestRun({ program: obj.program("poke").fd, context }).returnValue).toBe(0);
      expect([...arena.memory.subarray(offset, offset + 8)]).toEqual([0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
    });
  });

  it("lie where mapExtra says, unless something is there already", async () => {
    const address = 0x1234_0000_0000n;
    const place = (obj: BpfObject): void => {
      obj.map("arena").mapExtra = address;
    };
    await withLoaded("arena", place, async (obj) => {
      expect(obj.map("arena").memoryAddress).toBe(address);
      runSyscall(obj, "walk");
      expect(obj.arena.counter).toBe(41n);
      const second = BpfObject.open(fixturePath("arena"));
      place(second);
      expect(code(() => second.loadSync())).toMatchObject({
        code: "SYSCALL",
        errnoName: "EEXIST",
        location: { map: "arena" },
        hint: expect.stringContaining("mapExtra"),
      });
      second.close();
      // The first one is unharmed.
      runSyscall(obj, "walk");
      expect(obj.arena.counter).toBe(42n);
    });
  });

  it("may be as large as 4 GiB", async () => {
    await withLoaded(
      "arena",
      (obj) => {
        obj.map("arena").maxEntries = 2 ** 32 / pageSize();
      },
      (obj) => {
        runSyscall(obj, "walk");
        expect(obj.arena.counter).toBe(41n);
        expect(obj.map("arena").memory.length).toBe(2 ** 32);
      },
    );
  });

  it("have to hold their variables", () => {
    using obj = BpfObject.open(fixturePath("arena"));
    obj.map("arena").maxEntries = 1;
    expect(code(() => obj.loadSync())).toMatchObject({
      code: "ARGUMENT",
      message: expect.stringContaining("global variables take"),
    });
  });

  it("leave views behind that are harmless", () => {
    const obj = BpfObject.open(fixturePath("arena"));
    obj.loadSync();
    const { memory } = obj.map("arena");
    memory[0] = 1;
    obj.close();
    expect(memory[0] ?? 0).toBe(0);
    expect(code(() => obj.arena.counter)).toMatchObject({ code: "STATE" });
  });
});
