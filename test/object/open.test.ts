import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Btf } from "../../src/btf/index.js";
import { BpfkitError } from "../../src/errors.js";
import { setLogger } from "../../src/log.js";
import { linkProgram, MapFlag, MapType, openObject } from "../../src/object/index.js";
import { code, exit, mov, ObjectWriter, TypeWriter } from "./builders.js";
import { failure, oneProgram, open, program } from "./support.js";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const fixtures = new URL("../../fixtures/", import.meta.url);
const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, fixtures)));

beforeAll(() => {
  setLogger(null);
});
afterAll(() => {
  setLogger(() => {});
});

describe("license and version", () => {
  it.each([
    ["GPL\0", "GPL"],
    ["Dual MIT/GPL\0more", "Dual MIT/GPL"],
    ["unterminated", "unterminated"],
    ["x".repeat(100), "x".repeat(63)],
  ])("license %j", (content, license) => {
    const file = oneProgram();
    file.section("license", text(content));
    expect(open(file).license).toBe(license);
  });

  it("the last license counts, none is the empty one", () => {
    const file = oneProgram();
    file.section("license", text("GPL\0"));
    file.section("license", text("MIT\0"));
    expect(open(file)).toMatchObject({ license: "MIT", kernelVersion: undefined });
    expect(open(oneProgram()).license).toBe("");
  });

  it.each([
    [true, [4, 3, 2, 1]],
    [false, [1, 2, 3, 4]],
  ])("version, little-endian %s", (littleEndian, bytes) => {
    const file = oneProgram("xdp", new ObjectWriter(littleEndian));
    file.section("version", Uint8Array.from(bytes));
    expect(open(file)).toMatchObject({ kernelVersion: 0x01020304, littleEndian });
    file.section("version", new Uint8Array(5));
    expect(failure(() => open(file))).toMatchObject({ code: "OBJECT_INVALID", section: "version" });
  });
});

describe("sections", () => {
  it("refuses the old form of map definitions, with advice", () => {
    const file = oneProgram();
    file.section("maps", new Uint8Array(20));
    const error = failure(() => open(file));
    expect(error).toMatchObject({ code: "OBJECT_UNSUPPORTED", section: "maps" });
    expect(error.hint).toContain('SEC(".maps")');
  });

  it("refuses a second .text", () => {
    const file = oneProgram();
    file.code(".text", code(exit));
    file.code(".text", code(exit));
    expect(failure(() => open(file))).toMatchObject({ code: "OBJECT_INVALID", section: ".text" });
  });

  it("ignores what is of no use, and says so", () => {
    const lines: string[] = [];
    setLogger((_, message) => lines.push(message));
    const file = oneProgram();
    file.section("extra", new Uint8Array(3));
    file.section(".debug_info", new Uint8Array(3));
    file.code(".text", new Uint8Array(0));
    expect(open(file)).toMatchObject({ maps: [], subprograms: [], programs: [{ name: "main" }] });
    expect(lines).toEqual(["section extra: skipped, no use is known for it"]);
    setLogger(null);
  });

  it("refuses sections that share their contents", () => {
    const file = new ObjectWriter();
    for (let i = 0; i < 40; i++) file.section(`.data.${i}`, new Uint8Array(64));
    const bytes = file.build();
    const view = new DataView(bytes.buffer);
    const table = Number(view.getBigUint64(40, true));
    for (let i = 1; i <= 40; i++) {
      view.setBigUint64(table + i * 64 + 24, 0n, true);
      view.setBigUint64(table + i * 64 + 32, BigInt(bytes.length), true);
    }
    expect(failure(() => openObject(bytes, { name: "x" }))).toMatchObject({
      code: "OBJECT_INVALID",
      section: ".data.1",
    });
  });

  it("tolerates damaged type information unless something needs it", () => {
    const file = oneProgram();
    file.section(".BTF", text("damaged"));
    expect(open(file).btf).toBeUndefined();
    file.section(".maps", new Uint8Array(8));
    expect(failure(() => open(file))).toMatchObject({ code: "BTF_INVALID", section: ".BTF" });
  });
});

