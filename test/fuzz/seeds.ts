// Sound inputs to begin with: the fixtures, and by hand what no fixture has.

import { deflateRawSync, gzipSync } from "node:zlib";
import { BtfBuilder } from "../../src/btf/index.js";
import { parseElf } from "../../src/elf/index.js";
import { buildElf } from "../elf/builder.js";
import { call, code, exit, load, ObjectWriter } from "../object/builders.js";
import { fixtureBytes, fixtureNames } from "../support/fixtures.js";
import { usdtElf, usdtPlaces } from "../support/usdt-elf.js";
import { userElf } from "../support/user-elf.js";
import { zipArchive } from "../support/zip.js";

/** Objects: all fixtures, one with a jump table in each byte order. */
export function objects(): Uint8Array[] {
  return [...fixtureNames().map(fixtureBytes), jumpTable(true), jumpTable(false)];
}

function jumpTable(littleEndian: boolean): Uint8Array {
  const file = new ObjectWriter(littleEndian);
  const text = file.code(".text", code(exit, exit));
  file.func("helper", text, 8, 8);
  const xdp = file.code("xdp", code(exit, load(), call(), exit));
  file.func("main", xdp, 8, 32);
  file.relocate(xdp, 24, file.sectionSymbol(text), 10);
  const data = new Uint8Array(48);
  const view = new DataView(data.buffer);
  for (const [i, target] of [0, 24, 32, 24, 8, 0].entries()) view.setBigUint64(i * 8, BigInt(target), littleEndian);
  file.relocate(xdp, 8, file.symbol("BPF.JT.0.0", file.section(".jumptables", data), { value: 8, size: 32 }));
  return file.build();
}

/** Contents of a section of a fixture. */
function sectionOf(bytes: Uint8Array, name: string): Uint8Array[] {
  const section = parseElf(bytes).section(name);
  return section === undefined ? [] : [section.data.slice()];
}

/** Raw type information: that of the fixtures, and every kind in each byte order. */
export function typeInformation(): Uint8Array[] {
  return [
    ...objects().flatMap((bytes) => sectionOf(bytes, ".BTF")),
    ...[true, false].map((littleEndian) => zoo(new BtfBuilder({ littleEndian })).build({ layout: littleEndian })),
  ];
}

/** .BTF and .BTF.ext of the fixtures. */
export function extendedTypes(): [Uint8Array, Uint8Array][] {
  return fixtureNames().flatMap((name) => {
    const [btf, ext] = [".BTF", ".BTF.ext"].map((section) => sectionOf(fixtureBytes(name), section)[0]);
    return btf === undefined || ext === undefined ? [] : [[btf, ext] as [Uint8Array, Uint8Array]];
  });
}

/** One of each kind, and what codecs treat in a way of its own. */
export function zoo(b: BtfBuilder): BtfBuilder {
  const int = b.addInt("int", 4, { signed: true });
  const [u8, u32, u64] = [b.addInt("u8", 1), b.addInt("u32", 4), b.addInt("u64", 8)];
  const char = b.addInt("char", 1, { char: true });
  const flag = b.addInt("bool", 1, { bool: true });
  const wide = b.addInt("__int128", 16, { signed: true });
  const [text, raw, list] = [b.addArray(char, u32, 16), b.addArray(u8, u32, 8), b.addArray(u32, u32, 3)];
  const [real, single, long] = [b.addFloat("double", 8), b.addFloat("float", 4), b.addFloat("long double", 16)];
  const color = b.addEnum("color", [
    { name: "red", value: 0 },
    { name: "blue", value: -1 },
  ]);
  const big = b.addEnum64("big", [{ name: "most", value: -(2n ** 63n) }]);
  const choice = b.addUnion("choice", 8, [
    { name: "n", type: u64, bitOffset: 0 },
    { name: "bytes", type: raw, bitOffset: 0 },
  ]);
  const hidden = b.addStruct("", 8, [
    { name: "low", type: u32, bitOffset: 0 },
    { name: "high", type: u32, bitOffset: 32 },
  ]);
  const id = b.nextId + 1;
  const pointer = b.addPtr(id);
  const all = b.addStruct("all", 160, [
    { name: "i", type: int, bitOffset: 0 },
    { name: "bits", type: u32, bitOffset: 35, bitSize: 7 },
    { name: "sign", type: int, bitOffset: 42, bitSize: 3 },
    { name: "yes", type: flag, bitOffset: 48, bitSize: 1 },
    { name: "next", type: pointer, bitOffset: 64 },
    { name: "text", type: text, bitOffset: 128 },
    { name: "raw", type: raw, bitOffset: 256 },
    { name: "list", type: list, bitOffset: 320 },
    { name: "flag", type: flag, bitOffset: 416 },
    { name: "real", type: real, bitOffset: 448 },
    { name: "single", type: single, bitOffset: 512 },
    { name: "color", type: color, bitOffset: 544 },
    { name: "big", type: big, bitOffset: 576 },
    { name: "choice", type: choice, bitOffset: 640 },
    { name: "", type: hidden, bitOffset: 704 },
    { name: "wide", type: wide, bitOffset: 768 },
    { name: "long", type: long, bitOffset: 896 },
    { name: "__proto__", type: int, bitOffset: 1024 },
    { name: "rest", type: b.addArray(u8, u32, 0), bitOffset: 1280 },
  ]);
  const alias = b.addTypedef("all_t", b.addConst(b.addVolatile(b.addRestrict(b.addTypeTag("user", all)))));
  b.addFwd("later");
  const proto = b.addFuncProto(int, [
    { name: "ctx", type: pointer },
    { name: "", type: 0 },
  ]);
  b.addDeclTag("arg:ctx", b.addFunc("work", proto, 1), 0);
  b.addDataSec(".data", 160, [{ type: b.addVar("value", alias, 1), offset: 0, size: 160 }]);
  return b;
}

