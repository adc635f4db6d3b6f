// Random types with random values, laid out by a C compiler: what clang writes into .data decodes to the values of the
// source, and encodes to the same bytes; and the printer says what the source says. Nothing is run.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type BtfValue, compileCodec, formatJson } from "../../src/btf/index.js";
import { BpfObject } from "../../src/index.js";
import { random } from "../support/random.js";

const clang = process.env.CLANG ?? "clang-19";
const available = spawnSync(clang, ["--version"]).status === 0;
const TYPES = 60;

/** A type in C, and a value of it in C and in JavaScript. */
interface Sample {
  /** The declaration of a thing of this name. */
  readonly declare: (name: string) => string;
  readonly initializer: string;
  readonly value: BtfValue;
  /** Usable as a bitfield: widths to choose from. */
  readonly integer?: { readonly c: string; readonly bits: number; readonly signed: boolean; readonly big: boolean };
}

class Generator {
  readonly #below: (limit: number) => number;
  readonly #littleEndian: boolean;
  #count = 0;
  readonly definitions: string[] = [];

  constructor(seed: number, littleEndian: boolean) {
    this.#below = random(seed);
    this.#littleEndian = littleEndian;
  }

  sample(depth: number): Sample {
    const kinds = depth > 0 ? 14 : 8;
    switch (this.#below(kinds)) {
      case 0:
      case 1:
      case 2:
        return this.#integer();
      case 3:
        return { declare: (name) => `_Bool ${name}`, initializer: "1", value: true };
      case 4: {
        const value = (this.#below(4001) - 2000) / 8;
        const type = this.#below(2) === 0 ? "float" : "double";
        return { declare: (name) => `${type} ${name}`, initializer: `(${type})${value}`, value };
      }
      case 5:
        return this.#enum();
      case 6:
        return this.#text();
      case 7: {
        const address = BigInt(this.#below(2 ** 31));
        return { declare: (name) => `void *${name}`, initializer: `(void *)${address}ULL`, value: address };
      }
      case 8:
        return this.#array(depth);
      default:
        return this.#struct(depth);
    }
  }

  #integer(): Sample {
    const types = [
      ["signed char", 8, true],
      ["unsigned char", 8, false],
      ["short", 16, true],
      ["unsigned short", 16, false],
      ["int", 32, true],
      ["unsigned int", 32, false],
      ["long long", 64, true],
      ["unsigned long long", 64, false],
      ["__int128", 128, true],
    ] as const;
    const [c, bits, signed] = types[this.#below(types.length)]!;
    const value = this.#bits(bits, signed);
    return {
      declare: (name) => `${c} ${name}`,
      initializer: literal(value, bits),
      value: bits > 32 ? value : Number(value),
      ...(bits <= 64 && { integer: { c, bits, signed, big: bits > 32 } }),
    };
  }

  #bits(bits: number, signed: boolean): bigint {
    let value = 0n;
    for (let i = 0; i < bits; i += 16) value = (value << 16n) | BigInt(this.#below(0x10000));
    // Edges more often than chance would have them.
    const edge = this.#below(8);
    if (edge === 0) value = 0n;
    if (edge === 1) value = -1n;
    if (edge === 2) value = 1n << BigInt(bits - 1);
    return signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  }

  #enum(): Sample {
    const name = `e${this.#count++}`;
    const wide = this.#below(3) === 0;
    const values = wide ? [1n, (1n << 63n) + 5n] : [-7n, 0n, 2147483647n];
    const items = values.map((value, i) => `${name}_${i} = ${literal(value, 64)}`);
    this.definitions.push(`enum ${name} { ${items.join(", ")} };`);
    const chosen = this.#below(values.length);
    const value = values[chosen]!;
    return {
      declare: (of) => `enum ${name} ${of}`,
      initializer: `${name}_${chosen}`,
      value: wide ? value : Number(value),
    };
  }

  #text(): Sample {
    const length = 1 + this.#below(40);
    const used = this.#below(length + 1);
    const codes = Array.from({ length: used }, () => 97 + this.#below(26));
    if (this.#below(2) === 0) {
      const list = Array.from({ length }, (_, i) => codes[i] ?? 0);
      return {
        declare: (name) => `unsigned char ${name}[${length}]`,
        initializer: `{ ${list.join(", ")} }`,
        value: new Uint8Array(list),
      };
    }
    const text = String.fromCharCode(...codes);
    return { declare: (name) => `char ${name}[${length}]`, initializer: `"${text}"`, value: text };
  }

  #array(depth: number): Sample {
    const length = 1 + this.#below(5);
    const first = this.#integerOrStruct(depth - 1);
    // One type, so one sample: its values differ where they are left out.
    const used = 1 + this.#below(length);
    const zero = zeroOf(first.value);
    return {
      declare: (name) => first.declare(`${name}[${length}]`),
      initializer: `{ ${Array.from({ length: used }, () => first.initializer).join(", ")} }`,
      value: Array.from({ length }, (_, i) => (i < used ? first.value : zero)),
    };
  }

