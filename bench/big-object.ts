// The object that shows what a large program costs: 13 MB and 37,200 CO-RE relocations in 124 programs. Its C source is
// written from the running kernel's own types, so that every relocation finds its field, and never committed.
import { readFileSync } from "node:fs";
import type { Btf, BtfComposite } from "../src/btf/index.js";
import { compiledObject } from "./compile-object.js";
import { builtUrl } from "./target.js";

const PROGRAMS = 124;
const READS_PER_PROGRAM = 300;
/** How many structs of the kernel the programs look into; a few thousand different fields. */
const STRUCTS = 240;
const FIELDS_OF_STRUCT = 24;

/** A member that a program can read: a number or a pointer, at most 8 bytes. */
interface Field {
  readonly name: string;
  readonly declaration: string;
}

interface Struct {
  readonly name: string;
  readonly fields: readonly Field[];
}

/** Path of the object, compiled when it is not in the cache yet. @throws Error without clang-19 or the kernel's BTF */
export async function bigObject(): Promise<string> {
  const { Btf } = (await import(builtUrl("btf/index.js"))) as typeof import("../src/btf/index.js");
  return compiledObject("big", sourceText(pickStructs(Btf.parse(readFileSync("/sys/kernel/btf/vmlinux")))));
}

/** Structs whose name no other type has (two candidates might disagree), with enough fields to read. */
function pickStructs(btf: Btf): Struct[] {
  const picked: Struct[] = [];
  for (let id = 1; id < btf.typeCount && picked.length < STRUCTS; id++) {
    const type = btf.type(id);
    if (type.kind !== "struct" || !isPlain(type.name) || btf.idsByEssentialName(type.name).length !== 1) continue;
    const fields = fieldsOf(btf, type);
    if (fields.length >= 8) picked.push({ name: type.name, fields: fields.slice(0, FIELDS_OF_STRUCT) });
  }
  return picked;
}

const isPlain = (name: string): boolean => /^[a-z_][a-z0-9_]*$/.test(name) && !name.includes("___");

function fieldsOf(btf: Btf, { members }: BtfComposite): Field[] {
  const fields: Field[] = [];
  for (const { name, type: typeId, bitSize } of members) {
    if (!isPlain(name) || reserved.has(name) || bitSize !== 0) continue;
    const type = btf.type(btf.resolve(typeId));
    if (type.kind === "ptr") fields.push({ name, declaration: `void *${name}` });
    else if (type.kind === "int" && integers.has(type.size)) {
      fields.push({ name, declaration: `${type.signed ? "__s" : "__u"}${type.size * 8} ${name}` });
    }
  }
  return fields;
}

const integers = new Set([1, 2, 4, 8]);
const reserved = new Set(["default", "register", "switch", "auto", "int", "long", "short", "signed", "unsigned"]);

function sourceText(structs: readonly Struct[]): string {
  const text = [
    "#include <linux/bpf.h>",
    "#include <bpf/bpf_helpers.h>",
    "#include <bpf/bpf_core_read.h>",
    "#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)",
    ...structs.map(({ name, fields }) => `struct ${name} { ${fields.map((f) => `${f.declaration};`).join(" ")} };`),
    "#pragma clang attribute pop",
    ...macros,
    `__u64 results[${PROGRAMS}];`,
    'char LICENSE[] SEC("license") = "GPL";',
  ];
  let next = 0;
  for (let program = 0; program < PROGRAMS; program++) {
    text.push(`SEC("raw_tp/sys_enter") int big_${program}(__u64 *ctx) {`, "  __u64 h = ctx[1], v = 0, p;");
    for (let read = 0; read < READS_PER_PROGRAM; read++) text.push(...readText(structs, next++));
    text.push(`  results[${program}] = h;`, "  return 0;", "}");
  }
  return `${text.join("\n")}\n`;
}

/** Reads one field; some ask for its size or existence instead. */
function readText(structs: readonly Struct[], n: number): string[] {
  // Neighbours look into the same struct, as the chains of BPF_CORE_READ do; factors without a common divisor.
  const { name, fields } = structs[Math.floor(n / 5) % structs.length]!;
  const field = fields[(n * 7) % fields.length]!.name;
  const macro = n % 16 === 3 ? "SIZE" : n % 16 === 11 ? "EXISTS" : "READ";
  return [`  ${macro}(${name}, ${field})`, "  h ^= v;"];
}

/**
 * The compiler knows nothing of the pointer, so it cannot keep an address of one read for another; and the branch ends
 * its basic block, of which a single long one would take minutes and more than the stack.
 */
const macros = [
  "#define FIELD(s, f) ((struct s *)p)->f",
  '#define NEXT p = ctx[0]; asm volatile("" : "+r"(p)); if (v & 1) asm volatile("%0 += 7" : "+r"(h));',
  "#define READ(s, f) { NEXT bpf_probe_read_kernel(&v, sizeof(FIELD(s, f)), &FIELD(s, f)); }",
  "#define SIZE(s, f) { NEXT v = bpf_core_field_size(FIELD(s, f)); }",
  "#define EXISTS(s, f) { NEXT v = bpf_core_field_exists(FIELD(s, f)); }",
];
