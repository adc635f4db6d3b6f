// Readers as generated JavaScript: one function per struct and large array, every offset a literal. Decoding an event is
// then what one would write by hand, 7 to 10 times faster than following a description (typescript.md 7).
//
// What goes into source text: numbers of checked plans, names through JSON.stringify, nothing else.

import { isNarrow, readWideBits } from "./codec-bits.js";
import { readInt128 } from "./codec-interpreter.js";
import type { BitsPlan, CompositePlan, IntPlan, Plan } from "./codec-plan.js";
import { readBytes, readText, shortText } from "./codec-strings.js";
import { type Reader, unionClass } from "./codec-value.js";
import { LOW, s64, u64, words } from "./codec-words.js";

/** Larger types are left to the interpreter: V8 does not optimise functions of that size anyway. */
const MAX_FIELDS = 4096;
/** Arrays up to this length are written out. */
const MAX_UNROLLED = 8;

/** What generated code may call, by the names it uses. */
const runtime = { readBytes, readInt128, readText, readWideBits, s64, shortText, u64, unionClass, words };

let allowed: boolean | undefined;

/** True when the runtime allows code generation. Asked once. */
export function canGenerate(): boolean {
  if (allowed === undefined) {
    try {
      allowed = new Function("return true")() === true;
    } catch {
      allowed = false;
    }
  }
  return allowed;
}

/**
 * The generated reader of a plan; undefined when the plan is too large for it.
 *
 * It checks the bounds itself: a function around it that all codecs share would not be inlined, and comparing with
 * `byteLength` is dear. Loads are checked by the engine anyway, so the last byte is loaded first,
 * and only when that fails does `checkBounds` find the words.
 */
export function generateReader(
  plan: Plan,
  littleEndian: boolean,
  checkBounds: (view: DataView, offset: number) => void,
): Reader | undefined {
  const generator = new Generator(littleEndian);
  const body = generator.body(plan);
  if (generator.fields > MAX_FIELDS) return undefined;
  const source = [
    `"use strict";`,
    `const { ${Object.keys(runtime).join(", ")} } = runtime;`,
    ...generator.declarations,
    `return (v, o) => {`,
    `try { ${plan.size > 0 ? `v.getUint8(${place(plan.size - 1)}); ` : ""}return ${body}; }`,
    `catch (error) { checkBounds(v, o); throw error; }`,
    `};`,
  ].join("\n");
  return new Function("runtime", "constants", "checkBounds", source)(
    runtime,
    generator.constants,
    checkBounds,
  ) as Reader;
}

class Generator {
  readonly declarations: string[] = [];
  /** Objects that generated code refers to as `constants[i]`. */
  readonly constants: unknown[] = [];
  fields = 0;
  readonly #names = new Map<Plan, string>();
  readonly #little: boolean;

  constructor(littleEndian: boolean) {
    this.#little = littleEndian;
  }

  /** Source of an expression for the outermost value, which lies at `o` in `v`. */
  body(plan: Plan): string {
    return `(${plan.kind === "struct" ? this.#object(plan) : this.expression(plan, 0)})`;
  }

  /** Source of an expression for the value `at` bytes after `o` in the view `v`. */
  expression(plan: Plan, at: number): string {
    const little = this.#little;
    const o = place(at);
    switch (plan.kind) {
      case "int":
        return this.#int(plan, at);
      case "bool":
        return `v.getUint${plan.size * 8}(${o}) !== 0`;
      case "float":
        return `v.getFloat${plan.size * 8}(${o}, ${little})`;
      case "bits":
        return this.#bits(plan, at);
      case "text":
        return text(plan.size, at);
      case "bytes":
        return `readBytes(v, ${o}, ${plan.size})`;
      case "array":
        if (plan.count <= MAX_UNROLLED && plan.element.height === 1) {
          this.fields += plan.count;
          const { element, count } = plan;
          return `[${Array.from({ length: count }, (_, i) => this.expression(element, at + i * element.size)).join(", ")}]`;
        }
        return `${this.#named(plan)}(v, ${o})`;
      case "struct":
        return `${this.#named(plan)}(v, ${o})`;
      case "union":
        return `new ${this.#named(plan)}(readBytes(v, ${o}, ${plan.size}))`;
    }
  }

