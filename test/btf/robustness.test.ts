// BTF is input from strangers: whatever the bytes, only a BtfError may come out, in bounded time.

import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder, parseBtfExt } from "../../src/btf/index.js";
import { BtfError } from "../../src/errors.js";

function sample(littleEndian: boolean): Uint8Array {
  const b = new BtfBuilder({ littleEndian });
  const int = b.addInt("int", 4, { signed: true });
  const char = b.addInt("char", 1, { char: true });
  const array = b.addArray(char, int, 16);
  const fwd = b.addFwd("other");
  const ptr = b.addPtr(b.addConst(fwd));
  const inner = b.addUnion("inner", 8, [
    { name: "p", type: ptr, bitOffset: 0 },
    { name: "i", type: int, bitOffset: 0, bitSize: 5 },
  ]);
  const outer = b.addStruct("outer___v1", 32, [
    { name: "name", type: array, bitOffset: 0 },
    { name: "", type: inner, bitOffset: 128 },
    { name: "next", type: b.nextId + 1, bitOffset: 192 },
  ]);
  b.addPtr(outer);
  const typedef = b.addTypedef("outer_t", b.addVolatile(b.addRestrict(b.addTypeTag("user", outer))));
  b.addEnum("e", [{ name: "A", value: -1 }]);
  b.addEnum64("e64", [{ name: "B", value: -1n }]);
  const proto = b.addFuncProto(int, [
    { name: "ctx", type: ptr },
    { name: "", type: 0 },
  ]);
  b.addFunc("main", proto, 1);
  const variable = b.addVar("v", typedef, 1);
  b.addDataSec(".data", 32, [{ type: variable, offset: 0, size: 32 }]);
  b.addDeclTag("tag", outer, 0);
  b.addFloat("double", 8);
  return b.build();
}

/** Asks everything that can be asked. */
function useAll(bytes: Uint8Array): void {
  const btf = only(() => Btf.parse(bytes));
  if (btf === undefined) return;
  for (let id = 0; id < btf.typeCount; id++) {
    const type = only(() => btf.type(id));
    only(() => btf.sizeOf(id));
    only(() => btf.alignOf(id));
    only(() => btf.resolve(id));
    only(() => btf.skipModifiers(id));
    const name = btf.nameOf(id);
    if (name !== "") {
      const found = btf.findByName(name);
      // Damaged UTF-8 cannot be looked up by what it decodes to.
      if (!name.includes("\ufffd")) insist(found !== undefined && found <= id, `${name} is not found`);
      btf.idsByEssentialName(name);
    }
    // What validation promises: no id of a type is out of range.
    if (type !== undefined && "type" in type) insist(type.type < btf.typeCount, `type ${id} leaves the table`);
    if (type !== undefined && "members" in type) {
      for (const member of type.members) insist(member.type < btf.typeCount, `type ${id} leaves the table`);
    }
  }
  BtfBuilder.from(btf).build();
}

/** The same of bytes whose references nobody checked beforehand. */
function useUnchecked(bytes: Uint8Array): void {
  const btf = only(() => Btf.parse(bytes, { trusted: true }));
  if (btf === undefined) return;
  for (let id = 0; id <= btf.typeCount; id++) {
    only(() => btf.type(id));
    only(() => btf.sizeOf(id));
    only(() => btf.alignOf(id));
    only(() => btf.resolve(id));
    only(() => btf.findByName(btf.nameOf(id)));
    only(() => btf.idsByEssentialName(btf.nameOf(id)));
  }
}

/** `expect` costs more than all the work between two of them, and there are a million here. */
function insist(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

/** The result of `body`, or undefined when it threw a BtfError; anything else passes through and fails the test. */
function only<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof BtfError) || error.code !== "BTF_INVALID") throw error;
    return undefined;
  }
}

/** Numbers from 0 to below 2^32, the same in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
  };
}

/** A copy of `bytes` with one to four bytes changed, often to an edge. */
function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const edges = [0, 1, 0x7f, 0x80, 0xff];
  for (let changes = 1 + (random() % 4); changes > 0; changes--) {
    copy[random() % copy.length] = random() % 2 === 0 ? edges[random() % edges.length]! : random();
  }
  return copy;
}

describe.each([true, false])("damaged BTF (little-endian: %s)", (littleEndian) => {
  const bytes = sample(littleEndian);

  it("cut at any length is refused", () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => Btf.parse(bytes.subarray(0, length))).toThrow(BtfError);
      // As above, with memory behind the end that must not be read.
      expect(() => Btf.parse(bytes.slice(0, length))).toThrow(BtfError);
    }
    useAll(bytes);
  });

  it("with wrong bytes gives BtfErrors only", { timeout: 60_000 }, () => {
    const random = generator(littleEndian ? 1 : 2);
    for (let run = 0; run < 10_000; run++) {
      const damaged = mutate(bytes, random);
      useAll(damaged);
      useUnchecked(damaged);
    }
  });
});

describe("damaged .BTF.ext", () => {
  const builder = new BtfBuilder();
  const section = builder.addString("tc");
  const btf = Btf.parse(builder.build());
  const words = [
    ...[32, 0, 36, 36, 28, 64, 44],
    ...[8, section, 3, 0, 1, 8, 1, 16, 1],
    ...[16, section, 1, 0, 1, 1, 1024],
    ...[16, section, 2, 0, 1, 1, 0, 8, 1, 1, 0],
  ];
  const bytes = new Uint8Array(4 + words.length * 4);
  bytes.set([0x9f, 0xeb, 1, 0]);
  words.forEach((word, i) => {
    new DataView(bytes.buffer).setUint32(4 + i * 4, word, true);
  });
  const use = (data: Uint8Array): number => {
    const ext = parseBtfExt(data, btf);
    const parts = [ext.funcInfo, ext.lineInfo, ext.coreRelocations].flat();
    return parts.reduce((sum, { records }) => sum + records.length, 0);
  };

  it("cut at any length is refused", () => {
    expect(use(bytes)).toBe(6);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parseBtfExt(bytes.subarray(0, length), btf)).toThrow(BtfError);
    }
  });

  it("with wrong bytes gives BtfErrors only", () => {
    const random = generator(3);
    for (let run = 0; run < 20_000; run++) {
      const count = only(() => use(mutate(bytes, random)));
      // No more records than the bytes can hold.
      if (count !== undefined) expect(count).toBeLessThan(bytes.length / 8);
    }
  });
});