/** An executable of a machine that is not BPF, with type information in it; and one that says it is 32-bit. */
export function foreignImages(): Uint8Array[] {
  const btf = zoo(new BtfBuilder()).build();
  const { bytes } = buildElf([{ name: ".BTF", type: 1, data: btf }], true);
  const view = new DataView(bytes.buffer);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  const narrow = bytes.slice();
  narrow[4] = 1;
  return [bytes, narrow];
}

const elfForms = ([32, 64] as const).flatMap((bits) => [true, false].map((littleEndian) => ({ bits, littleEndian })));

/** Executables with functions, and with probes. */
export function userBinaries(): Uint8Array[] {
  const symbols = [
    { name: "first", value: 0x1010 },
    { name: "first", value: 0x1010, binding: 2 },
    { name: "wait@OLD_1", value: 0x1020 },
    { name: "wait@@NEW_2", value: 0x1030 },
    { name: "größe", value: 0x1040 },
    { name: "data", value: 0x1050, type: 1 },
  ];
  const notes = [
    { provider: "p", name: "plain", location: usdtPlaces.code, args: "-4@%edi 8@-16(%rbp) 1@$7" },
    { provider: "p", name: "counted", location: usdtPlaces.code + 8, semaphore: usdtPlaces.data + 2 },
    { provider: "q", name: "moved", location: 0x1010, base: usdtPlaces.base - 16, args: "8@(%rax,%rdx,4)" },
  ];
  return elfForms.flatMap((form) => [userElf(symbols, form), usdtElf(notes, form)]);
}

/** An executable in an archive, beside what is compressed or encrypted. */
export function archives(): Uint8Array[] {
  const contents = userElf([{ name: "first", value: 0x1010 }]);
  const others = [
    { name: "b", contents: Uint8Array.of(1, 2, 3), method: 8 },
    { name: "c", contents: Uint8Array.of(4), flags: 1 },
  ];
  return ["", "a comment"].map((comment) =>
    zipArchive([...others, { name: "lib/a.so", contents }, ...others], comment),
  );
}

export const usdtArguments = (): Uint8Array[] =>
  [
    "8@%rax -4@%edi -1@%r8b 2@%dx -4@$-9 8@$0x10 -4@-20(%rbp) 8@(%rsp) 8@1234(%rip) -2@8(%rax,%rdx,4) 1@(%rax,%rdx)",
    "-4@x3 8@sp 8@[sp, 56] -4@[x29,-20] 1@[x0] -4@-9",
    ":x",
  ].map(utf8);

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

export const kconfigTexts = (): Uint8Array[] => [
  utf8(
    '# comment\nCONFIG_HZ=250\nCONFIG_BPF=y\nCONFIG_USB=m\n# CONFIG_X is not set\nCONFIG_NAME="a \\"b\\""\nCONFIG_H=0x10\n',
  ),
  utf8("CONFIG_A=0777\nCONFIG_B=-5\n\nCONFIG_C=18446744073709551615\r\nCONFIG_D='x'\n"),
  new Uint8Array(gzipSync("CONFIG_HZ=250\nCONFIG_BPF=y\n")),
  new Uint8Array(deflateRawSync("CONFIG_HZ=1")),
];

export const kallsymsTexts = (): Uint8Array[] => [
  utf8("ffffffff81000000 T _stext\nffffffff81000010 t a\nffffffff82000000 d jiffies.llvm.123\n0000000000000000 A x\n"),
  utf8("0000000000000000 T _stext\n0000000000000000 t bpf_prog_run\t[bpf]\n"),
];

export const traceableTexts = (): Uint8Array[] => [
  utf8("ffffffff81000000 vfs_read\nffffffff81000010 vfs_write [ext4]\n"),
  utf8("vfs_read\nvfs_write [ext4]\n*a*b\n"),
];

export const verifierLogs = (): Uint8Array[] => [
  utf8(
    "func#0 @0\n0: R1=ctx() R10=fp0\n; int x = *p; @ prog.bpf.c:17\n0: (61) r1 = *(u32 *)(r0 +0)\nR0 invalid mem access 'scalar'\nprocessed 1 insns (limit 1000000) max_states_per_insn 0\n",
  ),
  utf8("3: (85) call unknown#195896080\ninvalid func unknown#195896080\n"),
  utf8("3: (85) call <invalid>#2002000001\ninvalid func unknown#2002000001\n"),
  utf8("9: (85) call unknown#2001000000\n"),
  utf8(
    "1: (95) exit\nR0 !read_ok\nVerification failed: R0 was not set\nReason:\n  text\nSuggestion:\n  set it\n  before\n\nx",
  ),
];

export const nameTexts = (): Uint8Array[] =>
  [
    "tp/raw_syscalls/sys_enter",
    "?kprobe.multi/vfs_*",
    "struct_ops.link",
    "fentry/mod:func",
    "task_struct___v2",
    "../x",
    "cgroup/dev",
  ].map(utf8);
