// Work in proportion: objects of some hundred KiB that ask for work which grows with the square of their size, or faster.
// What mutations of small files do not find.

import { afterAll, beforeAll, expect, it } from "vitest";
import { Btf } from "../../src/btf/index.js";
import { CoreRelocator } from "../../src/core-reloc/index.js";
import type { Insn } from "../../src/insn/index.js";
import { type Logger, setLogger } from "../../src/log.js";
import { openObject } from "../../src/object/index.js";
import { rawBtf } from "../btf/raw-btf.js";
import { btfExt, call, code, exit, load, ObjectWriter, TypeWriter } from "../object/builders.js";
import { fixtureBytes } from "../support/fixtures.js";
import { attempt } from "./target.js";
import { useObject } from "./use-object.js";

/** Processor time in milliseconds, ten times what is measured; with work out of proportion it is minutes. */
const MOST = 8000;
/** Of whatever the object has many of. */
const MANY = 8000;

const target = openObject(fixtureBytes("core"), { name: "target" }).btf!;
const use = (file: ObjectWriter): void => useObject(file.build(), { btf: target, running: false });

/** `count` of something. */
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** An object whose program has these instructions, and what `more` adds. */
function withMain(insns: readonly (Insn | Insn[])[], more: (file: ObjectWriter, xdp: number) => void): ObjectWriter {
  const file = new ObjectWriter();
  const xdp = file.code("xdp", code(...insns, exit));
  file.func("main", xdp, 0, (insns.flat().length + 1) * 8);
  more(file, xdp);
  return file;
}

/** Functions of .text that call the next one; `describe` tells of each. */
function chain(count: number, describe: (index: number) => void): ObjectWriter {
  const file = new ObjectWriter();
  const text = file.code(".text", code(...times(count, () => [call(), exit])));
  const ids = times(count, (i) => {
    describe(i);
    return file.func(`f${i}`, text, i * 16, 16);
  });
  for (let i = 0; i + 1 < count; i++) file.relocate(text, i * 16, ids[i + 1]!, 10);
  const xdp = file.code("xdp", code(call(), exit));
  file.func("main", xdp, 0, 16);
  file.relocate(xdp, 0, ids[0]!, 10);
  return file;
}

const cases: Readonly<Record<string, () => () => void>> = {
  "names that overlap": () => {
    const types = times(MANY, (i) => [1 + i, 7 << 24, 0]);
    const bytes = rawBtf({ types, strings: `\0${"a".repeat(MANY * 12)}\0` });
    return () => {
      const btf = Btf.parse(bytes);
      for (let id = 0; id < btf.typeCount; id++) attempt(() => btf.type(id));
      for (let id = 0; id < btf.typeCount; id++) attempt(() => btf.findByName(btf.nameOf(id)));
    };
  },
  "programs of one section": () => {
    const file = new ObjectWriter();
    const xdp = file.code("xdp", code(...times(MANY, () => exit)));
    for (let i = 0; i < MANY; i++) file.func(`f${i}`, xdp, i * 8, 8);
    return () => use(file);
  },
  "sections of one program": () => {
    const file = new ObjectWriter();
    for (let i = 0; i < MANY / 2; i++) file.func(`f${i}`, file.code(`xdp/${i}`, code(exit)), 0, 8);
    return () => use(file);
  },
  "functions that call each other": () => {
    const file = chain(MANY, () => {});
    return () => use(file);
  },
  "tagged arguments": () => {
    const types = new TypeWriter();
    const proto = types.proto();
    const records: number[][] = [];
    const file = chain(MANY / 2, (i) => {
      const id = types.func(`f${i}`, 1, proto);
      records.push([i * 16, id]);
      types.declTag("arg:ctx", id);
    });
    const main = [{ section: "xdp", records: [[0, types.func("main", 1, proto)]] }];
    const ext = btfExt(types, { func: [...main, { section: ".text", records }] });
    file.btf(types);
    file.section(".BTF.ext", ext, { flags: 0 });
    return () => use(file);
  },
  "global variables": () => {
    const types = new TypeWriter();
    const int = types.int();
    const file = withMain([], (object) => {
      const data = object.section(".data", new Uint8Array(MANY * 4));
      const entries = times(MANY, (i) => {
        object.symbol(`v${i}`, data, { value: i * 4, size: 4 });
        return [types.variable(`v${i}`, int), 0, 4] as const;
      });
      types.datasec(".data", entries);
      object.btf(types);
    });
    return () => use(file);
  },
  "functions of the kernel": () => {
    const types = new TypeWriter();
    const proto = types.proto();
    const file = withMain(
      times(MANY, () => call()),
      (object, xdp) => {
        const entries = times(MANY, (i) => {
          object.relocate(xdp, i * 8, object.extern(`k${i}`, true), 10);
          return [types.func(`k${i}`, 2, proto), 0, 0] as const;
        });
        types.datasec(".ksyms", entries);
        object.btf(types);
      },
    );
    return () => use(file);
  },
  "symbols of the kernel": () => {
    const types = new TypeWriter();
    const file = withMain(
      times(MANY, () => load()),
      (object, xdp) => {
        const entries = times(MANY, (i) => {
          object.relocate(xdp, i * 16, object.extern(`k${i}`, true), 1);
          return [types.variable(`k${i}`, 0, 2), 0, 0] as const;
        });
        types.datasec(".ksyms", entries);
        object.btf(types);
      },
    );
    return () => use(file);
  },
  "comparisons of nested types": () => {
    const types = new TypeWriter();
    let type = types.int();
    for (let depth = 0; depth < 25; depth++) {
      type = types.struct(`s${depth}`, 8, [
        ["a", type],
        ["b", type],
      ]);
    }
    const access = types.string("0");
    const typeMatches = 12;
    const records = times(250, (i) => [0, types.struct(`x___${i}`, 8, [["a", type]]), access, typeMatches]);
    const file = withMain([], () => {});
    const ext = btfExt(types, { core: [{ section: "xdp", records }] });
    file.btf(types);
    file.section(".BTF.ext", ext, { flags: 0 });
    const { btf, programs } = openObject(file.build(), { name: "nested" });
    return () => {
      const relocator = new CoreRelocator(btf!, { kernel: btf! });
      expect(programs[0]?.coreRelocations.length).toBe(250);
      for (const record of programs[0]!.coreRelocations) attempt(() => relocator.apply(new Uint8Array(8), record));
    };
  },
};

let logger: Logger | null;
beforeAll(() => {
  logger = setLogger(null);
});
afterAll(() => {
  setLogger(logger);
});

it.each(Object.entries(cases))("many %s", (_, make) => {
  const run = make();
  const start = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1000).toBeLessThan(MOST);
});
