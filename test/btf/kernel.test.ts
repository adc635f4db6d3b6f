// The running kernel's BTF: facts that hold for every 64-bit Linux.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder, BtfKind } from "../../src/btf/index.js";

function kernelBtf(): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync("/sys/kernel/btf/vmlinux").buffer);
  } catch {
    return undefined;
  }
}

const bytes = kernelBtf();

describe.skipIf(bytes === undefined)("/sys/kernel/btf/vmlinux", () => {
  const btf = Btf.parse(bytes ?? new BtfBuilder().build());
  const find = (name: string, kind: "struct" | "typedef" | "int" | "func" | "enum"): number => {
    const id = btf.findByName(name, kind);
    if (id === undefined) throw new Error(`no ${kind} ${name}`);
    expect([btf.nameOf(id), btf.type(id).kind]).toEqual([name, kind]);
    return id;
  };

  it("has the types that everyone knows", () => {
    expect(btf.typeCount).toBeGreaterThan(10_000);
    expect(btf.sizeOf(find("pid_t", "typedef"))).toBe(4);
    expect(btf.sizeOf(find("u64", "typedef"))).toBe(8);
    expect(btf.sizeOf(find("list_head", "struct"))).toBe(16);
    expect(btf.alignOf(find("list_head", "struct"))).toBe(8);
    expect(btf.type(find("char", "int"))).toMatchObject({ size: 1, bits: 8 });
    expect(btf.type(btf.resolve(find("s64", "typedef")))).toMatchObject({ kind: "int", size: 8, signed: true });
    const task = btf.type(find("task_struct", "struct"));
    const members = task.kind === "struct" ? task.members : [];
    const comm = members.find(({ name }) => name === "comm");
    expect(btf.type(comm?.type ?? 0)).toMatchObject({ kind: "array", count: 16 });
    expect(btf.sizeOf(members.find(({ name }) => name === "tgid")?.type ?? 0)).toBe(4);
    const list = btf.type(btf.findByName("list_head", "struct") ?? 0);
    expect(list).toMatchObject({
      members: [
        { name: "next", bitOffset: 0 },
        { name: "prev", bitOffset: 64 },
      ],
    });
    const types = btf.type(find("bpf_map_type", "enum"));
    expect(types.kind === "enum" && types.values[1]).toEqual({ name: "BPF_MAP_TYPE_HASH", value: 1 });
    expect(btf.idsByEssentialName("task_struct___flavor")).toContain(task.id);
    expect(btf.findByName("no_such_type_at_all")).toBeUndefined();
  });

  it("decodes completely, every function with its prototype, every struct with members inside it", () => {
    for (let id = 1; id < btf.typeCount; id++) {
      const type = btf.type(id);
      if (type.kind === "func") expect(btf.kindOf(type.type)).toBe(BtfKind.FuncProto);
      if (type.kind === "struct") {
        for (const member of type.members) {
          if (member.bitOffset > type.size * 8) throw new Error(`${type.name}.${member.name} is outside`);
        }
      }
    }
  });

  it("finds each name where a scan finds it", () => {
    const first = new Map<string, number>();
    for (let id = 1; id < btf.typeCount; id++) {
      const name = btf.nameOf(id);
      if (name !== "" && !first.has(name)) first.set(name, id);
    }
    for (const [name, id] of first) if (btf.findByName(name) !== id) throw new Error(`${name} is not found as ${id}`);
  });

  it("is written again as it was", () => {
    const copy = BtfBuilder.from(btf).build();
    expect(Buffer.compare(copy.subarray(24), btf.bytes.subarray(btf.bytes.length - copy.length + 24))).toBe(0);
  });
});
