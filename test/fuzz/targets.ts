// The table of fuzz targets: what bpfkit reads from strangers, each with its seeds, its damage and its use.

import { existsSync } from "node:fs";
import {
  Btf,
  BtfBuilder,
  BtfSubset,
  type BtfValue,
  compileCodec,
  essentialName,
  parseBtfExt,
} from "../../src/btf/index.js";
import { matchesGlob } from "../../src/glob.js";
import { loadKernelBtf, parseKconfig, pinPathIn } from "../../src/kernel/index.js";
import { parseKernelSymbols } from "../../src/kernel/kallsyms.js";
import { decodeKconfig, findKconfig } from "../../src/kernel/kconfig.js";
import { kernelName } from "../../src/kernel/kernel-name.js";
import { parseTraceable } from "../../src/kernel/traceable.js";
import { readInput } from "../../src/loader/open-input.js";
import { sanitizeBtf } from "../../src/loader/sanitize-btf.js";
import { fixLog } from "../../src/loader/verifier-fixup.js";
import { nearNames } from "../../src/near-names.js";
import { matchSection, openObject } from "../../src/object/index.js";
import { VerifierError } from "../../src/program/index.js";
import { fixtureBytes } from "../support/fixtures.js";
import { random as randomOf } from "../support/random.js";
import { mutateBtf } from "./mutate-btf.js";
import { mutateBlindly, pick } from "./mutate-bytes.js";
import { mutateObject } from "./mutate-object.js";
import { mutateText } from "./mutate-text.js";
import { isElf } from "./places.js";
import * as seeds from "./seeds.js";
import { attempt, type FuzzTarget, insist, pair, type Random, split } from "./target.js";
import { useArchive, useArguments, useBinary } from "./use-binary.js";
import { useObject } from "./use-object.js";

/** The value of `make`, made once. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** Types that CO-RE is applied against when no others are asked for. */
const coreTypes = once(() => openObject(fixtureBytes("core"), { name: "target" }).btf!);
const runningKernel = once(() => loadKernelBtf("the fuzzer"));
const base = once(() => Btf.parse(seeds.zoo(new BtfBuilder()).build()));

const decodeText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Applies `first` or `second` to the parts of a pair. */
function mutatePair(first: FuzzTarget["mutate"], second: FuzzTarget["mutate"]): FuzzTarget["mutate"] {
  return (input, random, other) => {
    const [a, b] = split(input);
    const [c, d] = split(other);
    const which = random(3);
    return pair(which !== 1 ? first(a, random, c) : a, which !== 0 ? second(b, random, d) : b);
  };
}

/** Blind damage in a few places. */
function mutateSeldom(input: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  let result = input;
  for (let rounds = 1 + random(4); rounds > 0; rounds--) result = mutateBlindly(result, random, other);
  return result;
}

/** Asks everything that can be asked of types. */
function walkTypes(btf: Btf): void {
  for (let id = 0; id <= btf.typeCount; id++) {
    const type = attempt(() => btf.type(id));
    attempt(() => btf.sizeOf(id));
    attempt(() => btf.alignOf(id));
    attempt(() => btf.resolve(id));
    attempt(() => btf.skipModifiers(id));
    attempt(() => {
      const name = btf.nameOf(id);
      btf.findByName(name);
      if (type !== undefined && type.kind !== "void") btf.findByName(name, type.kind);
      btf.idsByEssentialName(essentialName(name));
    });
  }
}

function useTypes(bytes: Uint8Array, under?: Btf): void {
  const options = under === undefined ? {} : { base: under };
  const checked = attempt(() => Btf.parse(bytes, options));
  const trusted = attempt(() => Btf.parse(bytes, { ...options, trusted: true }));
  if (trusted !== undefined) walkTypes(trusted);
  if (checked === undefined) return;
  walkTypes(checked);
  const again = BtfBuilder.from(checked).build();
  const copy = Btf.parse(again, options);
  insist(copy.typeCount === checked.typeCount, () => "a round trip through the builder changes the number of types");
  for (let id = checked.firstId; id < checked.typeCount; id++) {
    const [a, b] = [checked, copy].map((btf) =>
      JSON.stringify(
        attempt(() => btf.type(id)),
        bigintAsText,
      ),
    );
    insist(a === b, () => `a round trip through the builder changes type ${id}: ${a} ${b}`);
  }
  attempt(() => sanitizeBtf(checked, () => true));
  if (under === undefined) attempt(() => new BtfBuilder({ littleEndian: !checked.littleEndian }).build());
}

