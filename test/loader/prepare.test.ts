// prepare(): what works between it and load(), what is settled by it and what is not; and program code before load.

import { expect, it } from "vitest";
import { type BpfObject, BpfObject as Objects, StateError, SystemCallError } from "../../src/index.js";
import { INSN_SIZE, readInsn, setImm, writeInsn } from "../../src/insn/index.js";
import { btfInfo, isBpfFs, progInfo } from "../../src/syscall/index.js";
import { pinsIn, withBpfFs } from "../support/bpffs.js";
import { fixturePath, only, openDescriptors, runFilter } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

/** Opens, edits and prepares a fixture; closes it after `body`. */
async function withPrepared(
  name: string,
  edit: (obj: BpfObject) => void,
  body: (obj: BpfObject) => void | Promise<void>,
  pinRoot = "/sys/fs/bpf",
): Promise<void> {
  const obj = Objects.open(fixturePath(name), { pinRoot });
  try {
    edit(obj);
    obj.prepare();
    await body(obj);
  } finally {
    obj.close();
  }
}

kernelDescribe("a prepared object", { needs: ["socket_filter", "array_mmap", "ringbuf"] }, () => {
  it("has maps with elements and shared variables, and no programs yet", async () => {
    await withPrepared("pinned", withoutPins("visit"), async (obj) => {
      expect([obj.prepared, obj.loaded]).toEqual([true, false]);
      obj.map("own").set(0, 41n);
      obj.bss.runs = 6;
      expect(obj.program("visit").loaded).toBe(false);
      expect(() => obj.program("visit").fd).toThrow(/the program is not loaded yet/);
      expect(() => obj.attach()).toThrow(/cannot attach before load\(\)/);
      expect(() => obj.pinPrograms("/sys/fs/bpf/x")).toThrow(/cannot pin programs before load\(\)/);
      expect(() => obj.prepare()).toThrow(/prepared already/);
      await obj.load();
      expect([obj.prepared, obj.loaded]).toEqual([true, true]);
      expect(runFilter(obj, "visit")).toBe(1);
      // What was written before load is what the program counts on.
      expect(obj.map("own").get(0)).toBe(42n);
      expect(obj.map("visits").get(1)).toEqual({ count: 1n, last: 7, who: "first" });
    });
  });

  it("refuses changes of its maps and constants, and takes those of its programs", async () => {
    await withPrepared("pinned", withoutPins("visit", "redirect"), (obj) => {
      const map = obj.map("own");
      for (const change of [
        () => (map.maxEntries = 2),
        () => (map.pinPath = "/sys/fs/bpf/x"),
        () => map.setInitialValue(new Uint8Array(4)),
        () => (obj.map(".rodata").valueSize = 8),
      ]) {
        expect(change).toThrow(/cannot be changed after load\(\) or prepare\(\)/);
      }
      expect(() => (obj.rodata.me = 2)).toThrow(/me is read-only/);
      obj.program("redirect").autoload = false;
      // XDP_HAS_FRAGS has no meaning for a socket filter: the kernel would refuse it, so it is taken back.
      obj.program("visit").flags = 1 << 5;
      obj.program("visit").flags = 0;
      obj.kernelVersion = 0x60000;
      obj.loadSync();
      expect(obj.program("redirect").loaded).toBe(false);
      expect(runFilter(obj, "visit")).toBe(1);
    });
  });

  it("does not load what it did not relocate", async () => {
    await withPrepared("pinned", withoutPins("visit"), (obj) => {
      const redirect = obj.program("redirect");
      expect(() => (redirect.autoload = true)).toThrow(/autoload cannot be switched on after prepare\(\)/);
      expect(() => (redirect.insns = new Uint8Array(8))).toThrow(/prepare\(\) did not relocate the program/);
      expect(redirect.funcInfo).toEqual([]);
      obj.loadSync();
      expect(redirect.loaded).toBe(false);
    });
  });

  it("keeps its pins when it is closed, and loses them when its programs fail to load", async () => {
    await withBpfFs(async (root) => {
      expect(isBpfFs(root)).toBe(true);
      await withPrepared("pinned", only("visit"), () => {}, root);
      expect(pinsIn(root)).toEqual(["devices", "ring", "visits"]);
      for (const pin of ["devices", "ring"]) Objects.open(fixturePath("pinned"), { pinRoot: root }).map(pin).unpin();
      const before = openDescriptors();
      await withPrepared(
        "pinned",
        only("visit"),
        (obj) => {
          expect(pinsIn(root)).toEqual(["devices", "ring", "visits"]);
          // Fails before the kernel is asked.
          obj.program("visit").type = "unspec";
          expect(() => obj.loadSync()).toThrow(/no program type/);
          expect(() => obj.loadSync()).toThrow(/prepare\(\) or load\(\) failed before/);
        },
        root,
      );
      // Found, not made, by the failed one.
      expect(pinsIn(root)).toEqual(["visits"]);
      expect(openDescriptors()).toBe(before);
    });
  });

  it("leaves nothing open, whether it is loaded or not", async () => {
    const before = openDescriptors();
    await withPrepared("pinned", withoutPins("visit"), () => {});
    await withPrepared("pinned", withoutPins("visit"), (obj) => obj.loadSync());
    await withPrepared("pinned", withoutPins("visit"), (obj) => {
      const loading = obj.load();
      obj.close();
      return expect(loading).rejects.toThrow(/closed while it was being loaded/);
    });
    const failing = Objects.open(fixturePath("pinned"));
    withoutPins("visit")(failing);
    failing.map("own").keySize = 3;
    expect(() => failing.prepare()).toThrow(SystemCallError);
    expect(() => failing.prepare()).toThrow(/failed before/);
    expect(openDescriptors()).toBe(before);
  });

  it("has type information in the kernel", async () => {
    const opened = Objects.open(fixturePath("pinned"));
    expect(() => opened.btfFd).toThrow(/cannot use btfFd before prepare\(\) or load\(\)/);
    opened.close();
    await withPrepared("pinned", withoutPins("visit"), (obj) => {
      const id = btfInfo(obj.btfFd!).id;
      obj.loadSync();
      expect(progInfo(obj.program("visit").fd).btfId).toBe(id);
    });
    await withPrepared(
      "nobtf",
      () => {},
      (obj) => expect(obj.btfFd).toBeUndefined(),
    );
  });
});