describe("fix-up of the type information", () => {
  function datasecOf(btf: Btf, name: string) {
    const type = btf.type(btf.findByName(name, "datasec")!);
    if (type.kind !== "datasec") throw new Error(type.kind);
    const variables = type.variables.map(({ type: id, offset, size }) => {
      const variable = btf.type(id);
      return { name: variable.name, linkage: variable.kind === "var" ? variable.linkage : -1, offset, size };
    });
    return { size: type.size, variables };
  }

  it.each([true, false])("sizes, offsets, order and linkage, little-endian %s", (littleEndian) => {
    const file = new ObjectWriter(littleEndian);
    const data = file.section(".data", new Uint8Array(24));
    const text = file.code(".text", code(exit, exit));
    file.symbol("late", data, { value: 16 });
    file.symbol("early", data, { value: 0, visibility: 2 });
    file.symbol("early", data, { value: 4 });
    file.func("hidden", text, 0, 8, { visibility: 2 });
    file.func("visible", text, 8, 8);
    const types = new TypeWriter(littleEndian);
    const int = types.int();
    const before = types.datasec(".data", [
      [types.variable("late", int), 0, 4],
      [types.variable("fixed", int, 0), 8, 4],
      [types.variable("early", int), 0, 4],
    ]);
    const ksyms = types.datasec(".ksyms", [[types.variable("ext", int, 2), 0, 4]]);
    const [hidden, visible] = [types.func("hidden"), types.func("visible")];
    file.btf(types);
    const { btf } = open(file);
    expect(datasecOf(btf!, ".data")).toEqual({
      size: 24,
      variables: [
        { name: "early", linkage: 0, offset: 0, size: 4 },
        { name: "fixed", linkage: 0, offset: 8, size: 4 },
        { name: "late", linkage: 1, offset: 16, size: 4 },
      ],
    });
    expect(datasecOf(btf!, ".ksyms")).toEqual({
      size: 0,
      variables: [{ name: "ext", linkage: 2, offset: 0, size: 4 }],
    });
    expect(btf!.findByName(".data", "datasec")).toBe(before);
    expect(btf!.findByName(".ksyms", "datasec")).toBe(ksyms);
    expect(btf!.type(hidden)).toMatchObject({ name: "hidden", linkage: 0 });
    expect(btf!.type(visible)).toMatchObject({ name: "visible", linkage: 1 });
    expect(btf!.littleEndian).toBe(littleEndian);
  });

  it("leaves alone what a static linker has filled in", () => {
    const file = new ObjectWriter();
    const data = file.section(".data", new Uint8Array(24));
    file.symbol("v", data, { value: 16 });
    const types = new TypeWriter();
    types.datasec(".data", [[types.variable("v", types.int()), 12, 4]], 20);
    const bytes = types.build();
    file.btf(types);
    expect(open(file).btf!.bytes).toEqual(bytes);
  });

  it.each([
    ["a section that is not there", ".data.gone", "v", 4, "the type information describes this section"],
    ["a variable without symbol", ".data", "nobody", 4, "no symbol for variable nobody"],
    ["a variable of another section", ".data", "elsewhere", 4, "no symbol for variable elsewhere"],
    ["a variable beyond the end", ".data", "v", 9, "variable v (9 bytes) reaches beyond the end"],
  ])("refuses %s", (_, sectionName, name, size, reason) => {
    const file = new ObjectWriter();
    file.symbol("v", file.section(".data", new Uint8Array(24)), { value: 16 });
    file.symbol("elsewhere", file.section(".rodata", new Uint8Array(24)));
    const types = new TypeWriter();
    types.datasec(sectionName, [[types.variable(name, types.int()), 0, size]]);
    file.btf(types);
    const error = failure(() => open(file));
    expect(error).toMatchObject({ code: "OBJECT_INVALID", section: sectionName });
    expect(error.reason).toContain(reason);
  });
});

