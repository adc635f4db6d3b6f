// Declarations of maps: what is handed to the kernel, beyond what the tests of loading show.

import { describe, expect, it } from "vitest";
import { ArgumentError, BpfObject, type SystemCallError } from "../../src/index.js";
import { fixturePath, loadError, only, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

describe("a declared map", () => {
  it("knows the types of its keys and values", () => {
    using obj = BpfObject.open(fixturePath("pinned"));
    const btf = obj.btf!;
    const visits = obj.map("visits");
    expect(btf.nameOf(visits.valueTypeId)).toBe("visit");
    expect(btf.sizeOf(visits.keyTypeId)).toBe(4);
    expect([obj.map("ring").keyTypeId, obj.map("ring").valueTypeId]).toEqual([0, 0]);
    expect(btf.nameOf(obj.map(".bss").valueTypeId)).toBe(".bss");
  });

  it("leaves .kconfig to the kernel", () => {
    using obj = BpfObject.open(fixturePath("externs"));
    const { initialValue } = obj.map(".kconfig");
    expect(() => obj.map(".kconfig").setInitialValue(initialValue!)).toThrow(ArgumentError);
    expect(() => obj.map(".kconfig").setInitialValue(initialValue!)).toThrow(/option kconfig/);
  });
});

kernelDescribe("maps of a network device", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("are created on the device with that index", async () => {
    // The loopback device keeps no maps, and says so; index 0 is no device.
    const error = loadError("pinned", (obj) => {
      only("visit")(obj);
      for (const map of obj.maps) map.pinPath = undefined;
      obj.map("visits").ifindex = 1;
      expect(obj.map("visits").ifindex).toBe(1);
    }) as SystemCallError;
    expect(error).toMatchObject({ operation: "bpf(BPF_MAP_CREATE)", location: { map: "visits" } });
    expect(["EOPNOTSUPP", "EINVAL"]).toContain(error.errnoName);
    await withLoaded(
      "pinned",
      (obj) => {
        only("visit")(obj);
        for (const map of obj.maps) map.pinPath = undefined;
        obj.map("visits").ifindex = 0;
        expect(() => {
          obj.map("visits").ifindex = -1;
        }).toThrow(ArgumentError);
      },
      (obj) => expect(obj.map("visits").loaded).toBe(true),
    );
  });
});
