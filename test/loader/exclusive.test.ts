// Maps for one program alone: the kernel computes the same hash over the instructions as we do.

import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ArgumentError, BpfObject, StateError, UnsupportedError, VerifierError } from "../../src/index.js";
import { isLdimm64, readInsn, setImm } from "../../src/insn/index.js";
import { progInfo } from "../../src/syscall/index.js";
import { fixturePath, loadError, only, openDescriptors, runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

/** SHA-256 of loaded instructions without what differs from load to load, in hexadecimal. */
function digest(insns: Uint8Array): string {
  const copy = insns.slice();
  for (let index = 0; index < copy.length / 8; index++) {
    if (!isLdimm64(copy, index) || ![1, 2].includes(readInsn(copy, index).src)) continue;
    setImm(copy, index, 0);
    setImm(copy, index + 1, 0);
  }
  return createHash("sha256").update(copy).digest("hex");
}

describe("the exclusive program of a map", () => {
  it("is one of its object, and settled before prepare", () => {
    using obj = BpfObject.open(fixturePath("subprogs"));
    using other = BpfObject.open(fixturePath("subprogs"));
    const map = obj.map(".bss");
    expect(map.exclusiveProgram).toBeUndefined();
    map.exclusiveProgram = obj.program("call_global");
    expect(map.exclusiveProgram).toBe(obj.program("call_global"));
    expect(() => {
      map.exclusiveProgram = other.program("call_global");
    }).toThrow(ArgumentError);
    map.exclusiveProgram = undefined;
    using tables = BpfObject.open(fixturePath("struct_ops"));
    expect(() => {
      tables.map("plain").exclusiveProgram = tables.program("first_init");
    }).toThrow(UnsupportedError);
  });
});

kernelDescribe("exclusive maps", { needs: ["exclusive_map", "socket_filter", "array_mmap"] }, () => {
  it("are used by their program, whose hash the kernel finds to be ours", async () => {
    await withLoaded(
      "subprogs",
      (obj) => {
        only("call_global")(obj);
        obj.map(".bss").exclusiveProgram = obj.program("call_global");
        obj.map(".data").exclusiveProgram = obj.program("call_global");
      },
      (obj) => {
        expect(runFilter(obj, "call_global")).toBe(137);
        expect(obj.bss.leaf_calls).toBe(3n);
        // The kernel's tag is the beginning of the same hash.
        const { tag } = progInfo(obj.program("call_global").fd);
        expect(digest(obj.program("call_global").insns).slice(0, tag.length)).toBe(tag);
        // A copy has the same instructions.
        using clone = obj.program("call_global").cloneSync();
        expect(progInfo(clone.fd).tag).toBe(tag);
        expect(() => {
          obj.map(".bss").exclusiveProgram = undefined;
        }).toThrow(StateError);
      },
    );
  });

  it("need a program that is loaded", () => {
    const before = openDescriptors();
    const error = loadError("subprogs", (obj) => {
      only("call_static")(obj);
      obj.map(".bss").exclusiveProgram = obj.program("call_global");
    });
    expect((error as Error).message).toMatch(/map .*bss: the map is for program call_global alone, which is not to be/);
    expect(openDescriptors()).toBe(before);
  });

  kernelIt("are refused to every other program", { needs: ["virtual_machine"] }, () => {
    const error = loadError("subprogs", (obj) => {
      only("call_global", "call_static")(obj);
      obj.map(".bss").exclusiveProgram = obj.program("call_global");
    });
    expect(error).toBeInstanceOf(VerifierError);
    expect(error).toMatchObject({ errnoName: "EACCES", location: { program: "call_static" } });
    expect((error as VerifierError).log).toMatch(/hash doesn't match/);
    // The program itself, with other instructions than at prepare().
    using obj = BpfObject.open(fixturePath("subprogs"));
    only("call_static")(obj);
    obj.map(".bss").exclusiveProgram = obj.program("call_static");
    obj.prepare();
    const program = obj.program("call_static");
    const { insns } = program;
    // `exit` twice at the end.
    insns.copyWithin(insns.length - 16, insns.length - 8);
    program.insns = insns;
    expect(() => obj.loadSync()).toThrow(/EACCES|hash/);
  });
});

kernelIt("kernels without exclusive maps say so", { needs: ["virtual_machine", "socket_filter"] }, () => {
  const error = loadError("subprogs", (obj) => {
    only("call_global")(obj);
    obj.map(".bss").exclusiveProgram = obj.program("call_global");
  });
  if (error === undefined) return;
  expect(error).toBeInstanceOf(UnsupportedError);
  expect((error as Error).message).toMatch(/came with Linux 6\.18/);
});
