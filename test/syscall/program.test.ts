// Programs, type information, links, ids and pins on the running kernel.

import { mkdirSync, openSync, rmdirSync } from "node:fs";
import { afterEach, expect, it } from "vitest";
import { ArgumentError, SystemCallError } from "../../src/errors.js";
import {
  btfInfo,
  btfLoad,
  Errno,
  enableStats,
  FileDescriptor,
  linkCreate,
  linkDetach,
  linkInfo,
  linkUpdate,
  mapCreate,
  mapInfo,
  mapLookup,
  mountDetached,
  nextId,
  objectGet,
  objectIds,
  objectPin,
  openById,
  PerfSoftware,
  PerfType,
  perfEventDisable,
  perfEventEnable,
  perfEventOpen,
  perfEventSetBpf,
  progAttach,
  progBindMap,
  progDetach,
  progInfo,
  progLoad,
  progLoadAsync,
  progLoadCapabilities,
  progQuery,
  progTestRun,
  rawTracepointOpen,
  taskFdQuery,
} from "../../src/syscall/index.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";
import { asU64, counting, MapType, minimalBtf, Prog, returning, u32s } from "./programs.js";

const open: FileDescriptor[] = [];
function keep(fd: FileDescriptor | undefined): FileDescriptor {
  if (fd === undefined) throw new Error("no descriptor");
  open.push(fd);
  return fd;
}
const atEnd: (() => void)[] = [];
afterEach(() => {
  for (const undo of atEnd.splice(0)) undo();
  for (const fd of open.splice(0)) fd.close();
});

const load = (type: number, insns: Uint8Array, expectedAttachType?: number) =>
  keep(progLoad({ type, insns, license: "GPL", name: "prog", expectedAttachType }).fd);
const counter = () => keep(mapCreate({ type: MapType.array, keySize: 4, valueSize: 8, maxEntries: 1, name: "count" }));
const countOf = (map: FileDescriptor) => asU64(mapLookup({ map, key: u32s(0) })) as bigint;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

kernelDescribe("programs", { needs: ["bpf"] }, () => {
  it("loads and runs one", () => {
    const program = load(Prog.socketFilter, returning(42));
    expect(progTestRun({ program, data: new Uint8Array(64), repeat: 3 }).returnValue).toBe(42);
  });

  it("gives the packet back", () => {
    const program = load(Prog.schedCls, returning(0));
    const data = Uint8Array.from({ length: 64 }, (_, index) => index);
    const { dataOut, returnValue } = progTestRun({ program, data, dataOutSize: 100 });
    expect([returnValue, dataOut]).toEqual([0, data]);
    expect(() => progTestRun({ program, data, dataOutSize: 10 })).toThrow(/ENOSPC/);
    expect(() => progTestRun({ program, data, dataOutSize: -1 })).toThrow(ArgumentError);
  });

  it("describes it, with its instructions and code", () => {
    const map = counter();
    const program = load(Prog.socketFilter, counting(map.number));
    progBindMap({ program, map });
    const info = progInfo(program, { xlated: true, jited: true, debug: true });
    expect(info).toMatchObject({ type: 1, name: "prog", gplCompatible: true, createdByUid: 0, btfId: 0 });
    expect(info.tag).toMatch(/^[0-9a-f]{16}$/);
    expect([...info.mapIds]).toEqual([mapInfo(map).id]);
    expect(info.xlated?.length).toBe(info.xlatedLength);
    expect(info.xlated?.subarray(-8)).toEqual(returning(0).subarray(8));
    expect(info.loadTime).toBeGreaterThan(0n);
    const plain = progInfo(program);
    expect([plain.xlated, plain.jited, plain.id]).toEqual([undefined, undefined, info.id]);
  });

  it("returns what the verifier says, whole or cut", () => {
    const buffer = new Uint8Array(4096);
    // Reads r0, which nobody wrote.
    const insns = returning(0).subarray(8);
    const result = progLoad({ type: Prog.socketFilter, insns, license: "GPL", log: { level: 1, buffer } });
    expect(result).toMatchObject({ fd: undefined, errno: Errno.EACCES });
    expect(text(buffer)).toContain("R0 !read_ok");
    if (result.logTrueSize > 0) expect(buffer.indexOf(0)).toBe(result.logTrueSize - 1);
    const small = { level: 1, buffer: new Uint8Array(128).subarray(0, 8) };
    expect(progLoad({ type: Prog.socketFilter, insns, license: "GPL", log: small }).errno).not.toBe(0);
    expect([...new Uint8Array(small.buffer.buffer).subarray(8)].every((byte) => byte === 0)).toBe(true);
  });

  it("loads on the thread pool too", async () => {
    const options = { type: Prog.socketFilter, license: "GPL", log: { level: 1, buffer: new Uint8Array(4096) } };
    const good = await progLoadAsync({ ...options, insns: returning(7) });
    expect(progTestRun({ program: keep(good.fd), data: new Uint8Array(14) }).returnValue).toBe(7);
    expect(await progLoadAsync({ ...options, insns: returning(0).subarray(8) })).toMatchObject({ errno: Errno.EACCES });
  });

  it("refuses half instructions and halves of records", () => {
    const options = { type: 1, license: "GPL" };
    expect(() => progLoad({ ...options, insns: new Uint8Array(12) })).toThrow(ArgumentError);
    const funcInfo = { bytes: new Uint8Array(12), recordSize: 8 };
    expect(() => progLoad({ ...options, insns: returning(0), funcInfo })).toThrow(ArgumentError);
  });

  it("knows the capabilities by type", () => {
    expect([1, 2, 6].map((type) => progLoadCapabilities(type).join())).toEqual([
      "CAP_BPF",
      "CAP_BPF,CAP_PERFMON",
      "CAP_BPF,CAP_NET_ADMIN",
    ]);
  });

  it("counts runs while statistics are on", () => {
    const program = load(Prog.socketFilter, returning(0));
    const run = () => progTestRun({ program, data: new Uint8Array(14), repeat: 10 });
    using statistics = enableStats();
    run();
    statistics.close();
    const { runCount } = progInfo(program);
    expect(runCount).toBe(10n);
    run();
    expect(progInfo(program).runCount).toBe(10n);
  });
});

