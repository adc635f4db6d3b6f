// Arguments of USDT probes: the grammar in which compilers say where a value is, and the records in which
// <bpf/usdt.bpf.h> reads that (libbpf.md 6).

import { ArgumentError, UnsupportedError } from "../errors.js";

/** Where an argument is when the probe is hit. Offsets of registers are those in struct pt_regs. */
export interface UsdtArgument {
  /** Bytes: 1, 2, 4 or 8. */
  readonly size: number;
  readonly signed: boolean;
  readonly kind: "constant" | "register" | "memory" | "indexed";
  /** The constant, or what is added to the register. */
  readonly value: bigint;
  /** Bytes; 0 for constants. */
  readonly register: number;
  /** Of `indexed`: register and power of two. */
  readonly index?: number;
  readonly shift?: number;
}

/** BPF_USDT_MAX_ARG_CNT. */
export const MAX_USDT_ARGUMENTS = 12;
const ARGUMENT_SIZE = 16;
const COOKIE_OFFSET = MAX_USDT_ARGUMENTS * ARGUMENT_SIZE;
/** sizeof(struct __bpf_usdt_spec). */
export const USDT_SPEC_SIZE = COOKIE_OFFSET + 16;

/** enum __bpf_usdt_arg_type. */
const kinds = { constant: 0, register: 1, memory: 2, indexed: 3 } as const;

type Operand = Omit<UsdtArgument, "size" | "signed">;

/** What follows the at sign, anchored where it begins; undefined when a register is unknown. */
interface Form {
  readonly pattern: RegExp;
  readonly read: (parts: readonly (string | undefined)[], register: (name: string) => number) => Operand;
}

const NUMBER = "[-+]?(?:0x[0-9a-fA-F]+|[0-9]+)";
const number = (text: string | undefined): bigint => {
  const [, sign = "", digits = "0"] = /^([-+]?)(.*)$/.exec(text ?? "0") ?? [];
  return sign === "-" ? -BigInt(digits) : BigInt(digits);
};
const shifts: Readonly<Record<string, number>> = { "1": 0, "2": 1, "4": 2, "8": 3 };

const x86Forms: readonly Form[] = [
  {
    pattern: new RegExp(`\\$(${NUMBER})`, "y"),
    read: ([value]) => ({ kind: "constant", value: number(value), register: 0 }),
  },
  {
    pattern: /%([a-z0-9]+)/y,
    read: ([name], register) => ({ kind: "register", value: 0n, register: register(name!) }),
  },
  {
    pattern: new RegExp(`(${NUMBER})?\\(\\s*%([a-z0-9]+)\\s*,\\s*%([a-z0-9]+)\\s*(?:,\\s*([1248])\\s*)?\\)`, "y"),
    read: ([value, base, index, scale = "1"], register) => ({
      kind: "indexed",
      value: number(value),
      register: register(base!),
      index: register(index!),
      shift: shifts[scale]!,
    }),
  },
  {
    pattern: new RegExp(`(${NUMBER})?\\(\\s*%([a-z0-9]+)\\s*\\)`, "y"),
    read: ([value, name], register) => ({ kind: "memory", value: number(value), register: register(name!) }),
  },
];

const arm64Forms: readonly Form[] = [
  {
    pattern: new RegExp(`\\[\\s*([a-z0-9]+)\\s*(?:,\\s*(${NUMBER})\\s*)?\\]`, "y"),
    read: ([name, value], register) => ({ kind: "memory", value: number(value), register: register(name!) }),
  },
  {
    pattern: new RegExp(`(${NUMBER})`, "y"),
    read: ([value]) => ({ kind: "constant", value: number(value), register: 0 }),
  },
  {
    pattern: /([a-z][a-z0-9]*)/y,
    read: ([name], register) => ({ kind: "register", value: 0n, register: register(name!) }),
  },
];

/** struct pt_regs of x86-64, in order; a register has a name for each of its parts. */
const x86Order = "r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp".split(" ");

function x86Names(name: string): readonly string[] {
  if (/^r\d+$/.test(name)) return [name, `${name}d`, `${name}w`, `${name}b`];
  if (name === "ip") return ["rip", "eip"];
  if (/^[abcd]x$/.test(name)) return [`r${name}`, `e${name}`, name, `${name[0]}l`];
  return /^(bp|sp|si|di)$/.test(name) ? [`r${name}`, `e${name}`, name, `${name}l`] : [];
}

