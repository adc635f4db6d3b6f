// What programs and maps do without on old kernels: as data, and with an answer of the kernel pretended.

import { afterEach, describe, expect, it } from "vitest";
import { ArgumentError, BpfObject, type FeatureName, StateError } from "../../src/index.js";
import { readInsn } from "../../src/insn/index.js";
import { call, insns, returnZero, set } from "../../src/kernel/experiments.js";
import { pretend } from "../../src/kernel/features.js";
import { adaptMap, adaptProgram, settleAttachType } from "../../src/loader/fall-backs.js";
import {
  AttachType,
  MapFlag,
  type MapSpec,
  openObject,
  type ProgramSpec,
  type SectionFlag,
} from "../../src/object/index.js";
import { linkInfo, type MapCreateOptions, mapInfo, type ProgLoadOptions, progInfo } from "../../src/syscall/index.js";
import { fixtureBytes, runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

const lacks =
  (...missing: FeatureName[]) =>
  (feature: FeatureName): boolean =>
    missing.includes(feature);

/** Answers that a test pretends, taken back after it. */
const pretended: [FeatureName, boolean | undefined][] = [];
function without(feature: FeatureName): void {
  pretended.push([feature, pretend(feature, false)]);
}
afterEach(() => {
  for (const [feature, before] of pretended.splice(0)) pretend(feature, before);
});

const object = openObject(fixtureBytes("sections"), { name: "sections" });
const anyProgram = object.programs[0]!;
const request: ProgLoadOptions = { type: 1, insns: insns(...returnZero), license: "GPL", name: "name", btf: 3 };

describe("adaptProgram", () => {
  it("changes nothing that the kernel has", () => {
    expect(adaptProgram(request, anyProgram, lacks())).toBe(request);
    expect(adaptProgram(request, anyProgram, lacks("btf_func", "probe_read_kern", "exp_attach_type"))).toBe(request);
  });

  it("omits names", () => {
    expect(adaptProgram(request, anyProgram, lacks("prog_name"))).toEqual({ ...request, name: undefined });
  });

  it("omits function and line information with the BTF they refer to", () => {
    const bytes = new Uint8Array(16);
    const described = { ...request, funcInfo: { bytes, recordSize: 8 }, lineInfo: { bytes, recordSize: 16 } };
    const adapted = adaptProgram(described, anyProgram, lacks("btf_func"));
    expect(adapted).toEqual({ ...request, btf: undefined, funcInfo: undefined, lineInfo: undefined });
  });

  it("zeroes attach types, but only those that the section says are optional", () => {
    const withFlags = (...flags: ("optionalAttachType" | "sleepable")[]): ProgramSpec => ({
      ...anyProgram,
      definition: { ...anyProgram.definition!, flags },
    });
    const typed = { ...request, expectedAttachType: AttachType.sk_lookup };
    const adapt = (spec: ProgramSpec) => adaptProgram(typed, spec, lacks("exp_attach_type")).expectedAttachType;
    expect(adapt(withFlags("optionalAttachType"))).toBe(0);
    expect(adapt(withFlags("sleepable"))).toBe(AttachType.sk_lookup);
  });

  it("rewrites calls of the probe_read family, and nothing that looks like them", () => {
    const immediate = { opcode: 0x18, dst: 1, imm: 113 };
    const subprogram = { opcode: 0x85, src: 1, imm: 113 };
    const body = [call(112), call(113), call(114), call(115), call(116), subprogram, immediate, {}, set(2, 113)];
    const program = insns(...body, ...returnZero);
    const before = program.slice();
    const after = adaptProgram({ ...request, insns: program }, anyProgram, lacks("probe_read_kern")).insns;
    expect(program).toEqual(before);
    expect(body.map((_, index) => readInsn(after, index).imm)).toEqual([4, 4, 45, 45, 116, 113, 113, 0, 113]);
    expect(after.length).toBe(before.length);
  });
});

describe("adaptMap", () => {
  const map = object.maps[0]!;
  const options: MapCreateOptions = { type: 2, keySize: 4, valueSize: 4, maxEntries: 1, name: "map", flags: 1 };
  const spec = (dataKind: MapSpec["dataKind"]): MapSpec => ({ ...map, dataKind });

  it("omits names", () => {
    expect(adaptMap(options, spec(undefined), lacks("prog_name"))).toEqual({ ...options, name: undefined });
  });

  it("does not map data sections, and refuses to touch maps whose author wants them mapped", () => {
    const mappable = { ...options, flags: MapFlag.MMAPABLE | MapFlag.RDONLY_PROG };
    expect(adaptMap(mappable, spec("data"), lacks("array_mmap")).flags).toBe(MapFlag.RDONLY_PROG);
    expect(adaptMap(mappable, spec(undefined), lacks("array_mmap"))).toBe(mappable);
  });
});

kernelDescribe("kernels that lack a feature", { needs: ["bpf"] }, () => {
  it("without names: maps and programs have none", async () => {
    without("prog_name");
    await withLoaded(
      "minimal",
      () => undefined,
      (obj) => {
        expect(obj.programs.map((program) => progInfo(program.fd).name)).toEqual(obj.programs.map(() => ""));
        expect(obj.maps.map((map) => mapInfo(map.fd).name)).toEqual(obj.maps.map(() => ""));
      },
    );
  });

  it("without mapped arrays: globals are read and written through the map", async () => {
    without("array_mmap");
    await withLoaded(
      "nobtf",
      () => undefined,
      (obj) => expect(runFilter(obj, "count_runs")).toBe(42),
    );
    await withLoaded(
      "subprogs",
      (obj) => {
        obj.data.factor = 5;
        // The others need callbacks (Linux 5.13).
        for (const program of obj.programs) program.autoload = program.name === "call_global";
      },
      (obj) => {
        expect(obj.map(".bss").flags & MapFlag.MMAPABLE).toBe(0);
        expect(obj.data.factor).toBe(5);
        const first = runFilter(obj, "call_global");
        const calls = obj.bss.leaf_calls as bigint;
        expect(calls).toBeGreaterThan(0n);
        runFilter(obj, "call_global");
        expect(obj.bss.leaf_calls).toBe(2n * calls);
        obj.data.factor = 10;
        expect(obj.data.factor).toBe(10);
        expect(runFilter(obj, "call_global")).not.toBe(first);
        obj.bss.leaf_calls = 0n;
        expect(obj.bss.leaf_calls).toBe(0n);
        const { bss } = obj;
        obj.close();
        expect(() => bss.leaf_calls).toThrow(StateError);
      },
    );
  });

  it("without function information: programs load, without BTF", async () => {
    without("btf_func");
    await withLoaded(
      "minimal",
      () => undefined,
      (obj) => {
        const program = obj.programs.find(({ loaded }) => loaded)!;
        expect(progInfo(program.fd).btfId).toBe(0);
      },
    );
  });

  it("without bound maps: programs load, and nothing is said", async () => {
    without("prog_bind_map");
    await withLoaded(
      "minimal",
      () => undefined,
      (obj) => expect(obj.loaded).toBe(true),
    );
  });
});

kernelDescribe("kernels without links of perf events", { needs: ["tracepoint", "array_mmap"] }, () => {
  it("attach by ioctl, and detach", async () => {
    without("perf_link");
    await withLoaded(
      "minimal",
      () => undefined,
      (obj) => {
        const [link] = obj.attach();
        for (let i = 0; i < 50; i++) process.cpuUsage();
        expect(obj.bss.total_syscalls).toBeGreaterThanOrEqual(50n);
        // The descriptor is the event: there is no link to ask about.
        expect(() => linkInfo(link!.fd)).toThrow(/perf/);
        link!.close();
        const stopped = obj.bss.total_syscalls;
        for (let i = 0; i < 50; i++) process.cpuUsage();
        expect(obj.bss.total_syscalls).toBe(stopped);
      },
    );
  });

  it("refuse cookies", async () => {
    without("perf_link");
    await withLoaded(
      "minimal",
      () => undefined,
      (obj) => {
        const attach = () => obj.programs[0]!.attachTracepoint("raw_syscalls", "sys_enter", { cookie: 1n });
        expect(attach).toThrow(/cookie.*5\.15/);
      },
    );
  });
});

describe("settleAttachType", () => {
  const typeOf = (flags: readonly SectionFlag[], hasLinks: boolean): number => {
    pretended.push(["uprobe_multi_link", pretend("uprobe_multi_link", hasLinks)]);
    const spec: ProgramSpec = { ...anyProgram, expectedAttachType: 0 };
    spec.definition = { ...anyProgram.definition!, flags };
    settleAttachType(spec);
    return spec.expectedAttachType;
  };

  it("gives programs on USDT probes one link for many places, where there are such links", () => {
    expect(typeOf(["usdt"], true)).toBe(AttachType.trace_uprobe_multi);
    expect(typeOf(["usdt"], false)).toBe(0);
    expect(typeOf(["sleepable"], true)).toBe(0);
  });
});

describe("options of load", () => {
  it("let the version be set, until load", () => {
    using obj = BpfObject.open(fixtureBytes("minimal"));
    expect(obj.kernelVersion).toBeGreaterThan(0);
    obj.kernelVersion = 0x060c01;
    expect(obj.kernelVersion).toBe(0x060c01);
    expect(() => {
      obj.kernelVersion = -1;
    }).toThrow(ArgumentError);
    obj.close();
    expect(() => {
      obj.kernelVersion = 1;
    }).toThrow(StateError);
  });

  it("forget what the section says when the type is changed", () => {
    using obj = BpfObject.open(fixtureBytes("minimal"));
    const program = obj.programs[0]!;
    const { type } = program;
    program.type = type;
    expect(program.definition?.autoAttach).toBe("tp");
    program.type = "kprobe";
    expect(program.definition).toBeUndefined();
  });

  kernelIt("pass the network device on, which refuses what it cannot do", { needs: ["bpf"] }, () => {
    using obj = BpfObject.open(fixtureBytes("nobtf"));
    const program = obj.programs[0]!;
    expect(program.ifindex).toBe(0);
    program.ifindex = 1;
    // The loopback device runs no programs of its own.
    expect(() => obj.loadSync()).toThrow(/EINVAL|EOPNOTSUPP/);
  });
});