kernelDescribe("type information", { needs: ["bpf"] }, () => {
  it("loads a blob and gives it back", () => {
    const bytes = minimalBtf();
    const btf = keep(btfLoad({ bytes }).fd);
    const info = btfInfo(btf, { bytes: true });
    expect(info).toMatchObject({ name: "", isKernel: false, size: bytes.length, bytes });
    expect(btfInfo(keep(openById("btf", info.id))).id).toBe(info.id);
  });

  it("returns what the kernel says of a bad one", () => {
    const bytes = minimalBtf();
    bytes[2] = 9;
    const log = { level: 1, buffer: new Uint8Array(1024) };
    expect(btfLoad({ bytes, log })).toMatchObject({ fd: undefined, errno: Errno.ENOTSUPP });
    expect(text(log.buffer)).toContain("Unsupported version");
  });

  it("types the values of a map", () => {
    const btf = keep(btfLoad({ bytes: minimalBtf() }).fd);
    const sizes = { type: MapType.array, keySize: 4, valueSize: 4, maxEntries: 1 };
    const map = keep(mapCreate({ ...sizes, btf, btfKeyTypeId: 1, btfValueTypeId: 1 }));
    expect(mapInfo(map)).toMatchObject({ btfId: btfInfo(btf).id, btfKeyTypeId: 1, btfValueTypeId: 1 });
  });
});

kernelDescribe("ids and pins", { needs: ["bpf"] }, () => {
  it("finds objects by id", () => {
    const map = counter();
    const { id } = mapInfo(map);
    expect([...objectIds("map")]).toContain(id);
    expect(nextId("map", id - 1)).toBe(id);
    expect(nextId("map", 0x7fff_fff0)).toBeUndefined();
    expect(mapInfo(keep(openById("map", id))).name).toBe("count");
    expect(() => openById("map", 0x7fff_fff0)).toThrow("map with id 2147483632 failed: ENOENT");
  });

  kernelIt("pins and gets, below a directory that nobody else sees", { needs: ["pin_path_fd"] }, () => {
    const directory = keep(mountDetached("bpf"));
    const map = counter();
    objectPin({ object: map, path: "pinned", directory });
    expect(mapInfo(keep(objectGet({ path: "pinned", directory }))).id).toBe(mapInfo(map).id);
    expect(() => objectPin({ object: map, path: "pinned", directory })).toThrow(/of pinned failed: EEXIST/);
    expect(() => objectGet({ path: "none", directory })).toThrow(/ENOENT/);
    expect(() => objectGet({ path: "a\0b" })).toThrow(ArgumentError);
  });
});