const x86Registers: ReadonlyMap<string, number> = new Map(
  x86Order.flatMap((name, index) => x86Names(name).map((each) => [each, 8 * index] as const)),
);

const arm64Registers: ReadonlyMap<string, number> = new Map([
  ...Array.from({ length: 31 }, (_, index) => [`x${index}`, 8 * index] as const),
  ...Array.from({ length: 31 }, (_, index) => [`w${index}`, 8 * index] as const),
  ["sp", 8 * 31],
]);

/** By e_machine: EM_X86_64, EM_AARCH64. */
const machines: Readonly<
  Record<number, { readonly forms: readonly Form[]; readonly registers: ReadonlyMap<string, number> }>
> = {
  62: { forms: x86Forms, registers: x86Registers },
  183: { forms: arm64Forms, registers: arm64Registers },
};

/**
 * Reads a probe's arguments, such as `-4@%edi 8@-16(%rbp)`. A text that is empty or begins with a colon has none.
 *
 * @param machine EM_*
 * @throws ArgumentError for what is not of the grammar, and for more than 12; UnsupportedError for other machines
 */
export function parseUsdtArguments(text: string, machine: number): UsdtArgument[] {
  if (text.trim() === "" || text.startsWith(":")) return [];
  const rules = machines[machine];
  if (rules === undefined) throw new UnsupportedError(`arguments of USDT probes on machine ${machine} are not known`);
  const found: UsdtArgument[] = [];
  const wrong = (at: number, why: string): ArgumentError =>
    new ArgumentError(`${why} in the arguments of a USDT probe: ${JSON.stringify(text.slice(at, at + 60))}`);
  for (let at = skipBlanks(text, 0); at < text.length; at = skipBlanks(text, at)) {
    const size = /(-?)([0-9]+)\s*@\s*/y;
    size.lastIndex = at;
    const [whole, sign, bytes = ""] = size.exec(text) ?? [];
    if (whole === undefined || !["1", "2", "4", "8"].includes(bytes)) throw wrong(at, "no size of 1, 2, 4 or 8 bytes");
    const operand = readOperand(text, at + whole.length, rules.forms, (name) => {
      const offset = rules.registers.get(name);
      if (offset === undefined) throw wrong(at, `unknown register ${name}`);
      return offset;
    });
    if (operand === undefined || !/^(\s|$)/.test(text.slice(operand.end, operand.end + 1))) {
      throw wrong(at, "an unknown operand");
    }
    if (found.length === MAX_USDT_ARGUMENTS) throw wrong(at, `more than ${MAX_USDT_ARGUMENTS}`);
    found.push({ size: Number(bytes), signed: sign === "-", ...operand.operand });
    at = operand.end;
  }
  return found;
}

function readOperand(
  text: string,
  at: number,
  forms: readonly Form[],
  register: (name: string) => number,
): { readonly operand: Operand; readonly end: number } | undefined {
  for (const { pattern, read } of forms) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) return { operand: read(match.slice(1), register), end: at + match[0].length };
  }
  return undefined;
}

function skipBlanks(text: string, at: number): number {
  let next = at;
  while (/\s/.test(text[next] ?? "")) next++;
  return next;
}

/** struct __bpf_usdt_spec of <bpf/usdt.bpf.h>, little-endian. */
export function usdtSpec(args: readonly UsdtArgument[], cookie: bigint): Uint8Array {
  const bytes = new Uint8Array(USDT_SPEC_SIZE);
  const view = new DataView(bytes.buffer);
  for (const [index, { kind, value, register, size, signed, index: indexRegister = 0, shift = 0 }] of args.entries()) {
    const at = index * ARGUMENT_SIZE;
    view.setBigUint64(at, BigInt.asUintN(64, value), true);
    // Kind 8 bits, index register 12, scale 4.
    view.setUint32(at + 8, kinds[kind] | (indexRegister << 8) | (shift << 20), true);
    view.setInt16(at + 12, register, true);
    view.setUint8(at + 14, signed ? 1 : 0);
    view.setUint8(at + 15, 64 - 8 * size);
  }
  view.setBigUint64(COOKIE_OFFSET, BigInt.asUintN(64, cookie), true);
  view.setInt16(COOKIE_OFFSET + 8, args.length, true);
  return bytes;
}
