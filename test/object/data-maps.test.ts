import { describe, expect, it } from "vitest";
import { MapFlag, MapType } from "../../src/object/index.js";
import { dataMapName } from "../../src/object/names.js";
import { ObjectWriter, TypeWriter } from "./builders.js";
import { failure, open } from "./support.js";

describe("names of data maps", () => {
  it.each([
    ["minimal", ".bss", "minimal.bss"],
    ["averylongname", ".rodata", "averylon.rodata"],
    ["averylongname", ".data", "averylon.data"],
    ["my-prog v2", ".bss", "my_prog_.bss"],
    ["minimal", ".rodata.str1.1", ".rodata.str1.1"],
    ["minimal", ".data.some_long_name", ".data.some_long_name"],
    ["minimal", ".bss.a-b", ".bss.a-b"],
    ["", ".bss", ".bss"],
  ])("%s %s: %s", (object, section, name) => {
    expect(dataMapName(object, section)).toBe(name);
  });
});

describe("data maps", () => {
  function withDataSec(name: string, linkage: number, hidden = false): ObjectWriter {
    const file = new ObjectWriter();
    const section = file.section(name, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    file.symbol("v", section, { value: 4, size: 4, visibility: hidden ? 2 : 0 });
    const types = new TypeWriter();
    types.datasec(name, [[types.variable("v", types.int(), linkage), 4, 4]]);
    file.btf(types);
    return file;
  }

  it("are arrays of the section's bytes, in section order", () => {
    const file = new ObjectWriter();
    file.section(".rodata", Uint8Array.of(9, 8, 7));
    file.bss(".bss", 40);
    file.section(".data.mine", Uint8Array.of(1));
    file.section(".data", new Uint8Array(0));
    const maps = open(file).maps;
    const common = { type: MapType.array, keySize: 4, maxEntries: 1, keyTypeId: 0, valueTypeId: 0, autocreate: true };
    expect(maps).toMatchObject([
      {
        ...common,
        name: "test.rodata",
        sectionName: ".rodata",
        dataKind: "rodata",
        valueSize: 3,
        flags: MapFlag.RDONLY_PROG,
      },
      { ...common, name: "test.bss", sectionName: ".bss", dataKind: "bss", valueSize: 40, flags: 0 },
      { ...common, name: ".data.mine", sectionName: ".data.mine", dataKind: "data", valueSize: 1, flags: 0 },
    ]);
    expect(maps[0]!.initialValue).toEqual(Uint8Array.of(9, 8, 7));
    expect(maps[1]!.initialValue).toEqual(new Uint8Array(40));
  });

  it("hold private, writable copies", () => {
    const bytes = withDataSec(".data", 1).build();
    const before = bytes.slice();
    const map = open({ build: () => bytes } as ObjectWriter).maps[0]!;
    map.initialValue!.fill(0xff);
    expect(bytes).toEqual(before);
    expect(map.initialValue![0]).toBe(0xff);

    const file = new ObjectWriter();
    file.bss(".bss", 8);
    const bss = open(file).maps[0]!;
    bss.initialValue![3] = 7;
    expect(bss.initialValue).toEqual(Uint8Array.of(0, 0, 0, 7, 0, 0, 0, 0));
  });

  it.each([
    ["a global variable", 1, false, true],
    ["a static variable", 0, false, false],
    ["a hidden variable", 1, true, false],
  ])("with %s: mappable or not", (_, linkage, hidden, mappable) => {
    const map = open(withDataSec(".data", linkage, hidden)).maps[0]!;
    expect(map.flags).toBe(mappable ? MapFlag.MMAPABLE : 0);
    expect(map.valueTypeId).toBeGreaterThan(0);
  });

  it("refuses variables that lie outside their section", () => {
    const file = new ObjectWriter();
    file.section(".data", new Uint8Array(8));
    const types = new TypeWriter();
    types.datasec(".data", [[types.variable("v", types.int(), 0), 6, 4]], 8);
    file.btf(types);
    expect(failure(() => open(file))).toMatchObject({ code: "OBJECT_INVALID", section: ".data", offset: 8 });
  });

  it("makes nothing of gigabytes of zeros until they are asked for", () => {
    const file = new ObjectWriter();
    file.bss(".bss", 2 ** 29);
    const before = process.memoryUsage().arrayBuffers;
    expect(open(file).maps[0]!.valueSize).toBe(2 ** 29);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
    const huge = new ObjectWriter();
    huge.bss(".bss", 2 ** 50);
    expect(failure(() => open(huge)).code).toBe("ELF_UNSUPPORTED");
  });
});