kernelDescribe("perf events", { needs: ["perf_event"] }, () => {
  const busy = () => {
    const end = Date.now() + 50;
    while (Date.now() < end);
  };
  const clock = (disabled: boolean) =>
    keep(
      perfEventOpen({
        type: PerfType.SOFTWARE,
        config: PerfSoftware.CPU_CLOCK,
        samplePeriod: 1_000_000,
        pid: 0,
        cpu: -1,
        disabled,
      }),
    );

  it("runs a program at each event, only while enabled", () => {
    const map = counter();
    const program = load(Prog.perfEvent, counting(map.number));
    const event = clock(true);
    perfEventSetBpf(event, program);
    busy();
    expect(countOf(map)).toBe(0n);
    perfEventEnable(event);
    // The event counts this thread's own time, of which a busy machine gives little.
    for (const end = Date.now() + 20_000; countOf(map) <= 5n && Date.now() < end; ) busy();
    expect(countOf(map)).toBeGreaterThan(5n);
    perfEventDisable(event);
    const after = countOf(map);
    busy();
    expect(countOf(map)).toBe(after);
  });

  it("says what it cannot open", () => {
    expect(() => perfEventOpen({ type: PerfType.TRACEPOINT, config: 0xffff_fff })).toThrow(SystemCallError);
    expect(() => perfEventOpen({ type: -1, config: 0 })).toThrow("type of perf_event_open must be an integer");
    expect(() => perfEventOpen({ type: 1, config: 0, pid: 1.5 })).toThrow(ArgumentError);
  });
});

kernelDescribe("links of perf events", { needs: ["perf_link"] }, () => {
  it("describes one, with its cookie where the kernel tells it", () => {
    const target = keep(perfEventOpen({ type: PerfType.SOFTWARE, config: PerfSoftware.PAGE_FAULTS, samplePeriod: 1 }));
    const program = load(Prog.perfEvent, returning(0));
    const link = keep(linkCreate({ program, target, attachType: 41, family: "perf_event", cookie: 77n }));
    const info = linkInfo(link);
    expect(info).toMatchObject({ type: 7, kind: "perf_event", progId: progInfo(program).id });
    if (info.kind === "perf_event" && info.event.kind === "event") {
      expect(info.event).toMatchObject({ type: PerfType.SOFTWARE, config: 2n });
    }
    expect(() => linkCreate({ program, target: -1, attachType: 41, family: "perf_event" })).toThrow(/EBADF/);
  });
});

kernelDescribe("raw tracepoints", { needs: ["raw_tracepoint"] }, () => {
  it("runs a program at each system call, until closed", () => {
    const map = counter();
    const program = load(Prog.rawTracepoint, counting(map.number));
    const link = keep(rawTracepointOpen({ program, name: "sys_enter" }));
    expect(countOf(map)).toBeGreaterThan(0n);
    const { id } = linkInfo(link);
    expect(linkInfo(link)).toMatchObject({ kind: "raw_tracepoint", tracepoint: "sys_enter", type: 1 });
    expect(linkInfo(keep(openById("link", id))).id).toBe(id);
    expect(taskFdQuery({ pid: process.pid, fd: link.number })).toMatchObject({
      name: "sys_enter",
      progId: progInfo(program).id,
      fdType: 0,
    });
    // The link and the one opened by id: both hold it.
    for (const fd of open.splice(2)) fd.close();
    const before = countOf(map);
    expect(countOf(map)).toBe(before);
    expect(() => rawTracepointOpen({ program, name: "no_such" })).toThrow(/tracepoint "no_such" failed: ENOENT/);
  });
});

kernelDescribe("attaching to control groups", { needs: ["cgroup_link"] }, () => {
  const BPF_CGROUP_INET_INGRESS = 0;
  const BPF_F_ALLOW_MULTI = 2;
  it("links, queries, replaces and detaches", () => {
    // A group of its own, whose descriptor makes it an attach point.
    const root = keep(mountDetached("cgroup2"));
    const group = `/proc/self/fd/${root.number}/bpfkit-test-${process.pid}`;
    mkdirSync(group);
    const target = keep(new FileDescriptor(openSync(group, "r"), "cgroup"));
    atEnd.push(() => rmdirSync(group));
    const attachType = BPF_CGROUP_INET_INGRESS;
    const [first, second] = [load(Prog.cgroupSkb, returning(1)), load(Prog.cgroupSkb, returning(1))];
    const ids = () => [...progQuery({ target, attachType }).programIds];
    const before = ids();

    const link = keep(linkCreate({ program: first, target, attachType }));
    expect(ids()).toEqual([...before, progInfo(first).id]);
    expect(linkInfo(link)).toMatchObject({ kind: "cgroup", attachType });
    linkUpdate({ link, program: second, old: first, flags: 4 });
    expect(linkInfo(link).progId).toBe(progInfo(second).id);
    expect(() => linkUpdate({ link, program: second, old: first, flags: 4 })).toThrow(/EPERM/);
    linkDetach(link);
    expect(ids()).toEqual(before);

    progAttach({ program: first, target, attachType, flags: BPF_F_ALLOW_MULTI });
    expect(progQuery({ target, attachType }).attachFlags & BPF_F_ALLOW_MULTI).toBe(BPF_F_ALLOW_MULTI);
    expect(ids()).toEqual([...before, progInfo(first).id]);
    progDetach({ program: first, target, attachType });
    expect(ids()).toEqual(before);
  });
});
