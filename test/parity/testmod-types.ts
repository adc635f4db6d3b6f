// The types of bpf_testmod, the kernel module that the selftests attach to and call, made part of a kernel's BTF: with them
// a faked run compares the selftests that otherwise neither side loads. The module itself would take a kernel build; its
// source, read from the tools' folder, says all that BTF has to say. Function bodies are dropped, only types are compiled.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseElf } from "../../src/elf/index.js";

const SOURCES = "tree/linux-source-6.12/tools/testing/selftests/bpf/bpf_testmod";

/** What the compiler gets instead of the kernel's headers. */
const prelude = `#include "vmlinux.h"
#define noinline __attribute__((__noinline__))
#define __bpf_kfunc __attribute__((__noinline__))
#define __weak __attribute__((weak))
#define __user __attribute__((btf_type_tag("user")))
#define __percpu __attribute__((btf_type_tag("percpu")))
#define __kptr
#define __must_check
`;

/** Structs that the kernel makes of a struct_ops when it is registered. */
const structOps = ["bpf_testmod_ops", "bpf_testmod_ops2", "bpf_testmod_st_ops"];

/** Writes `6.12-testmod.btf` beside `6.12.btf`. False when the selftests are not there. */
export function writeTestmodTypes(oracle: string): boolean {
  const [base, sources] = [join(oracle, "6.12.btf"), join(oracle, SOURCES)];
  if (!existsSync(base) || !existsSync(sources)) return false;
  const folder = mkdtempSync(join(tmpdir(), "bpfkit-testmod-"));
  try {
    const [source, object] = [join(folder, "testmod.c"), join(folder, "testmod.o")];
    writeFileSync(source, typesOnly(sources));
    const flags = ["-w", "-g", "-O2", "--target=bpfel", "-mcpu=v3", "-std=gnu11", "-fms-extensions"];
    execFileSync("clang-19", [...flags, `-I${join(oracle, "inc")}`, "-c", source, "-o", object], { stdio: "inherit" });
    const elf = parseElf(new Uint8Array(readFileSync(object)));
    const merged = appendTypes(new Uint8Array(readFileSync(base)), elf.section(".BTF")!.data);
    writeFileSync(join(oracle, "6.12-testmod.btf"), merged);
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The module as C that clang compiles for BPF: declarations, functions without bodies, tracepoints and struct_ops as types. */
function typesOnly(sources: string): string {
  const read = (name: string): string =>
    readFileSync(join(sources, `bpf_testmod${name}`), "utf8").replace(/^#include.*$/gm, "");
  const module = read(".c")
    .replace(/^(?:__bpf_|BTF_|MODULE_|module_|ALLOW_ERROR_INJECTION|EXPORT_)\w*\(.*?\);?$/gm, "")
    .replace(/^static DEFINE_MUTEX.*$/gm, "")
    .replace(/^DEFINE_PER_CPU\((\w+), (\w+)\)[^;]*;/gm, '$1 $2 __attribute__((section(".data..percpu"))) = 1;')
    // Tables of functions, with and without braces.
    .replace(/^(?:static )?(?:const )?struct [^;{}()]*=\s*\{.*?^\}(?: ____\w+)?;/gms, "")
    .replace(/^(?:static )?(?:const )?struct [^;{}()]*=[^;]*;/gm, "")
    .replace(/^(\w[^;{}=#]*\([^;{}]*\))\s*\{\n.*?^\}/gms, (_, signature: string) => functionType(signature));
  // Prototypes of functions are those of the definitions; what is left are types.
  const types = read("_kfunc.h").replace(/^[a-z_][^;{}]*\([^;{}]*\)[^;{}]*;/gm, "");
  const tracepoint = /(?:TRACE_EVENT|DECLARE_TRACE)\((bpf_\w+),\s*TP_PROTO\((.*?)\),\s*TP_ARGS/gs;
  const traces = [...read("-events.h").matchAll(tracepoint)].map(
    ([, name, parameters]) =>
      `typedef void (*btf_trace_${name})(void *, ${parameters});\nbtf_trace_${name} keep_trace_${name};\n`,
  );
  const tables = structOps.map((name) => {
    const members = `struct bpf_struct_ops_common_value common; struct ${name} data __attribute__((aligned(64)));`;
    return `struct bpf_struct_ops_${name} { ${members} } keep_${name};\n`;
  });
  return [prelude, read(".h"), types, module, ...traces, ...tables].join("\n");
}

/** A function that BPF cannot have, with more than five registers of arguments, is declared and referred to instead. */
function functionType(signature: string): string {
  const plain = signature.replace(/\b(?:static|inline|__init|__exit)\b/g, "");
  const [, name, parameters] = /(\w+)\s*\((.*)\)/s.exec(plain)!;
  const registers = parameters!.split(",").length + (parameters!.match(/struct \w+ \w+\b(?!\s*\*)/g) ?? []).length;
  if (registers <= 5) return `${plain} { for (;;); }`;
  return `extern ${plain.replace("noinline", "")};\nvoid *keep_${name} = (void *)${name};`;
}

/** Bytes of an element behind a type's 12, and where in it a name and a type id are, by kind. */
const elements: Readonly<Record<number, { size: number; name?: number; type?: number }>> = {
  4: { size: 12, name: 0, type: 4 },
  5: { size: 12, name: 0, type: 4 },
  6: { size: 8, name: 0 },
  13: { size: 8, name: 0, type: 4 },
  15: { size: 12, type: 0 },
  19: { size: 12, name: 0 },
};
/** Bytes that kinds without elements have behind the 12. */
const fixed: Readonly<Record<number, number>> = { 1: 4, 3: 12, 14: 4, 17: 4 };
/** Kinds whose third word is a type id, not a size. */
const referring: ReadonlySet<number> = new Set([2, 8, 9, 10, 11, 12, 13, 14, 17, 18]);

/** The kinds that both sides have of the same things: int, struct, union, enum, typedef, float, enum64. */
const named: ReadonlySet<number> = new Set([1, 4, 5, 6, 8, 16, 19]);
/** What those are called that `base` has already: nothing may find them by their name. */
const DUPLICATE = "bpfkit_duplicate\0";

/** `more` behind `base`, both whole BTF, as one BTF. What both have is referred to in `base`, as in a module's BTF. */
function appendTypes(base: Uint8Array, more: Uint8Array): Uint8Array {
  const [first, second] = [sections(base), sections(more)];
  const known = new Map<string, number>();
  let count = 0;
  for (const { kind, name } of records(first.types)) {
    count++;
    const key = `${kind} ${textAt(first.strings, name)}`;
    if (name !== 0 && named.has(kind) && !known.has(key)) known.set(key, count);
  }
  const types = second.types.slice();
  const view = new DataView(types.buffer);
  // By id in `more`: where it is in the result.
  const ids = [0];
  for (const { kind, name } of records(types)) {
    const ownId = count + ids.length;
    ids.push((name === 0 ? undefined : known.get(`${kind} ${textAt(second.strings, name)}`)) ?? ownId);
  }
  const shiftName = (at: number): void => {
    const value = view.getUint32(at, true);
    if (value !== 0) view.setUint32(at, value + first.strings.length, true);
  };
  const shiftType = (at: number): void => view.setUint32(at, ids[view.getUint32(at, true)]!, true);
  let own = 0;
  for (const { at, kind, vlen } of records(types)) {
    own++;
    if (ids[own] === count + own) shiftName(at);
    else view.setUint32(at, first.strings.length + second.strings.length, true);
    if (referring.has(kind)) shiftType(at + 8);
    // An array: element and index type.
    if (kind === 3) for (const field of [12, 16]) shiftType(at + field);
    const element = elements[kind];
    for (let i = 0; element !== undefined && i < vlen; i++) {
      const place = at + 12 + i * element.size;
      if (element.name !== undefined) shiftName(place + element.name);
      if (element.type !== undefined) shiftType(place + element.type);
    }
  }
  const length = first.types.length + types.length;
  const last = new TextEncoder().encode(DUPLICATE);
  const strings = first.strings.length + second.strings.length + last.length;
  const header = new DataView(new ArrayBuffer(24));
  header.setUint32(0, 0x0001_eb9f, true);
  for (const [index, word] of [24, 0, length, length, strings].entries()) header.setUint32(4 + 4 * index, word, true);
  return Buffer.concat([new Uint8Array(header.buffer), first.types, types, first.strings, second.strings, last]);
}

function sections(btf: Uint8Array): { types: Uint8Array; strings: Uint8Array } {
  const view = new DataView(btf.buffer, btf.byteOffset);
  const [header, typeAt, typeSize, stringAt, stringSize] = [4, 8, 12, 16, 20].map((at) => view.getUint32(at, true));
  const part = (at: number, size: number) => btf.subarray(header! + at, header! + at + size);
  return { types: part(typeAt!, typeSize!), strings: part(stringAt!, stringSize!) };
}

function textAt(strings: Uint8Array, offset: number): string {
  return Buffer.from(strings.buffer, strings.byteOffset + offset, strings.indexOf(0, offset) - offset).toString();
}

function* records(types: Uint8Array): Generator<{ at: number; kind: number; vlen: number; name: number }> {
  const view = new DataView(types.buffer, types.byteOffset, types.length);
  for (let at = 0; at < types.length; ) {
    const info = view.getUint32(at + 4, true);
    const [kind, vlen] = [(info >>> 24) & 31, info & 0xffff];
    yield { at, kind, vlen, name: view.getUint32(at, true) };
    at += 12 + (fixed[kind] ?? (elements[kind]?.size ?? 0) * vlen);
  }
}
