// struct_ops of kernel modules, as far as they can be had without such a module: what would be asked of the kernel.

import { expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import { loadKernelBtf } from "../../src/kernel/index.js";
import { planStructOps } from "../../src/loader/struct-ops.js";
import type { FileDescriptor } from "../../src/syscall/index.js";
import { code, exit, ObjectWriter, TypeWriter } from "../object/builders.js";
import { open } from "../object/support.js";
import { kernelDescribe } from "../support/needs.js";

kernelDescribe("struct_ops of modules", { needs: ["struct_ops"] }, () => {
  /** struct bpfkit_test_ops { int flags; void (*call)(void); } */
  function object() {
    const file = new ObjectWriter();
    const call = file.func("call", file.code("struct_ops/call", code(exit)), 0, 8);
    const section = file.section(".struct_ops", Uint8Array.of(7, ...new Array(15).fill(0)));
    const types = new TypeWriter();
    const members = [
      ["flags", types.int()],
      ["call", types.ptr(types.proto())],
    ] as const;
    const struct = types.struct("bpfkit_test_ops", 16, members);
    types.datasec(".struct_ops", [[types.variable("ops", struct), 0, 16]]);
    file.symbol("ops", section, { size: 16 });
    file.relocate(section, 8, call, 2);
    file.btf(types);
    return open(file);
  }

  it("are found in the module's types, by its descriptor", () => {
    const spec = object();
    expect(() => planStructOps(spec)).toThrow("this kernel has no struct_ops of struct bpfkit_test_ops");

    const vmlinux = loadKernelBtf("a test");
    // The kernel's own order of members, and its bookkeeping before them.
    const builder = new BtfBuilder();
    const int = builder.addInt("int", 4);
    const pointer = builder.addPtr(builder.addFuncProto(0, []));
    const plain = { bitSize: 0 };
    const struct = builder.addStruct("bpfkit_test_ops", 24, [
      { ...plain, name: "other", type: pointer, bitOffset: 0 },
      { ...plain, name: "call", type: pointer, bitOffset: 64 },
      { ...plain, name: "flags", type: int, bitOffset: 128 },
    ]);
    const value = builder.addStruct("bpf_struct_ops_bpfkit_test_ops", 64, [
      { ...plain, name: "common", type: int, bitOffset: 0 },
      { ...plain, name: "data", type: struct, bitOffset: 256 },
    ]);
    const btf = Btf.parse(builder.build());
    const fd = { number: 5 } as FileDescriptor;
    const unrelated = { name: "other", btf: vmlinux, fd: undefined };
    const { tables, targets } = planStructOps(spec, { list: () => [unrelated, { name: "module", btf, fd }] });
    const [program] = spec.programs;
    const expected = new Uint8Array(64);
    expected[32 + 16] = 7;
    expect([...tables]).toEqual([
      [spec.maps[0], { valueTypeId: value, module: fd, value: expected, callbacks: [{ offset: 40, program }] }],
    ]);
    expect([...targets]).toEqual([[program, { attachBtfId: struct, module: fd, memberIndex: 1 }]]);
    expect(spec.maps[0]!.valueSize).toBe(64);
  });
});