kernelDescribe("the instructions of a prepared program", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("are relocated, and loaded as they are set", async () => {
    await withPrepared(
      "nobtf",
      () => {},
      (obj) => {
        const program = obj.program("count_runs");
        const insns = program.insns;
        // `runs += 1` became an access to the map by its descriptor.
        const fds = wide(insns).map((index) => readInsn(insns, index).imm);
        expect(fds).toContain(obj.map("nobtf.bss").fd);
        expect(program.insns).toEqual(insns);
        program.insns = returning(7);
        obj.loadSync();
        expect(runFilter(obj, "count_runs")).toBe(7);
        expect(program.insns).toEqual(returning(7));
        expect(() => (program.insns = insns)).toThrow(/insns cannot be changed after load/);
      },
    );
  });

  it("cannot be set before, nor to what is none", () => {
    using obj = Objects.open(fixturePath("nobtf"));
    const program = obj.program("count_runs");
    expect(() => (program.insns = returning(1))).toThrow(/not relocated \(call prepare\(\) first\)|call prepare/);
    obj.prepare();
    for (const wrong of [new Uint8Array(0), new Uint8Array(12), [1, 2] as unknown as Uint8Array]) {
      expect(() => (program.insns = wrong)).toThrow(/insns must be a Uint8Array of whole instructions/);
    }
    // A private copy.
    const own = returning(3);
    program.insns = own;
    setImm(own, 0, 4);
    obj.loadSync();
    expect(runFilter(obj, "count_runs")).toBe(3);
  });

  it("come with their functions and source lines, which longer instructions lose", async () => {
    await withPrepared("subprogs", only("call_global", "call_static"), (obj) => {
      const btf = obj.btf!;
      const program = obj.program("call_global");
      const names = program.funcInfo.map(({ typeId }) => btf.nameOf(typeId));
      expect(names[0]).toBe("call_global");
      expect(names.length).toBeGreaterThan(2);
      const [first] = program.lineInfo;
      expect(first).toMatchObject({ insnIndex: 0 });
      expect(btf.string(first!.fileNameOffset)).toMatch(/subprogs\.bpf\.c$/);
      expect(program.lineInfo.map(({ lineOffset }) => btf.string(lineOffset)).join("\n")).toContain("return");
      const other = obj.program("call_static");
      other.insns = returning(9);
      expect([other.funcInfo, other.lineInfo]).toEqual([[], []]);
      obj.loadSync();
      const known = progInfo(program.fd, { debug: true }).funcInfo!;
      expect(program.funcInfo.length).toBe(known.bytes.length / known.recordSize);
      expect([runFilter(obj, "call_global"), runFilter(obj, "call_static")]).toEqual([137, 9]);
    });
  });
});

kernelDescribe("a program that is unloaded", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("is gone from the kernel, and the others stay", () => {
    using obj = Objects.open(fixturePath("subprogs"));
    only("call_global", "call_static")(obj);
    obj.loadSync();
    const before = openDescriptors();
    const program = obj.program("call_static");
    program.unload();
    program.unload();
    expect(openDescriptors()).toBe(before - 1);
    expect(program.loaded).toBe(false);
    expect(() => program.fd).toThrow(StateError);
    expect(() => program.fd).toThrow(/used after unload\(\)/);
    expect(runFilter(obj, "call_global")).toBe(137);
  });
});

/** Loads these programs of `pinned`, whose maps would be pinned. */
function withoutPins(...programs: string[]): (obj: BpfObject) => void {
  return (obj) => {
    only(...programs)(obj);
    for (const map of obj.maps) map.pinPath = undefined;
  };
}

/** r0 = value; exit */
function returning(value: number): Uint8Array {
  const insns = new Uint8Array(2 * INSN_SIZE);
  writeInsn(insns, 0, { opcode: 0xb7, dst: 0, src: 0, off: 0, imm: value });
  writeInsn(insns, 1, { opcode: 0x95, dst: 0, src: 0, off: 0, imm: 0 });
  return insns;
}

/** Indices of 64-bit loads. */
function wide(insns: Uint8Array): number[] {
  return [...insns.keys()].filter((at) => at % INSN_SIZE === 0 && insns[at] === 0x18).map((at) => at / INSN_SIZE);
}
