// CO-RE against types that are not the running kernel's, or are those of a module, by what the relocated program reads
// (fixtures layouts, layouts.types_* and modules).

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Btf } from "../../src/btf/index.js";
import { parseElf } from "../../src/elf/index.js";
import { type BpfObject, CoreRelocationError, type OpenOptions } from "../../src/index.js";
import { fixtureBytes, fixturePath, runFilter, runSyscall, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

const nothing = (): void => {};

/** The type information of a fixture. */
function btfBytes(name: string): Uint8Array {
  const bytes = fixtureBytes(name);
  const { offset, size } = parseElf(bytes).section(".BTF")!;
  return bytes.slice(offset, offset + size);
}

/** A record in the layout of layouts.types_moved; its members' places are those of the C rules. */
function movedRecord(): Uint8Array {
  const btf = Btf.parse(btfBytes("layouts.types_moved"));
  const type = btf.type(btf.findByName("bpfkit_record", "struct")!);
  if (type.kind !== "struct") throw new Error("not a struct");
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  const at = (name: string): number => {
    const member = type.members.find((candidate) => candidate.name === name)!;
    return member.bitOffset / 8;
  };
  const bits = (name: string, value: bigint): void => {
    const { bitOffset, bitSize } = type.members.find((candidate) => candidate.name === name)!;
    for (let i = 0; i < bitSize; i++) {
      const bit = Number((value >> BigInt(i)) & 1n);
      bytes[(bitOffset + i) >> 3]! |= bit << ((bitOffset + i) & 7);
    }
  };
  view.setUint32(32 + 4, 0xdead, true); // hidden, the second member of the anonymous struct behind 24 bytes, aligned to 16
  view.setBigUint64(at("next"), 0x123456789abcdef0n, true);
  view.setUint16(at("table") + 2 * 2, 4242, true);
  view.setUint16(at("letter"), 0xbeef, true);
  view.setBigUint64(at("size"), 0x1122334455667788n, true);
  view.setInt32(at("level"), -99, true);
  view.setInt32(at("mode"), -20, true);
  bits("kind", 11n);
  bits("delta", -37n);
  bits("offset", -(1n << 48n) - 5n);
  return bytes;
}

kernelDescribe("CO-RE against given types", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("finds nothing where the type is missing, as in every kernel", async () => {
    await withLoaded("layouts", nothing, (obj) => {
      expect(runFilter(obj, "read_record")).toBe(0);
      expect(obj.data.exists).toBe(0);
      expect(runFilter(obj, "ask_types")).toBe(0);
    });
  });

  const folder = mkdtempSync(join(tmpdir(), "bpfkit-core-"));
  const raw = join(folder, "types.btf");
  writeFileSync(raw, btfBytes("layouts.types_moved"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

  const sources: readonly [string, NonNullable<OpenOptions["kernelBtf"]>][] = [
    ["an object", fixturePath("layouts.types_moved")],
    ["a raw file", raw],
    ["parsed types", Btf.parse(btfBytes("layouts.types_moved"))],
  ];

  it.each(sources)("reads moved, wider, narrower and signed members, with types of %s", async (_, kernelBtf) => {
    const edit = (obj: BpfObject): void => {
      obj.bss.memory = movedRecord();
    };
    await withLoaded(
      "layouts",
      edit,
      (obj) => {
        expect(runFilter(obj, "read_record")).toBe(1);
        const { bss, data } = obj;
        expect(data.exists).toBe(1);
        expect([bss.kind, bss.delta, bss.offset]).toEqual([11n, -37n, -(1n << 48n) - 5n]);
        // Declared as u32 and u8, 64 and 16 bits there: the loads have the width of the target.
        expect([bss.size, bss.letter]).toEqual([0x1122334455667788n, 0xbeefn]);
        expect([bss.level, bss.next, bss.table_2, bss.hidden]).toEqual([-99n, 0x123456789abcdef0n, 4242n, 0xdeadn]);
        expect(BigInt.asIntN(32, bss.mode_value as bigint)).toBe(-20n);
        // The store was 64 bits wide.
        const before = movedRecord();
        const after = new Uint8Array(bss.memory as Uint8Array);
        const changed = Array.from(after).flatMap((byte, index) => (byte === before[index] ? [] : [index]));
        expect(changed.length).toBe(8);
        expect(after[changed[0]!]).toBe(0x5a);
      },
      { kernelBtf },
    );
  });

  it("answers questions about moved types: enum64, matches, sizes, signs", async () => {
    await withLoaded(
      "layouts",
      nothing,
      (obj) => {
        expect(runFilter(obj, "ask_types")).toBe(1);
        const target = Btf.parse(btfBytes("layouts.types_moved"));
        const record = target.findByName("bpfkit_record", "struct")!;
        const { bss, data } = obj;
        expect([data.has_missing, bss.table_size, bss.record_size]).toEqual([0, 18, target.sizeOf(record)]);
        expect([bss.kind_signed, bss.delta_signed]).toEqual([0, 1]);
        expect([data.has_first, bss.first]).toEqual([0, 0n]);
        expect([bss.last, bss.huge]).toEqual([BigInt.asUintN(64, -20n), 0xfedcba9876543210n]);
        // A match may have more members, in another order; members of another kind are none.
        expect([data.matches, data.three_matches, data.pointer_matches]).toEqual([1, 1, 0]);
      },
      { kernelBtf: fixturePath("layouts.types_moved") },
    );
  });

  it("refuses types that agree about nothing", async () => {
    const options = { kernelBtf: fixturePath("layouts.types_ambiguous") };
    const load = withLoaded("layouts", nothing, nothing, options);
    await expect(load).rejects.toThrow(CoreRelocationError);
    await expect(withLoaded("layouts", nothing, nothing, options)).rejects.toThrow(
      /program (read_record|ask_types).*(ambiguous|disagree)/s,
    );
  });
});

kernelDescribe("CO-RE against a module's types", { needs: ["veth", "raw_tracepoint", "array_mmap"] }, () => {
  kernelIt("finds what only the module has", { needs: ["module_btf"] }, async () => {
    await withLoaded("modules", nothing, (obj) => {
      runSyscall(obj, "look");
      const path = "/sys/kernel/btf/veth";
      const vmlinux = Btf.parse(readFileSync("/sys/kernel/btf/vmlinux"));
      expect(existsSync(path)).toBe(true);
      const btf = Btf.parse(readFileSync(path), { base: vmlinux });
      const id = btf.findByName("veth_priv", "struct")!;
      const type = btf.type(id);
      if (type.kind !== "struct") throw new Error("not a struct");
      const headroom = type.members.find(({ name }) => name === "requested_headroom")!;
      expect(vmlinux.findByName("veth_priv", "struct")).toBeUndefined();
      expect([obj.data.has_type, obj.data.has_field, obj.data.wrong_field]).toEqual([1, 1, 0]);
      expect(obj.bss.type_size).toBe(btf.sizeOf(id));
      expect(obj.bss.type_id).toBe(id);
      expect(obj.bss.headroom_offset).toBe(headroom.bitOffset / 8);
    });
  });
});
