// Input from strangers: whatever the access strings, records, instructions and types are, only errors of our own come
// out, and soon (design.md section 3).

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import { CoreRelocator } from "../../src/core-reloc/index.js";
import { BtfError, CoreRelocationError } from "../../src/errors.js";
import {
  array,
  enumeration,
  enumeration64,
  fwd,
  proto,
  ptr,
  qualified,
  s32,
  struct,
  typedef,
  u8,
  u32,
  u64,
  union,
} from "./support.js";

function onlyOurErrors(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof CoreRelocationError) && !(error instanceof BtfError)) throw error;
    expect(error.code).toMatch(/^(CORE|BTF)_/);
  }
}

/** BTF with something of each kind; the strings at known offsets. */
function zoo(strings: readonly string[]): { bytes: Uint8Array; offsets: number[] } {
  const types = new BtfBuilder();
  const anonymous = union("", 16, ["p", 0, ptr(u8)], ["q", 0, array(u32, 4)]);
  struct(
    "s",
    64,
    ["x", 0, s32],
    ["", 64, anonymous],
    ["b", 195, u32, 7],
    ["e", 224, enumeration("e", { A: 1, B: 2 })],
    ["f", 512, array(u64, 0)],
  )(types);
  struct("s___v2", 64, ["", 64, anonymous], ["x", 0, s32], ["b", 300, u32, 20])(types);
  typedef("t", qualified(struct("", 8, ["x", 0, u8])))(types);
  enumeration64("e", { A: -1n })(types);
  typedef("cb", ptr(proto(s32, ptr(struct("s", 4)), fwd("s"))))(types);
  types.addFunc("run", proto(0)(types), 1);
  types.addVar("v", 1, 1);
  types.addFloat("double", 8);
  return { offsets: strings.map((text) => types.addString(text)), bytes: types.build() };
}

const accessString = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 6 }).map((path) => path.join(":")),
  fc.string({ maxLength: 12 }).filter((text) => !text.includes("\0")),
  fc.stringMatching(/^[0-9:+\- x]{0,80}$/),
);
const insns = fc.uint8Array({ minLength: 0, maxLength: 40 });

describe("hostile input", () => {
  it("random access strings, kinds, types and instructions", () => {
    fc.assert(
      fc.property(accessString, fc.nat(40), fc.nat(13), fc.nat(5), insns, (access, typeId, kind, index, bytes) => {
        const { bytes: btf, offsets } = zoo([access]);
        const local = Btf.parse(btf);
        const record = { insnOffset: index * 8, typeId, accessOffset: offsets[0]!, kind };
        onlyOurErrors(() => new CoreRelocator(local, { kernel: local }).apply(bytes, record).description());
      }),
      { numRuns: 3000 },
    );
  });

  it("random records", () => {
    const { bytes } = zoo(["0:1:0"]);
    const local = Btf.parse(bytes);
    const relocator = new CoreRelocator(local, { kernel: local });
    const u32s = fc.oneof(fc.nat(64), fc.integer({ min: 0, max: 0xffffffff }));
    const records = fc.record({ insnOffset: u32s, typeId: u32s, accessOffset: u32s, kind: u32s });
    fc.assert(
      fc.property(records, insns, (record, code) => onlyOurErrors(() => relocator.apply(code, record))),
      { numRuns: 3000 },
    );
  });

  it("damaged types, local and target", () => {
    const { bytes, offsets } = zoo(["0:1:1:2", "0", "0:0", "0:2", "1"]);
    const damage = fc.array(fc.tuple(fc.nat(bytes.length - 25), fc.nat(255)), { minLength: 1, maxLength: 6 });
    const damaged = (changes: readonly (readonly [number, number])[]) => {
      const copy = bytes.slice();
      for (const [at, value] of changes) copy[24 + at] = value;
      return Btf.parse(copy);
    };
    fc.assert(
      fc.property(damage, damage, (ours, theirs) => {
        onlyOurErrors(() => {
          const relocator = new CoreRelocator(damaged(ours), { kernel: damaged(theirs) });
          for (let typeId = 1; typeId < 24; typeId++) {
            for (const accessOffset of offsets) {
              for (let kind = 0; kind <= 12; kind++) {
                onlyOurErrors(() => relocator.apply(new Uint8Array(16), { insnOffset: 0, typeId, accessOffset, kind }));
              }
            }
          }
        });
      }),
      { numRuns: 60 },
    );
  });
});
