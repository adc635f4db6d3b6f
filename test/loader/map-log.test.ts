// What the kernel says about maps that it refuses (Linux 7.0), in the error.

import { expect, it } from "vitest";
import { type BpfMap, BpfObject, SystemCallError } from "../../src/index.js";
import { kernelHas, loadKernelBtf } from "../../src/kernel/index.js";
import { MapFlag } from "../../src/object/index.js";
import { commonAttrLayout } from "../../src/syscall/attr-layout.js";
import { mapCreate, mapInfo, textOf } from "../../src/syscall/index.js";
import { fixturePath, openDescriptors } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

/** How loading `minimal` with a changed map is refused. */
function refusal(edit: (map: BpfMap) => void): SystemCallError {
  const obj = BpfObject.open(fixturePath("minimal"));
  try {
    edit(obj.map("syscall_count"));
    obj.loadSync();
  } catch (error) {
    if (error instanceof SystemCallError) return error;
    throw error;
  } finally {
    obj.close();
  }
  throw new Error("the map was created");
}

function unknownNode(map: BpfMap): void {
  map.flags |= MapFlag.NUMA_NODE;
  map.numaNode = 4095;
}

kernelDescribe("a refused map", { needs: ["common_attrs"] }, () => {
  it("is explained by the kernel", () => {
    const error = refusal(unknownNode);
    expect(error).toMatchObject({ code: "SYSCALL", errnoName: "EINVAL", operation: "bpf(BPF_MAP_CREATE)" });
    expect(error.log).toMatch(/numa_node/);
    expect(error.message).toMatch(/map syscall_count: bpf\(BPF_MAP_CREATE\) .*EINVAL, .*numa_node/);
    const extra = refusal((map) => {
      map.mapExtra = 5n;
    });
    expect(extra.message).toMatch(/map_extra/);
  });

  it("leaves nothing open", () => {
    refusal(unknownNode);
    const before = openDescriptors();
    for (let i = 0; i < 5; i++) refusal(unknownNode);
    expect(openDescriptors()).toBe(before);
  });

  it("could have been accepted with a log as well", () => {
    const buffer = new Uint8Array(256);
    using map = mapCreate({ type: 1, keySize: 4, valueSize: 8, maxEntries: 3, log: { level: 1, buffer } });
    expect(mapInfo(map)).toMatchObject({ keySize: 4, valueSize: 8, maxEntries: 3 });
    expect(textOf(buffer)).toBe("");
  });

  it("is asked about with the kernel's own structure", () => {
    const btf = loadKernelBtf("struct bpf_common_attr");
    const found = btf.findByName("bpf_common_attr", "struct");
    const type = btf.type(found!);
    if (type.kind !== "struct") throw new Error("not a struct");
    expect(type.size).toBe(commonAttrLayout.size);
    const offsets = Object.fromEntries(type.members.map(({ name, bitOffset }) => [name, bitOffset / 8]));
    const ours = Object.entries(commonAttrLayout.fields).map(([name, [, offset]]) => [name, offset]);
    expect(offsets).toEqual(Object.fromEntries(ours));
  });
});

kernelDescribe("a refused map on any kernel", { needs: ["bpf"] }, () => {
  it("has a log only where the kernel writes one", () => {
    const { log, message } = refusal(unknownNode);
    expect(log !== undefined).toBe(kernelHas("bpf_syscall_common_attrs") === true);
    expect(message).toMatch(/EINVAL/);
  });
});