  /** Not of one byte, which would be text or bytes. */
  #integerOrStruct(depth: number): Sample {
    for (;;) {
      const sample = this.#below(2) === 0 || depth <= 0 ? this.#integer() : this.#struct(depth);
      if (sample.integer?.bits !== 8 || sample.integer.c === "signed char") return sample;
    }
  }

  #struct(depth: number): Sample {
    const name = `s${this.#count++}`;
    const { body, initializer, value } = this.#members(depth, `${name}_`);
    const attribute = ["", "", " __attribute__((packed))", " __attribute__((aligned(32)))"][this.#below(4)]!;
    this.definitions.push(`struct ${name} { ${body} }${attribute};`);
    return { declare: (of) => `struct ${name} ${of}`, initializer, value: Object.fromEntries(value) };
  }

  #members(depth: number, prefix: string): { body: string; initializer: string; value: [string, BtfValue][] } {
    const bodies: string[] = [];
    const initializers: string[] = [];
    const value: [string, BtfValue][] = [];
    const count = 1 + this.#below(7);
    for (let i = 0; i < count; i++) {
      const name = `${prefix}m${i}`;
      const choice = this.#below(10);
      if (choice === 0 && depth > 1) {
        const inner = this.#members(depth - 1, `${name}_`);
        bodies.push(`struct { ${inner.body} };`);
        initializers.push(inner.initializer);
        value.push(...inner.value);
      } else if (choice === 1) {
        bodies.push(`unsigned int : ${this.#below(12)};`);
      } else if (choice === 2) {
        // A union of an integer and its bytes: what one says, the other shows.
        const word = this.#bits(32, false);
        bodies.push(`union { unsigned int ${name}_word; unsigned short ${name}_halves[2]; };`);
        initializers.push(`{ .${name}_word = ${literal(word, 32)} }`);
        const halves = [Number(word & 0xffffn), Number(word >> 16n)];
        if (!this.#littleEndian) halves.reverse();
        value.push([`${name}_word`, Number(word)], [`${name}_halves`, halves]);
      } else {
        const sample = this.sample(depth - 1);
        const { integer } = sample;
        if (integer !== undefined && this.#below(2) === 0) {
          const width = 1 + this.#below(integer.bits);
          const bits = this.#bits(width, integer.signed);
          bodies.push(`${integer.c} ${name} : ${width};`);
          initializers.push(`.${name} = ${literal(bits, 64)}`);
          value.push([name, integer.big ? bits : Number(bits)]);
        } else {
          const aligned = this.#below(12) === 0 ? " __attribute__((aligned(16)))" : "";
          bodies.push(`${sample.declare(name)}${aligned};`);
          initializers.push(`.${name} = ${sample.initializer}`);
          value.push([name, sample.value]);
        }
      }
    }
    if (value.length === 0) return this.#members(depth, prefix);
    return { body: bodies.join(" "), initializer: `{ ${initializers.join(", ")} }`, value };
  }
}

function literal(value: bigint, bits: number): string {
  if (bits === 128) {
    const unsigned = BigInt.asUintN(128, value);
    return `(__int128)(((unsigned __int128)${unsigned >> 64n}ULL << 64) | ${unsigned & 0xffffffffffffffffn}ULL)`;
  }
  if (value === -(1n << 63n)) return "(-9223372036854775807LL - 1)";
  return value < 0n ? `${value}LL` : `${value}ULL`;
}

function zeroOf(value: BtfValue): BtfValue {
  if (typeof value === "bigint") return 0n;
  if (typeof value === "number") return 0;
  if (typeof value === "boolean") return false;
  if (typeof value === "string") return "";
  if (value instanceof Uint8Array) return new Uint8Array(value.length);
  if (Array.isArray(value)) return value.map(zeroOf);
  return Object.fromEntries(Object.entries(value as object).map(([name, member]) => [name, zeroOf(member)]));
}

/** An object whose .data holds the samples as x0, x1, … */
function compile(seed: number, target: string): { object: BpfObject; samples: Sample[] } {
  const generator = new Generator(seed, target === "bpfel");
  const samples = Array.from({ length: TYPES }, () => generator.sample(3));
  const variables = samples.map((sample, i) => {
    const declaration = sample.declare(`x${i}`);
    return `${declaration} __attribute__((section(".data"))) = ${sample.initializer};`;
  });
  const source = [...generator.definitions, ...variables, ""].join("\n");
  const directory = mkdtempSync(join(tmpdir(), "bpfkit-layouts-"));
  try {
    const [input, output] = [join(directory, "types.c"), join(directory, "types.o")];
    writeFileSync(input, source);
    execFileSync(clang, ["-target", target, "-g", "-O2", "-w", "-c", input, "-o", output], { stdio: "pipe" });
    return { object: BpfObject.open(output), samples };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const title = "types laid out by clang";
describe.skipIf(!available && process.env.CI === undefined)(available ? title : `${title} [no ${clang} here]`, () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const target = seed % 3 === 0 ? "bpfeb" : "bpfel";
    it(`decode, encode and print as the source says (seed ${seed}, ${target})`, () => {
      const { object, samples } = compile(seed, target);
      const btf = object.btf!;
      const image = object.map(".data").initialValue!;
      const datasec = btf.type(btf.findByName(".data", "datasec")!);
      if (datasec.kind !== "datasec") throw new Error("no .data");
      const view = new DataView(image.buffer);
      expect(datasec.variables.length).toBe(TYPES);
      for (const { type, offset } of datasec.variables) {
        const variable = btf.type(type);
        if (variable.kind !== "var") continue;
        const { value } = samples[Number(variable.name.slice(1))]!;
        for (const codegen of [true, false]) {
          const codec = compileCodec(btf, variable.type, { codegen });
          expect(codec.decode(view, offset), variable.name).toEqual(value);
          const encoded = new Uint8Array(codec.size);
          codec.encode(new DataView(encoded.buffer), 0, value);
          expect(encoded, variable.name).toEqual(image.slice(offset, offset + codec.size));
        }
        // Live views see the same, and JSON says it.
        expect(object.data[variable.name], variable.name).toEqual(value);
        object.data[variable.name] = value;
        expect(() => JSON.parse(formatJson(btf, variable.type, image.subarray(offset)))).not.toThrow();
      }
      expect(object.map(".data").initialValue).toEqual(image);
      object.close();
    });
  }
});
