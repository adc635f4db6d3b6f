// Maps as text, in bpftool's shape.

import { expect, it } from "vitest";
import { possibleCpuCount } from "../../src/syscall/index.js";
import { withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

kernelDescribe("dumps", { needs: ["socket_filter", "ringbuf"] }, () => {
  it("are JSON with all digits", async () => {
    await withLoaded(
      "maps",
      () => {},
      (obj) => {
        const flows = obj.map("flows");
        flows.set(
          { source: 1, target: 2, port: 3, protocol: 4 },
          { packets: (1n << 64n) - 1n, bytes: 7n, last: 'a"b' },
        );
        expect(flows.dump()).toBe(`[
  {
    "key": {
      "source": 1,
      "target": 2,
      "port": 3,
      "protocol": 4,
      "padding": 0
    },
    "value": {
      "packets": 18446744073709551615,
      "bytes": 7,
      "last": "a\\"b"
    }
  }
]`);
        expect(obj.map("recent").dump()).toBe("[]");
        expect(JSON.parse(obj.map("counters").dump({ indent: "" }))).toHaveLength(8);
        const hits = obj.map("percpu_hits");
        hits.set(
          1,
          Array.from({ length: possibleCpuCount() }, (_, cpu) => BigInt(cpu)),
        );
        const values = Array.from({ length: possibleCpuCount() }, (_, cpu) => ({ cpu, value: cpu }));
        expect(JSON.parse(hits.dump())).toEqual([{ key: 1, values }]);
        expect(hits.dump({ indent: "" })).toMatch(/^\[\{"key":1,"values":\[\{"cpu":0,"value":0\}/);
      },
    );
  });

  it("are C", async () => {
    await withLoaded(
      "maps",
      () => {},
      (obj) => {
        obj.map("recent").set(5n, 6);
        expect(obj.map("recent").dump({ format: "c" })).toBe("key (__u64)5\nvalue (__u32)6\n");
        expect(() => obj.map("waiting").dump()).toThrow(/no keys to iterate by/);
      },
    );
  });

  it("name the variables of data sections", async () => {
    await withLoaded(
      "globals",
      (obj) => {
        for (const program of obj.programs) program.autoload = false;
      },
      (obj) => {
        obj.data.data_u32 = 77;
        const dump = obj.map("globals.data").dump();
        const [element] = JSON.parse(dump) as { value: { ".data": Record<string, unknown>[] } }[];
        const variables = Object.assign({}, ...element!.value[".data"]) as Record<string, unknown>;
        expect(variables).toMatchObject({ data_u32: 77, data_array: [10, 20, 30, 40] });
        expect(dump).toMatch(/\n {6}"\.data": \[\n(.*\n)* {8}\{\n {10}"data_u32": 77\n {8}\}/);
        expect(obj.map("globals.data").dump({ indent: "" })).toContain('"value":{".data":[{"');
        expect(obj.map("globals.data").dump({ format: "c" })).toMatch(/^data_u32 = \(__u32\)77$/m);
      },
    );
  });

  it("are bytes where nothing tells the type", async () => {
    const edit = (obj: Parameters<Parameters<typeof withLoaded>[1]>[0]): void => {
      obj.map("recent").valueSize = 3;
      for (const program of obj.programs) program.autoload = false;
    };
    await withLoaded("maps", edit, (obj) => {
      const { raw } = obj.map("recent");
      raw.set(new Uint8Array([5, 0, 0, 0, 0, 0, 0, 0]), new Uint8Array([1, 2, 255]));
      expect(obj.map("recent").dump({ indent: "" })).toBe('[{"key":5,"value":["0x01","0x02","0xff"]}]');
      expect(obj.map("recent").dump({ format: "c" })).toBe("key (__u64)5\nvalue 01 02 ff\n");
    });
  });
});
