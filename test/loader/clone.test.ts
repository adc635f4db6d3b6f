// prog.clone(): more copies of one program, each with settings of its own.

import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { BpfObject, StateError } from "../../src/index.js";
import { loadKernelBtf } from "../../src/kernel/index.js";
import { progInfo, progTestRun } from "../../src/syscall/index.js";
import { eventually, fixturePath, only, openDescriptors, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

const run = (program: { readonly fd: number }): number =>
  progTestRun({ program: program.fd, data: new Uint8Array(64) }).returnValue;

kernelDescribe("clones", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("run on the maps of the object, whether the program itself is loaded or not", async () => {
    using obj = BpfObject.open(fixturePath("subprogs"));
    only("call_global", "call_static")(obj);
    expect(() => obj.program("call_global").cloneSync()).toThrow(
      /cannot clone a program before prepare\(\) or load\(\)/,
    );
    await expect(obj.program("call_global").clone()).rejects.toThrow(StateError);
    obj.prepare();
    obj.program("call_static").autoload = false;
    using early = obj.program("call_static").cloneSync({ name: "early" });
    await obj.load();
    using late = await obj.program("call_global").clone();
    expect([run(early), run(late), run(obj.program("call_global"))]).toEqual([69, 137, 137]);
    // All of them count in the same memory.
    expect(obj.bss.leaf_calls).toBe(9n);
    expect(obj.program("call_static").loaded).toBe(false);
    expect([early.name, progInfo(early.fd).name, late.name]).toEqual(["early", "early", "call_global"]);
    expect(new Set([early.fd, late.fd, obj.program("call_global").fd].map((fd) => progInfo(fd).id)).size).toBe(3);
    expect(obj.programs).not.toContain(early);
  });

  it("belong to the caller: they outlive the object and leave nothing open", async () => {
    const before = openDescriptors();
    const clone = await withLoaded("subprogs", only("call_global"), (obj) => obj.program("call_global").clone());
    expect(openDescriptors()).toBe(before + 1);
    expect(run(clone)).toBe(137);
    clone.close();
    clone.close();
    expect(() => clone.fd).toThrow(/used after close\(\)/);
    expect(openDescriptors()).toBe(before);
  });

  it("inherit all but the log", async () => {
    using obj = BpfObject.open(fixturePath("subprogs"), { logLevel: 1 });
    only("call_global")(obj);
    obj.loadSync();
    const program = obj.program("call_global");
    expect(program.verifierLog).toContain("processed");
    using quiet = program.cloneSync();
    using loud = program.cloneSync({ logLevel: 4 });
    expect(quiet.verifierLog).toBeUndefined();
    expect(loud.verifierLog).toContain("processed");
    expect(quiet.insns).toEqual(program.insns);
    expect(progInfo(quiet.fd)).toMatchObject({ type: progInfo(program.fd).type, tag: progInfo(program.fd).tag });
    expect(quiet.funcInfo).toEqual(program.funcInfo);
    expect(() => {
      quiet.flags = 1;
    }).toThrow(/flags cannot be changed after load/);
  });

  it("can be waited for while the object is closed", async () => {
    const before = openDescriptors();
    const obj = BpfObject.open(fixturePath("subprogs"));
    only("call_global")(obj);
    obj.loadSync();
    const cloning = obj.program("call_global").clone();
    obj.close();
    await expect(cloning).rejects.toThrow(/closed while a program was being cloned/);
    expect(openDescriptors()).toBe(before);
  });

  it("are made of programs of prepared objects, with options that exist", () => {
    using obj = BpfObject.open(fixturePath("subprogs"));
    only("call_global")(obj);
    obj.loadSync();
    const program = obj.program("call_global");
    expect(() => obj.program("call_static").cloneSync()).toThrow(/program call_static: the program was not relocated/);
    using clone = program.cloneSync();
    expect(() => clone.cloneSync()).toThrow(/a clone cannot be cloned/);
    expect(() => program.cloneSync({ flag: 1 } as object)).toThrow(/no option flag; did you mean flags\?/);
    expect(() => program.cloneSync({ flags: -1 })).toThrow(/flags must be an integer/);
    expect(() => program.cloneSync({ attachTarget: 5 } as object)).toThrow(/attachTarget must be a string/);
    program.unload();
    using again = program.cloneSync();
    expect(run(again)).toBe(137);
  });
});

kernelDescribe("clones of tracing programs", { needs: ["tp_btf", "array_mmap"] }, () => {
  it("are attached to targets of their own", async () => {
    await withLoaded("sections", only("on_typed"), async (obj) => {
      const btf = loadKernelBtf("the test");
      using exit = await obj.program("on_typed").clone({ attachTarget: "sched_process_exit" });
      const targets = [obj.program("on_typed"), exit].map(({ fd }) => progInfo(fd).attachBtfId);
      // Kernels before 6.0 do not tell.
      if (targets[0] !== 0) {
        expect(targets).toEqual(
          ["exec", "exit"].map((name) => btf.findByName(`btf_trace_sched_process_${name}`, "typedef")),
        );
      }
      const link = exit.attach();
      expect(link.attached).toBe(true);
      execFileSync("/bin/true");
      // Only the clone is attached.
      expect(await eventually(() => (obj.bss.typed_runs as bigint) > 0n)).toBe(true);
      exit.close();
      expect(link.attached).toBe(false);
    });
  });
});
