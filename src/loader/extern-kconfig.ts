// Kconfig externs get their values: configuration options from the user's text or the kernel's own, and what this library
// finds out itself, `LINUX_…` (libbpf.md 3.5).

import { ObjectError, UnsupportedError, withLocation } from "../errors.js";
import { type KconfigValues, kconfigPaths, readKconfig, virtualValues } from "../kernel/index.js";
import { log } from "../log.js";
import type { KconfigExternSpec } from "../object/index.js";
import type { FileDescriptor } from "../syscall/index.js";

/**
 * Writes the values of `externs` into the image of the map `.kconfig`, which is all zeros. What is weak and not set
 * stays zero, also where the kernel does not tell its configuration.
 *
 * libbpf: first half of `bpf_object__resolve_externs`.
 * @param given values that count more than the kernel's
 * @param token BPF token to ask the kernel with
 * @throws UnsupportedError for a strong extern that is not set, ObjectError for one whose type its value does not fit
 */
export function fillKconfig(
  externs: readonly KconfigExternSpec[],
  image: Uint8Array,
  given: KconfigValues | undefined,
  token?: FileDescriptor | undefined,
): void {
  const missing = new Map(externs.map((extern) => [extern.name, extern]));
  const take = (lookUp: (name: string) => string | undefined): void => {
    for (const [name, extern] of missing) {
      const value = lookUp(name);
      if (value === undefined) continue;
      withLocation({ section: ".kconfig" }, () => write(image, extern, value));
      missing.delete(name);
    }
  };

  take((name) => virtualValue(name, token));
  for (const { name, weak } of missing.values()) {
    if (!name.startsWith("CONFIG_") && !(weak && name.startsWith("LINUX_"))) throw unknownName(name);
  }
  take((name) => given?.get(name));
  const wanted = new Set([...missing.keys()].filter((name) => name.startsWith("CONFIG_")));
  const kernel = wanted.size === 0 ? undefined : readKconfig(wanted);
  take((name) => kernel?.get(name));

  for (const { name, weak } of missing.values()) {
    if (!weak) throw notSet(name, kernel !== undefined);
    log.debug(() => `weak extern ${name}: not set, so it is zero`);
  }
}

/** In the way in which Kconfig writes numbers. */
function virtualValue(name: string, token: FileDescriptor | undefined): string | undefined {
  const value = virtualValues.get(name)?.(token);
  if (value === 0 && name === "LINUX_KERNEL_VERSION") {
    throw new UnsupportedError("the version of this kernel cannot be told from its release", { section: ".kconfig" });
  }
  return value?.toString();
}

/** What a letter means for `enum libbpf_tristate` (bpf_helpers.h). */
const tristate: ReadonlyMap<string, bigint> = new Map([
  ["n", 0n],
  ["y", 1n],
  ["m", 2n],
]);

/** `value` as Kconfig writes it. */
function write(image: Uint8Array, extern: KconfigExternSpec, value: string): void {
  if (extern.valueKind === "string") {
    image.set(textOf(extern, value), extern.offset);
    return;
  }
  const word = wordOf(extern, value);
  if (word === undefined) throw unfit(extern, value);
  for (let i = 0; i < extern.size; i++) image[extern.offset + i] = Number((word >> BigInt(8 * i)) & 0xffn);
}

/** Undefined when the type of the extern has no such value. */
function wordOf(extern: KconfigExternSpec, value: string): bigint | undefined {
  const { valueKind } = extern;
  const letter = tristate.get(value);
  if (letter !== undefined) {
    if (valueKind === "char") return BigInt(value.charCodeAt(0));
    return valueKind === "tristate" || (valueKind === "bool" && value !== "m") ? letter : undefined;
  }
  const number = valueKind === "tristate" ? undefined : parseNumber(value);
  if (number === undefined) return undefined;
  const fits = valueKind === "bool" ? number === 0n || number === 1n : inRange(extern, number);
  return fits ? number : undefined;
}

/** In 64 bits either sign is fine; below, the sign that the variable has. */
function inRange({ size, signed }: KconfigExternSpec, value: bigint): boolean {
  const bits = size * 8;
  if (bits === 64) return BigInt.asUintN(64, value) === value || BigInt.asIntN(64, value) === value;
  return (signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)) === value;
}

/** Without its quotes; what does not fit with a NUL behind it is cut off. Escapes stay as Kconfig writes them. */
function textOf(extern: KconfigExternSpec, quoted: string): Uint8Array {
  if (!/^".*"$/.test(quoted)) throw unfit(extern, quoted);
  const bytes = new TextEncoder().encode(quoted.slice(1, -1));
  const room = extern.size - 1;
  if (bytes.length > room) {
    log.warn(`extern ${extern.name}: ${quoted} does not fit into ${extern.size} bytes and was cut off`);
  }
  return bytes.subarray(0, room);
}

/** A C integer: decimal, hexadecimal or octal. */
function parseNumber(text: string): bigint | undefined {
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)$/.exec(text);
  if (match === null || text.length > 32) return undefined;
  const [, sign, digits] = match as unknown as [string, string, string];
  const isOctal = /^0[0-9]/.test(digits);
  if (isOctal && /[89]/.test(digits)) return undefined;
  const value = BigInt(isOctal ? `0o${digits.slice(1)}` : digits);
  return sign === "-" ? -value : value;
}

function unfit({ name, valueKind, size, signed }: KconfigExternSpec, value: string): ObjectError {
  const type =
    valueKind === "integer" ? `${signed ? "a signed" : "an unsigned"} integer of ${size} bytes` : `a ${valueKind}`;
  return new ObjectError("OBJECT_INVALID", `extern ${name} is declared as ${type}, and its value is ${value}`);
}

function unknownName(name: string): ObjectError {
  return new ObjectError("OBJECT_INVALID", `nothing is known about the __kconfig extern ${name}`, {
    section: ".kconfig",
    hint: `names begin with CONFIG_, or are ${[...virtualValues.keys()].join(", ")}`,
  });
}

function notSet(name: string, hasConfiguration: boolean): UnsupportedError {
  const reason = hasConfiguration
    ? `${name} is not set in this kernel's configuration`
    : `${name} is needed, and this kernel's configuration cannot be read (${kconfigPaths().join(", ")})`;
  return new UnsupportedError(reason, {
    section: ".kconfig",
    hint: "give it by the option kconfig, or declare it __weak: then it is zero",
  });
}
