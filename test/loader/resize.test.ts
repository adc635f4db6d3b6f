// Data sections with another size than they were compiled with.

import { describe, expect, it } from "vitest";
import { ArgumentError, BpfObject as Objects, StateError, setLogger } from "../../src/index.js";
import { mapInfo } from "../../src/syscall/index.js";
import { fixturePath, runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

const row = (key: number, value: number) => ({ key, value });

describe("resizing a data section", () => {
  it("makes its last array longer or shorter, and keeps what fits", () => {
    const obj = Objects.open(fixturePath("tables"));
    const map = obj.map(".data.rows");
    const before = obj.globals(".data.rows");
    expect(map.valueSize).toBe(24);
    before.table = [row(2, 21), row(3, 31)];
    map.valueSize = 8 + 4 * 8;
    expect(obj.globals(".data.rows").table).toEqual([row(2, 21), row(3, 31), row(0, 0), row(0, 0)]);
    expect(obj.globals(".data.rows").first).toEqual(row(1, 10));
    expect(map.initialValue?.length).toBe(40);
    // What was taken before would write into memory that nobody reads.
    expect(() => before.table).toThrow(StateError);
    map.valueSize = 16;
    expect(obj.globals(".data.rows").table).toEqual([row(2, 21)]);
    // Other sections are not touched.
    expect(obj.globals(".data.mixed")).toEqual({ counts: [1, 2], total: 3 });
  });

  it("refuses sizes that its variables do not fit into", () => {
    const obj = Objects.open(fixturePath("tables"));
    const previous = setLogger(null);
    try {
      for (const size of [0, 4, 12, -1, 2 ** 31, 1.5]) {
        expect(() => {
          obj.map(".data.rows").valueSize = size;
        }, String(size)).toThrow(ArgumentError);
      }
      expect(() => {
        obj.map(".data.mixed").valueSize = 8;
      }).toThrow(/map \.data\.mixed: the variables of \.data\.mixed need 12 bytes, 8 are too few/);
    } finally {
      setLogger(previous);
    }
    expect(obj.map(".data.rows").valueSize).toBe(24);
    expect(obj.globals(".data.rows").table).toEqual([row(2, 20), row(3, 30)]);
  });
});

kernelDescribe("a resized data section", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("is what programs see, with types that the kernel accepts", async () => {
    await withLoaded(
      "tables",
      (obj) => {
        obj.map(".data.rows").valueSize = 8 + 64 * 8;
        obj.rodata.rows = 64;
        obj.globals(".data.rows").table = Array.from({ length: 64 }, (_, i) => row(i, i));
      },
      (obj) => {
        expect(runFilter(obj, "add_up")).toBe(10 + (63 * 64) / 2);
        const table = obj.globals(".data.rows").table as { value: number }[];
        expect([table.length, table[63]?.value]).toEqual([64, 63]);
        const info = mapInfo(obj.map(".data.rows").fd);
        expect(info.valueSize).toBe(520);
        expect(info.btfValueTypeId).not.toBe(0);
      },
    );
  });

  it("goes without types where its variables do not reach its end", async () => {
    const messages: string[] = [];
    const previous = setLogger((level, message) => {
      if (level === "warn") messages.push(message);
    });
    try {
      await withLoaded(
        "tables",
        (obj) => {
          obj.map(".data.mixed").valueSize = 4096;
        },
        (obj) => {
          expect(runFilter(obj, "add_up")).toBe(60);
          expect(obj.globals(".data.mixed").total).toBe(61);
          expect(mapInfo(obj.map(".data.mixed").fd)).toMatchObject({ valueSize: 4096, btfValueTypeId: 0 });
        },
      );
    } finally {
      setLogger(previous);
    }
    expect(messages[0]).toMatch(/\.data\.mixed: its last variable is no array/);
  });
});