  /** The name of the declaration that stands for `plan`; declares it, after what it refers to, at the first call. */
  #named(plan: Plan): string {
    let name = this.#names.get(plan);
    if (name === undefined) {
      const source = this.#declare(plan);
      name = `d${this.#names.size}`;
      this.#names.set(plan, name);
      this.declarations.push(`const ${name} = ${source};`);
    }
    return name;
  }

  #declare(plan: Plan): string {
    switch (plan.kind) {
      case "struct":
        return `(v, o) => (${this.#object(plan)})`;
      case "union":
        return `unionClass([${this.#members(
          plan,
          (name, value) => `{ name: ${JSON.stringify(name)}, offset: 0, read: (v, o) => (${value}) }`,
        )}])`;
      case "array": {
        const element = this.expression(plan.element, 0);
        const end = `const end = o + ${plan.size};`;
        // Elements without a size have no end to reach.
        const loop =
          plan.element.size > 0
            ? `${end} for (; o < end; o += ${plan.element.size}) a.push(${element});`
            : `for (let i = 0; i < ${plan.count}; i++) a.push(${element});`;
        return `(v, o) => { const a = []; ${loop} return a; }`;
      }
      default:
        throw new Error(`a plan of kind ${plan.kind} needs no declaration`);
    }
  }

  #object(plan: CompositePlan): string {
    // A computed key makes an own property of `__proto__` too; of the other names a literal key does, and faster.
    return `{ ${this.#members(plan, (name, value) => `${key(name)}: ${value}`)} }`;
  }

  #members(plan: CompositePlan, entry: (name: string, value: string) => string): string {
    this.fields += plan.fields.length;
    // Source that is thrown away in the end need not be made.
    if (this.fields > MAX_FIELDS) return "";
    return plan.fields.map((field) => entry(field.name, this.expression(field.plan, field.offset))).join(", ");
  }

  #int({ size, signed, result }: IntPlan, at: number): string {
    const little = this.#little;
    const sign = signed ? "Int" : "Uint";
    switch (size) {
      case 1:
        return `v.get${sign}8(${place(at)})`;
      case 2:
      case 4:
        return `v.get${sign}${size * 8}(${place(at)}, ${little})`;
      case 8: {
        const [low, high] = little ? [at, at + 4] : [at + 4, at];
        const lowWord = `v.getUint32(${place(low)}, ${little})`;
        if (result === "number") return `v.get${sign}32(${place(high)}, ${little}) * 4294967296 + ${lowWord}`;
        const highWord = `v.getUint32(${place(high)}, ${little})`;
        return `(words[${LOW}] = ${lowWord}, words[${1 - LOW}] = ${highWord}, ${signed ? "s64" : "u64"}[0])`;
      }
      case 16:
        return `readInt128(v, ${place(at)}, ${signed}, ${little})`;
    }
  }

  #bits({ slot, signed, result }: BitsPlan, at: number): string {
    const { bits, shift } = slot;
    let value: string;
    if (isNarrow(slot) && result !== "bigint") {
      const left = 32 - shift - bits;
      value = `(${this.#unit(slot.bytes, at)}${left > 0 ? ` << ${left}` : ""}) ${signed ? ">>" : ">>>"} ${32 - bits}`;
    } else {
      this.constants.push(slot);
      value = `readWideBits(v, ${place(at)}, constants[${this.constants.length - 1}], ${signed})`;
      if (result !== "bigint") value = `Number(${value})`;
    }
    return result === "boolean" ? `(${value}) !== 0` : value;
  }

  #unit(bytes: number, at: number): string {
    if (bytes === 1) return `v.getUint8(${place(at)})`;
    if (bytes === 2) return `v.getUint16(${place(at)}, ${this.#little})`;
    if (bytes === 4) return `v.getUint32(${place(at)}, ${this.#little})`;
    return this.#little
      ? `(v.getUint16(${place(at)}, true) | v.getUint8(${place(at + 2)}) << 16)`
      : `(v.getUint16(${place(at)}, false) << 8 | v.getUint8(${place(at + 2)}))`;
  }
}

function place(at: number): string {
  return at === 0 ? "o" : `o + ${at}`;
}

function key(name: string): string {
  return name === "__proto__" ? `["__proto__"]` : JSON.stringify(name);
}

/** Texts of up to four words are looked up by these words, loaded in place. */
function text(length: number, at: number): string {
  if (length > 16 || length === 0) return `readText(v, ${place(at)}, ${length})`;
  const loads: string[] = [];
  for (let i = 0; i < 16; i += 4) loads.push(word(length - i, at + i));
  return `shortText(v, ${place(at)}, ${length}, ${loads.join(", ")})`;
}

/** The little-endian word at `at`, of which `available` bytes belong to the text. */
function word(available: number, at: number): string {
  if (available >= 4) return `v.getInt32(${place(at)}, true)`;
  if (available === 3) return `v.getUint16(${place(at)}, true) | v.getUint8(${place(at + 2)}) << 16`;
  if (available === 2) return `v.getUint16(${place(at)}, true)`;
  return available === 1 ? `v.getUint8(${place(at)})` : "0";
}
