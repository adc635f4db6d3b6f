import { describe, expect, it } from "vitest";
import { MapType } from "../../src/object/index.js";
import { ObjectWriter, TypeWriter } from "./builders.js";
import { failure, mapObject, open, openMap } from "./support.js";

describe("map definitions", () => {
  it("reads every member", () => {
    const map = openMap((t) => [
      ["type", t.uint(MapType.hash)],
      ["max_entries", t.uint(1000)],
      ["map_flags", t.uint(5)],
      ["numa_node", t.uint(2)],
      ["pinning", t.uint(1)],
      ["key", t.ptr(t.typedef("key_t", t.int("short", 2)))],
      ["value", t.ptr(t.struct("value", 24, []))],
      ["map_extra", t.uint(3)],
    ]);
    expect(map).toMatchObject({
      name: "m",
      sectionName: ".maps",
      dataKind: undefined,
      type: MapType.hash,
      maxEntries: 1000,
      flags: 5,
      numaNode: 2,
      pinning: 1,
      keySize: 2,
      valueSize: 24,
      mapExtra: 3n,
      inner: undefined,
      slots: [],
      initialValue: undefined,
      autocreate: true,
    });
    expect(map.keyTypeId).toBeGreaterThan(0);
    expect(map.valueTypeId).toBeGreaterThan(map.keyTypeId);
  });

  it("takes sizes without types, and both when they agree", () => {
    const sizes = openMap((t) => [
      ["type", t.uint(1)],
      ["key_size", t.uint(8)],
      ["value_size", t.uint(40)],
    ]);
    expect(sizes).toMatchObject({ keySize: 8, valueSize: 40, keyTypeId: 0, valueTypeId: 0, maxEntries: 0, pinning: 0 });
    const both = openMap((t) => [
      ["type", t.uint(1)],
      ["key_size", t.uint(4)],
      ["key", t.ptr(t.int())],
    ]);
    expect(both.keySize).toBe(4);
    expect(both.keyTypeId).toBeGreaterThan(0);
  });

  it.each([
    ["positive", (t: TypeWriter) => t.enum32([7]), 7n],
    ["negative, extended to 64 bits", (t: TypeWriter) => t.enum32([0xffffffff]), 0xffffffffn],
    ["of 64 bits", (t: TypeWriter) => t.enum64([0x1234_5678_9abc_def0n]), 0x1234_5678_9abc_def0n],
  ])("reads map_extra from an enum: %s", (_, type, expected) => {
    expect(
      openMap((t) => [
        ["type", t.uint(33)],
        ["map_extra", type(t)],
      ]).mapExtra,
    ).toBe(expected);
  });

  it("reads the definition of inner maps", () => {
    const map = openMap((t) => {
      const inner = t.struct("inner", 32, [
        ["type", t.uint(MapType.array)],
        ["max_entries", t.uint(1)],
        ["key", t.ptr(t.int())],
        ["value", t.ptr(t.int())],
      ]);
      return [
        ["type", t.uint(MapType.hash_of_maps)],
        ["key_size", t.uint(4)],
        ["values", t.array(t.ptr(inner), 0)],
      ];
    });
    expect(map.valueSize).toBe(4);
    expect(map.inner).toMatchObject({ name: "m.inner", type: MapType.array, maxEntries: 1, keySize: 4, valueSize: 4 });
  });

  it("accepts the prototype of a program array without slots", () => {
    const map = openMap((t) => [
      ["type", t.uint(MapType.prog_array)],
      ["key_size", t.uint(4)],
      ["values", t.array(t.ptr(t.proto()), 0)],
    ]);
    expect(map).toMatchObject({ valueSize: 4, inner: undefined });
  });

  it("keeps declaration order, which is that of the section and not of the type information", () => {
    const definition = (t: TypeWriter): number => t.struct("", 64, [["type", t.uint(2)]]);
    const file = mapObject({ zulu: definition, alpha: definition, mike: definition });
    expect(open(file).maps.map(({ name }) => name)).toEqual(["zulu", "alpha", "mike"]);

    const types = new TypeWriter();
    const reversed = new ObjectWriter();
    const section = reversed.section(".maps", new Uint8Array(128));
    const struct = definition(types);
    reversed.symbol("first", section, { value: 0 });
    reversed.symbol("second", section, { value: 64 });
    types.datasec(".maps", [
      [types.variable("second", struct), 0, 64],
      [types.variable("first", struct), 0, 64],
    ]);
    reversed.btf(types);
    expect(open(reversed).maps.map(({ name }) => name)).toEqual(["first", "second"]);
  });

  const wrong: [string, (t: TypeWriter) => [string, number][], string, string][] = [
    ["no type", (t) => [["max_entries", t.uint(1)]], "OBJECT_INVALID", "the definition has no `type`"],
    ["type 0", (t) => [["type", t.uint(0)]], "OBJECT_INVALID", "the definition has no `type`"],
    [
      "unknown member",
      (t) => [
        ["type", t.uint(1)],
        ["colour", t.uint(1)],
      ],
      "OBJECT_UNSUPPORTED",
      "unknown member `colour`",
    ],
    [
      "number that is no pointer",
      (t) => [["type", t.int()]],
      "OBJECT_INVALID",
      "`type` has to be a pointer to an array, as __uint() makes it",
    ],
    [
      "number that points to no array",
      (t) => [["type", t.ptr(t.int())]],
      "OBJECT_INVALID",
      "`type` has to be a pointer to an array, as __uint() makes it",
    ],
    [
      "key that is no pointer",
      (t) => [
        ["type", t.uint(1)],
        ["key", t.int()],
      ],
      "OBJECT_INVALID",
      "`key` has to be a pointer, as __type() makes it",
    ],
    [
      "key of no size",
      (t) => [
        ["type", t.uint(1)],
        ["key", t.ptr(0)],
      ],
      "OBJECT_INVALID",
      "the type of `key` has no size",
    ],
    [
      "key against key_size",
      (t) => [
        ["type", t.uint(1)],
        ["key", t.ptr(t.int())],
        ["key_size", t.uint(8)],
      ],
      "OBJECT_INVALID",
      "the key has 8 bytes here, and 4 in a member before",
    ],
    [
      "value_size against value",
      (t) => [
        ["type", t.uint(1)],
        ["value_size", t.uint(2)],
        ["value", t.ptr(t.int())],
      ],
      "OBJECT_INVALID",
      "the value has 4 bytes here, and 2 in a member before",
    ],
    [
      "pinning 2",
      (t) => [
        ["type", t.uint(1)],
        ["pinning", t.uint(2)],
      ],
      "OBJECT_INVALID",
      "`pinning` is 2; it may be LIBBPF_PIN_NONE or LIBBPF_PIN_BY_NAME",
    ],
    [
      "map_extra of two enumerators",
      (t) => [
        ["type", t.uint(1)],
        ["map_extra", t.enum32([1, 2])],
      ],
      "OBJECT_INVALID",
      "`map_extra` has to be an enum of one enumerator, as __ulong() makes it",
    ],
    [
      "values in a hash",
      (t) => [
        ["type", t.uint(1)],
        ["values", t.array(t.ptr(t.proto()), 0)],
      ],
      "OBJECT_UNSUPPORTED",
      "only maps of maps and program arrays have `values` (and `type` has to come first)",
    ],
    [
      "values not last",
      (t) => [
        ["type", t.uint(3)],
        ["values", t.array(t.ptr(t.proto()), 0)],
        ["key_size", t.uint(4)],
      ],
      "OBJECT_INVALID",
      "`values` has to be the last member",
    ],
    [
      "values with a length",
      (t) => [
        ["type", t.uint(3)],
        ["values", t.array(t.ptr(t.proto()), 2)],
      ],
      "OBJECT_INVALID",
      "`values` has to be an array of length zero",
    ],
    [
      "values of ints",
      (t) => [
        ["type", t.uint(12)],
        ["values", t.array(t.int(), 0)],
      ],
      "OBJECT_INVALID",
      "`values` has to hold pointers to a map definition",
    ],
    [
      "values of maps in a program array",
      (t) => [
        ["type", t.uint(3)],
        ["values", t.array(t.ptr(t.struct("", 8, [])), 0)],
      ],
      "OBJECT_INVALID",
      "`values` has to hold pointers to a function",
    ],
    [
      "value_size beside values",
      (t) => [
        ["type", t.uint(3)],
        ["value_size", t.uint(8)],
        ["values", t.array(t.ptr(t.proto()), 0)],
      ],
      "OBJECT_INVALID",
      "the value has 4 bytes here, and 8 in a member before",
    ],
    [
      "pinned inner map",
      (t) => [
        ["type", t.uint(12)],
        [
          "values",
          t.array(
            t.ptr(
              t.struct("", 64, [
                ["type", t.uint(2)],
                ["pinning", t.uint(1)],
              ]),
            ),
            0,
          ),
        ],
      ],
      "OBJECT_UNSUPPORTED",
      "an inner map cannot be pinned",
    ],
    [
      "inner map of maps",
      (t) => [
        ["type", t.uint(12)],
        [
          "values",
          t.array(
            t.ptr(
              t.struct("", 64, [
                ["type", t.uint(12)],
                ["values", t.array(t.int(), 0)],
              ]),
            ),
            0,
          ),
        ],
      ],
      "OBJECT_UNSUPPORTED",
      "an inner map cannot have `values` of its own",
    ],
  ];
  it.each(wrong)("refuses: %s", (_, members, code, reason) => {
    const error = failure(() => openMap(members));
    expect(error).toMatchObject({ code, section: ".maps", map: "m", offset: 0 });
    expect(error.reason).toContain(reason);
  });

  it("tolerates unknown members with relaxedMaps, nothing else", () => {
    expect(
      openMap(
        (t) => [
          ["type", t.uint(1)],
          ["colour", t.int()],
        ],
        true,
      ).type,
    ).toBe(1);
    expect(failure(() => openMap((t) => [["colour", t.int()]], true)).reason).toBe("the definition has no `type`");
  });

  it.each([
    [0, "static or hidden"],
    [2, "extern"],
  ])("refuses maps of linkage %i", (linkage, word) => {
    const file = mapObject({ m: (t) => t.struct("", 64, [["type", t.uint(1)]]) }, linkage);
    const error = failure(() => open(file));
    expect(error).toMatchObject({ code: "OBJECT_UNSUPPORTED", map: "m", section: ".maps" });
    expect(error.reason).toContain(word);
    expect(error.hint).toContain("-fvisibility=hidden");
  });

  it("refuses hidden maps, with the compiler flag in the hint", () => {
    const types = new TypeWriter();
    const file = new ObjectWriter();
    const section = file.section(".maps", new Uint8Array(64));
    file.symbol("m", section, { visibility: 2 });
    types.datasec(".maps", [[types.variable("m", types.struct("", 64, [["type", types.uint(1)]])), 0, 64]]);
    file.btf(types);
    expect(failure(() => open(file)).hint).toContain("-fvisibility=hidden");
  });

  it.each([
    ["definition that is no struct", (t: TypeWriter) => t.int(), "the definition is no struct but of kind int"],
    [
      "definition larger than its variable",
      (t: TypeWriter) => t.struct("", 65, []),
      "the definition has 65 bytes, its variable only 64",
    ],
  ])("refuses a %s", (_, type, reason) => {
    expect(failure(() => open(mapObject({ m: type })))).toMatchObject({ code: "OBJECT_INVALID", reason, map: "m" });
  });

  it("needs type information, and in it the section", () => {
    const bare = new ObjectWriter();
    bare.section(".maps", new Uint8Array(8));
    expect(failure(() => open(bare))).toMatchObject({ code: "BTF_MISSING", section: ".maps" });

    const other = new ObjectWriter();
    other.section(".maps", new Uint8Array(8));
    const types = new TypeWriter();
    types.int();
    other.btf(types);
    expect(failure(() => open(other))).toMatchObject({ code: "OBJECT_INVALID", section: ".maps" });
  });
});

it("reads thousands of maps that share a large definition in linear time", () => {
  const types = new TypeWriter();
  const file = new ObjectWriter();
  const count = 3000;
  const section = file.section(".maps", new Uint8Array(count * 8));
  const members: [string, number][] = [["type", types.uint(1)]];
  for (let i = 0; i < count; i++) members.push([`m${i}`, 1]);
  const struct = types.struct("", 8, members);
  const entries = Array.from({ length: count }, (_, i) => {
    file.symbol(`map${i}`, section, { value: i * 8 });
    return [types.variable(`map${i}`, struct), 0, 8] as const;
  });
  types.datasec(".maps", entries);
  file.btf(types);
  const start = performance.now();
  expect(open(file, true).maps).toHaveLength(count);
  expect(performance.now() - start).toBeLessThan(20_000);
});