describe.skipIf(!existsSync(new URL("minimal.bpf.o", fixtures)))("compiled objects", () => {
  it("minimal, in both byte orders", () => {
    const little = openObject(fixture("minimal.bpf.o"), { name: "minimal" });
    const big = openObject(fixture("minimal.eb.bpf.o"), { name: "minimal" });
    expect([little.littleEndian, big.littleEndian]).toEqual([true, false]);
    for (const object of [little, big]) {
      expect(object.license).toBe("Dual MIT/GPL");
      expect(object.maps).toMatchObject([
        { name: "syscall_count", type: MapType.hash, keySize: 4, valueSize: 8, maxEntries: 8192 },
        { name: "minimal.rodata", flags: MapFlag.RDONLY_PROG | MapFlag.MMAPABLE },
        { name: "minimal.bss", flags: MapFlag.MMAPABLE },
      ]);
      expect(object.programs).toMatchObject([{ name: "count_syscall", attachTarget: "raw_syscalls/sys_enter" }]);
    }
    // The compiler makes the same instructions of both, and so do we.
    const link = (object: typeof little) => linkProgram(program(object, "count_syscall"), (f) => f.insns);
    expect(link(big).insns).toEqual(link(little).insns);
    expect(link(big).lineInfo?.length).toBe(link(little).lineInfo?.length);
  });

  it("sub-programs in libbpf's order", () => {
    const object = openObject(fixture("subprogs.bpf.o"), { name: "subprogs" });
    const layout = object.programs.map((p) =>
      linkProgram(p, (f) => f.insns).functions.map((f) => `${f.spec.name}@${f.insnIndex}`),
    );
    expect(layout).toEqual([
      ["call_global@0", "weighted@7", "middle@10", "leaf@18", "weak_offset@27"],
      ["call_static@0", "middle@7", "leaf@15"],
      ["call_each@0", "add_entry@16", "leaf@28"],
      ["call_loop@0", "add_round@15", "middle@25", "leaf@33", "weighted@42"],
    ]);
  });

  it("needs BTF for maps only", () => {
    expect(failure(() => openObject(fixture("minimal.nobtf.bpf.o"), { name: "x" }))).toMatchObject({
      code: "BTF_MISSING",
      section: ".maps",
    });
    const object = openObject(fixture("nobtf.bpf.o"), { name: "nobtf" });
    expect(object.btf).toBeUndefined();
    expect(linkProgram(object.programs[0]!, (f) => f.insns)).toMatchObject({
      funcInfo: undefined,
      lineInfo: undefined,
    });
  });
});

describe("damaged objects", () => {
  /** Every kind of content that opening looks at. */
  const objects: Uint8Array[] = [oneProgram().build()];
  if (existsSync(fixtures)) {
    for (const name of readdirSync(fixtures)) if (name.endsWith(".bpf.o")) objects.push(fixture(name));
  }

  it("give an error of bpfkit or an object that can be linked, for 5,000 mutations", () => {
    let seed = 12345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const values = [0, 1, 0x7f, 0x80, 0xff];
    let opened = 0;
    let refused = 0;
    for (let round = 0; round < 5000; round++) {
      const bytes = objects[round % objects.length]!.slice();
      for (let i = 1 + random(3); i > 0; i--) {
        // A third of the damage goes to the section table at the end, hardly any to the header, which another room tests.
        const at = random(3) === 0 ? bytes.length - 1 - random(2048) : 60 + random(bytes.length);
        bytes[Math.min(Math.max(0, at), bytes.length - 1)] =
          random(2) === 0 ? values[random(values.length)]! : random(256);
      }
      try {
        const object = openObject(random(50) === 0 ? bytes.slice(0, random(bytes.length)) : bytes, { name: "damaged" });
        opened++;
        for (const p of object.programs) linkProgram(p, (f) => f.insns);
      } catch (error) {
        if (!(error instanceof BpfkitError)) throw error;
        expect(error.code).not.toBe("ARGUMENT");
        refused++;
      }
    }
    expect(opened).toBeGreaterThan(500);
    expect(refused).toBeGreaterThan(500);
  }, 60_000);

  it("open in time that grows with their size, however functions and symbols are arranged", () => {
    const file = new ObjectWriter();
    const count = 20_000;
    const xdp = file.code("xdp", code(...Array.from({ length: count }, () => mov)));
    for (let i = 0; i < count; i++) file.func(`f${i}`, xdp, (count - 1 - i) * 8, 8);
    const bytes = file.build();
    const start = performance.now();
    expect(openObject(bytes, { name: "many" }).programs).toHaveLength(count);
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});