const bigintAsText = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}n` : value);

/** Larger values only cost time. */
const LARGEST_VALUE = 1 << 16;

/** Decodes bytes, and encodes what came out, also with parts replaced by what does not belong there. */
function useCodecs(bytes: Uint8Array, seed: number): void {
  const btf = attempt(() => Btf.parse(bytes));
  if (btf === undefined) return;
  const random = randomOf(seed);
  const ids = Array.from({ length: btf.typeCount }, (_, id) => id);
  for (const id of ids.length > 64 ? ids.filter(() => random(ids.length) < 64) : ids) {
    for (const codegen of [true, false]) {
      const int64 = random(2) === 0 ? ("bigint" as const) : ("number" as const);
      const codec = attempt(() => compileCodec(btf, id, { codegen, int64 }));
      if (codec === undefined || codec.size > LARGEST_VALUE) continue;
      const memory = Uint8Array.from({ length: codec.size + 8 }, () => (random(3) === 0 ? 0 : random(256)));
      const view = new DataView(memory.buffer);
      const value = attempt(() => codec.decode(view, random(9)));
      attempt(() => codec.decode(view, 9));
      if (value === undefined) continue;
      attempt(() => JSON.stringify(value, bigintAsText));
      attempt(() => codec.encode(view, 0, value));
      for (let i = 0; i < 4; i++) attempt(() => codec.encode(view, random(9), odd(value, random)));
      const record = attempt(() => codec.decodeRecord(view, 0, codec.size + random(9)));
      attempt(() => codec.encodeRecord(view, 0, codec.size + random(9), record ?? odd(value, random)));
      attempt(() => codec.ofLength(codec.size + random(9)).decode(view, 0));
    }
    attempt(() => new BtfSubset(btf, new BtfBuilder({ littleEndian: btf.littleEndian })).copy(id));
  }
}

/** A value with one part replaced. */
function odd(value: BtfValue, random: Random): BtfValue {
  if (random(3) > 0 && typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
    if (Array.isArray(value)) {
      const copy = value.slice(0, 100) as BtfValue[];
      if (copy.length > 0) copy[random(copy.length)] = odd(copy[0]!, random);
      return copy;
    }
    const copy: Record<string, BtfValue> = { ...(value as Record<string, BtfValue>) };
    const keys = Object.keys(copy);
    if (keys.length === 0) return oddity(random);
    const key = pick(keys, random);
    if (random(6) === 0) delete copy[key];
    else copy[random(8) === 0 ? "unknown" : key] = odd(copy[key]!, random);
    return copy;
  }
  return oddity(random);
}

const circle: { self?: BtfValue } = {};
circle.self = circle as BtfValue;
const sparse: BtfValue[] = [];
sparse[3] = 1;
const oddities: readonly unknown[] = [
  ...[0, -0, 1, -1, 0.5, NaN, Infinity, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 64, 1e300, 0n, -1n, 1n << 64n, 1n << 200n],
  ...[true, false, null, undefined, "", "x", "\0", "a\0b", "\ud800", "é".repeat(40), "red", "nope", [], [1], sparse],
  ...[{}, { length: 3 }, circle, new Uint8Array(0), new Uint8Array(8), new Uint8Array(4096), new Map(), new Date(0)],
  ...[Symbol("x"), () => 1, new DataView(new ArrayBuffer(8)), Object.create(null), new Float64Array(2)],
];

function oddity(random: Random): BtfValue {
  return oddities[random(oddities.length)] as BtfValue;
}

const names = ["_stext", "a", "jiffies", "x", "bpf_prog_run"];

export const targets: readonly FuzzTarget[] = [
  {
    name: "object",
    seeds: seeds.objects,
    mutate: mutateObject,
    run: (bytes) => useObject(bytes, { btf: coreTypes(), running: false }),
  },
  {
    name: "object-kernel",
    seeds: seeds.objects,
    mutate: mutateObject,
    run: (bytes) => useObject(bytes, { btf: runningKernel(), running: true }),
    missing: () => (existsSync("/sys/kernel/btf/vmlinux") ? undefined : "the kernel shows no types"),
  },
  {
    name: "object-target",
    seeds: () => seeds.objects().map((object) => pair(object, coreTypes().bytes.slice())),
    mutate: mutatePair(mutateObject, mutateBtf),
    run: (bytes) => {
      const [object, types] = split(bytes);
      const btf = attempt(() => Btf.parse(types)) ?? attempt(() => Btf.parse(types, { trusted: true }));
      if (btf !== undefined) useObject(object, { btf, running: false });
    },
  },
  { name: "btf", seeds: seeds.typeInformation, mutate: mutateBtf, run: (bytes) => useTypes(bytes) },
  {
    name: "btf-split",
    seeds: () => [seeds.zoo(new BtfBuilder({ base: base() })).build()],
    mutate: (bytes, random, other) => mutateBtf(bytes, random, other, base()),
    run: (bytes) => useTypes(bytes, base()),
  },
  {
    name: "btf-ext",
    seeds: () => seeds.extendedTypes().map(([btf, ext]) => pair(btf, ext)),
    mutate: mutatePair(mutateBtf, (bytes, random, other) => {
      const copy = bytes.slice();
      for (let changes = 1 + random(4); changes > 0; changes--) {
        if (copy.length >= 4)
          new DataView(copy.buffer).setUint32(
            random(copy.length >> 2) * 4,
            random(2) === 0 ? random(64) : random(0xffffffff),
            true,
          );
      }
      return random(3) === 0 ? mutateBlindly(copy, random, other) : copy;
    }),
    run: (bytes) => {
      const [types, ext] = split(bytes);
      const btf = attempt(() => Btf.parse(types));
      if (btf === undefined) return;
      const parsed = attempt(() => parseBtfExt(ext, btf));
      if (parsed === undefined) return;
      const parts = [parsed.funcInfo, parsed.lineInfo, parsed.coreRelocations].flat();
      const count = parts.reduce((sum, { records }) => sum + records.length, 0);
      insist(count <= ext.length / 8, () => `${count} records in ${ext.length} bytes`);
    },
  },
  {
    name: "codec",
    seeds: () => seeds.typeInformation().map((btf, i) => pair(btf, Uint8Array.of(i, 0, 0, 0))),
    mutate: mutatePair(mutateBtf, (_, random) => Uint8Array.from({ length: 4 }, () => random(256))),
    run: (bytes) => {
      const [types, seed] = split(bytes);
      useCodecs(
        types,
        seed.reduce((sum, byte) => sum * 256 + byte, 0),
      );
    },
  },
  {
    name: "kernel-btf-option",
    seeds: () => [...seeds.foreignImages(), ...seeds.typeInformation(), fixtureBytes("core"), fixtureBytes("core.eb")],
    mutate: (bytes, random, other) =>
      isElf(bytes) ? mutateObject(bytes, random, other) : mutateBtf(bytes, random, other),
    run: (bytes) => {
      const btf = attempt(() => readInput(fixtureBytes("core"), { kernelBtf: bytes }))?.kernelBtf;
      if (btf !== undefined) walkTypes(btf);
    },
  },
  {
    name: "kconfig",
    seeds: seeds.kconfigTexts,
    mutate: mutateText,
    run: (bytes) => {
      attempt(() => parseKconfig(decodeText(bytes)));
      const text = attempt(() => decodeKconfig(bytes));
      if (text !== undefined) attempt(() => findKconfig(text, new Set(["CONFIG_HZ", "CONFIG_BPF", "CONFIG_"])));
    },
  },
  {
    name: "kallsyms",
    seeds: seeds.kallsymsTexts,
    mutate: mutateText,
    run: (bytes) => {
      attempt(() => parseKernelSymbols(bytes, names));
      attempt(() => parseKernelSymbols(bytes, decodeText(bytes).split(/[ \t\n]/)));
    },
  },
  {
    name: "traceable",
    seeds: seeds.traceableTexts,
    mutate: mutateText,
    run: (bytes) => {
      const text = decodeText(bytes);
      for (const addresses of [true, false]) {
        const found = parseTraceable(text, "*", addresses);
        insist(found.length <= text.split("\n").length, () => `${found.length} functions`);
        parseTraceable(text, text.slice(0, 40), addresses);
      }
    },
  },
  {
    name: "verifier-log",
    seeds: seeds.verifierLogs,
    mutate: mutateText,
    run: (bytes) => {
      const text = decodeText(bytes);
      const details = { program: "p", section: "s", errno: 22, errnoName: "EINVAL" };
      const { maps, externs } = externsObject();
      const { log } = fixLog(text, { coreAt: (index) => (index % 2 === 0 ? "x" : undefined), maps, externs });
      for (const each of [text, log]) {
        const { reason, insnIndex } = new VerifierError({ ...details, log: each });
        insist(reason !== "", () => "a refusal without a reason");
        insist(insnIndex === undefined || insnIndex >= 0, () => `instruction ${insnIndex}`);
      }
    },
  },
  {
    name: "user-binary",
    seeds: seeds.userBinaries,
    mutate: (bytes, random, other) =>
      random(3) === 0 ? mutateObject(bytes, random, other) : mutateSeldom(bytes, random, other),
    run: useBinary,
  },
  { name: "user-archive", seeds: seeds.archives, mutate: mutateSeldom, run: useArchive },
  {
    name: "usdt-arguments",
    seeds: seeds.usdtArguments,
    mutate: mutateText,
    run: (bytes) => {
      const text = decodeText(bytes);
      // EM_X86_64, EM_AARCH64, EM_S390.
      for (const machine of [62, 183, 22]) {
        useArguments(text, machine);
        for (const part of text.split(" ", 100)) useArguments(part, machine);
      }
    },
  },
  {
    name: "names",
    seeds: seeds.nameTexts,
    mutate: mutateText,
    run: (bytes) => {
      const text = decodeText(bytes);
      matchSection(text);
      essentialName(text);
      matchesGlob(names.join(), text);
      matchesGlob(text, "a*b*c*_?");
      insist(kernelName(text).length <= 15, () => "a name that is too long for the kernel");
      nearNames(text.slice(0, 4000), names);
      const path = attempt(() => pinPathIn("/sys/fs/bpf/x", text));
      insist(path === undefined || /^\/sys\/fs\/bpf\/x\/[^/.\0]+$/.test(path), () => `a pin at ${path}`);
    },
  },
];

const externsObject = once(() => openObject(fixtureBytes("externs"), { name: "externs" }));
