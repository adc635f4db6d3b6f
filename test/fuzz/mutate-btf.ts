// Damage to type information that stays readable: types in the place of others, circles, deep nesting, odd names.

import { Btf, BtfBuilder, type BtfTypeInput } from "../../src/btf/index.js";
import { LARGEST, mutateBlindly, mutatePlace, pick } from "./mutate-bytes.js";
import { attempt, type Random } from "./target.js";

const names = ["", "a", ".maps", ".data", ".bss", ".kconfig", ".ksyms", "arg:ctx", "exception_callback:x", "__proto__"];
const oddNames = ["constructor", "toString", "x___y", "___", "?x", "task_struct", "bpf_struct_ops_x", "a".repeat(300)];
const numbers = [0, 1, 2, 3, 4, 8, 16, 31, 32, 63, 64, 255, 256, 65535, 65536, 0x3fffffff, 0x7fffffff, 0xffffffff];

/** A type of any kind whose references exist. */
function anyType(count: number, random: Random): BtfTypeInput {
  const type = random(count);
  const name = pick(random(2) === 0 ? names : oddNames, random);
  const size = pick(numbers, random);
  const bitOffset = (): number => pick(numbers.slice(0, -4), random);
  const list = <T>(make: () => T): T[] => Array.from({ length: random(6) }, make);
  const members = list(() => ({ name: pick(names, random), type: random(count), bitOffset: bitOffset(), bitSize: 0 }));
  switch (random(16)) {
    case 0:
      return {
        kind: "int",
        name,
        size: pick([1, 2, 4, 8, 16, 3, 0], random),
        bits: random(129),
        bitOffset: random(64),
        signed: random(2) === 0,
        char: random(4) === 0,
        bool: random(4) === 0,
      };
    case 1:
      return { kind: "ptr", name: "", type };
    case 2:
      return { kind: "array", name: "", elementType: type, indexType: random(count), count: size };
    case 3:
      return { kind: "struct", name, size, members };
    case 4:
      return { kind: "union", name, size, members };
    case 5: {
      const bits = members.map((member) => ({
        ...member,
        bitOffset: member.bitOffset & 0xffffff,
        bitSize: random(256),
      }));
      return { kind: "struct", name, size, members: bits };
    }
    case 6:
      return { kind: "typedef", name, type };
    case 7:
      return { kind: pick(["const", "volatile", "restrict"] as const, random), name: "", type };
    case 8:
      return { kind: "typeTag", name, type };
    case 9:
      return { kind: "declTag", name, type, componentIndex: pick([-1, 0, 1, 2, 0x7fffffff], random) };
    case 10:
      return {
        kind: "funcProto",
        name: "",
        returnType: type,
        params: list(() => ({ name: pick(names, random), type: random(count) })),
      };
    case 11:
      return { kind: "func", name, type, linkage: pick([0, 1, 2] as const, random) };
    case 12:
      return { kind: "var", name, type, linkage: pick([0, 1, 2] as const, random) };
    case 13:
      return {
        kind: "datasec",
        name,
        size,
        variables: list(() => ({ type: random(count), offset: bitOffset(), size: pick(numbers, random) })),
      };
    case 14:
      return {
        kind: "enum",
        name,
        size: pick([1, 2, 4, 8, 3], random),
        signed: false,
        values: list(() => ({ name: pick(names, random), value: random(0xffffffff) })),
      };
    default:
      return random(2) === 0
        ? { kind: "fwd", name, union: random(2) === 0 }
        : { kind: "float", name, size: pick([2, 4, 8, 12, 16, 3], random) };
  }
}

/** A chain of types that refer to each other, ending where it began or at any type. */
function addChain(builder: BtfBuilder, random: Random): void {
  const length = pick([2, 3, 31, 32, 33, 64, 65, 300], random);
  const first = builder.nextId;
  const end = random(2) === 0 ? first : random(first);
  const kind = random(5);
  for (let i = 0; i < length; i++) {
    const next = i === length - 1 ? end : first + i + 1;
    const member = { name: random(2) === 0 ? "" : "m", type: next, bitOffset: 0, bitSize: 0 };
    if (kind === 0) builder.addTypedef("t", next);
    else if (kind === 1) builder.addConst(next);
    else if (kind === 2) builder.addArray(next, next, pick([1, 2, 1000], random));
    else if (kind === 3) builder.addPtr(next);
    else builder.addStruct("s", 8, random(2) === 0 ? [member, { ...member, name: "n" }] : [member]);
  }
  const reference = 1 + random(first);
  if (reference < first && first > 1)
    attempt(() => builder.replaceType(reference, { kind: "typedef", name: "chain", type: first }));
}

/** A damaged copy of raw type information, `base` its base if it has one. */
export function mutateBtf(bytes: Uint8Array, random: Random, other: Uint8Array, base?: Btf): Uint8Array {
  let result = bytes;
  for (let rounds = 1 + random(3); rounds > 0; rounds--) {
    const kind = random(8);
    if (kind < 3) {
      const copy = result.slice();
      for (let changes = 1 + random(4); changes > 0; changes--) mutatePlace(copy, result, random);
      result = copy;
    } else if (kind < 7) {
      result = rebuilt(result, random, base) ?? mutateBlindly(result, random, other);
    } else {
      result = mutateBlindly(result, random, other);
    }
  }
  return result.length > LARGEST ? bytes : result;
}

function rebuilt(bytes: Uint8Array, random: Random, base: Btf | undefined): Uint8Array | undefined {
  return attempt(() => {
    const btf = Btf.parse(bytes, { trusted: true, ...(base === undefined ? {} : { base }) });
    const builder = BtfBuilder.from(btf);
    if (random(4) === 0) addChain(builder, random);
    for (let changes = random(5); changes > 0 && btf.typeCount > btf.firstId; changes--) {
      const id = btf.firstId + random(btf.typeCount - btf.firstId);
      const old = btf.type(id);
      // Often the same kind with another number, so that what refers to it goes on.
      if (random(2) === 0 && "type" in old)
        builder.replaceType(id, { ...old, type: random(builder.nextId) } as BtfTypeInput);
      else if (random(2) === 0 && "size" in old)
        builder.replaceType(id, { ...old, size: pick(numbers, random) } as BtfTypeInput);
      else if (random(2) === 0 && "name" in old && old.kind !== "void")
        builder.replaceType(id, { ...old, name: pick(names, random) } as BtfTypeInput);
      else builder.replaceType(id, anyType(builder.nextId, random));
    }
    return builder.build(random(8) === 0 ? { layout: true } : {});
  });
}
