// Epoll sets, detached mounts and limits on the running kernel.

import { readFileSync, statfsSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ArgumentError, StateError } from "../../src/errors.js";
import {
  Epoll,
  effectiveCapabilities,
  eventFd,
  FileDescriptor,
  isBpfFs,
  listAt,
  memlockLimit,
  mountDetached,
  possibleCpuCount,
  readFileAt,
  setMemlockLimit,
  writeFd,
  writeFileAt,
} from "../../src/syscall/index.js";
import { kernelDescribe } from "../support/needs.js";

const one = new Uint8Array(new BigUint64Array([1n]).buffer);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe("Epoll", () => {
  it("reports the tokens of what is readable", () => {
    using epoll = new Epoll();
    const events = [7, 0xffff_ffff].map((token) => {
      const event = new FileDescriptor(eventFd(), "event");
      epoll.add(event, token);
      return event;
    });
    expect(epoll.wait(0)).toEqual([]);
    for (const event of events) writeFd(event.number, one);
    expect(epoll.wait(0).sort()).toEqual([0xffff_ffff, 7].sort());
    epoll.remove(events[0] as FileDescriptor);
    expect(epoll.wait(0)).toEqual([0xffff_ffff]);
    for (const event of events) event.close();
    expect(epoll.wait(0)).toEqual([]);
  });

  it("waits as long as asked", () => {
    using epoll = new Epoll();
    const begin = performance.now();
    expect(epoll.wait(30)).toEqual([]);
    expect(performance.now() - begin).toBeGreaterThan(25);
  });

  it("refuses what cannot be watched, with an errno", () => {
    using epoll = new Epoll();
    using event = new FileDescriptor(eventFd(), "event");
    expect(() => epoll.add(0x7fff_fff0)).toThrow(/epoll_ctl\(EPOLL_CTL_ADD\) failed: EBADF/);
    epoll.add(event);
    expect(() => epoll.add(event)).toThrow(/EEXIST/);
    expect(() => epoll.add(event, -1)).toThrow(ArgumentError);
    epoll.remove(event);
    expect(() => epoll.remove(event)).toThrow(/ENOENT/);
    expect(() => epoll.wait(1.5)).toThrow(ArgumentError);
    epoll.close();
    expect(() => epoll.wait(0)).toThrow(StateError);
  });
});

kernelDescribe("detached mounts", { needs: ["tracefs"] }, () => {
  it("reads tracefs without mounting it anywhere", () => {
    // Of tracefs: others may mount other things meanwhile.
    const mounts = () => readFileSync("/proc/self/mountinfo", "utf8").match(/^.* - tracefs .*$/gm);
    const before = mounts();
    using root = mountDetached("tracefs");
    expect(Number(text(readFileAt(root, "events/raw_syscalls/sys_enter/id")))).toBeGreaterThan(0);
    expect(listAt(root, "events/raw_syscalls")).toEqual(expect.arrayContaining(["sys_enter", "sys_exit"]));
    expect(listAt(root)).toContain("events");
    expect(mounts()).toEqual(before);
  });

  it("writes into files that exist", () => {
    using root = mountDetached("tmpfs");
    writeFileSync(`/proc/self/fd/${root.number}/file`, "ab");
    writeFileAt(root, "file", Buffer.from("cd"), { append: true });
    expect(text(readFileAt(root, "file"))).toBe("abcd");
    writeFileAt(root, "file", Buffer.from("x"));
    expect(text(readFileAt(root, "./file"))).toBe("xbcd");
    expect(() => writeFileAt(root, "none", one)).toThrow(/openat of none failed: ENOENT/);
    expect(() => readFileAt(root, "none")).toThrow(/ENOENT/);
    expect(() => listAt(root, "none")).toThrow(/readdir of none failed: ENOENT/);
  });

  it("stays inside the directory", () => {
    using root = mountDetached("tmpfs");
    for (const path of ["/etc/passwd", "../x", "a/../../x", ""]) {
      expect(() => readFileAt(root, path)).toThrow(ArgumentError);
      expect(() => listAt(root, path)).toThrow(ArgumentError);
    }
  });

  it("names the file system that the kernel lacks", () => {
    expect(() => mountDetached("nosuchfs")).toThrow("fsopen of nosuchfs failed: ENODEV");
  });
});

kernelDescribe("limits and surroundings", { needs: ["bpf"] }, () => {
  it("reads and sets RLIMIT_MEMLOCK", () => {
    const limit = memlockLimit();
    const line = /^Max locked memory\s+(\S+)\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    const shown = (bytes: bigint) => (bytes === (1n << 64n) - 1n ? "unlimited" : String(bytes));
    expect([shown(limit.soft), shown(limit.hard)]).toEqual([line?.[1], line?.[2]]);
    setMemlockLimit({ soft: 4096n, hard: limit.hard });
    expect(memlockLimit()).toEqual({ soft: 4096n, hard: limit.hard });
    setMemlockLimit(limit);
    expect(() => setMemlockLimit({ soft: -1n, hard: 0n })).toThrow(ArgumentError);
  });

  it("knows the privileges of root", () => {
    expect([...(effectiveCapabilities() ?? [])]).toEqual(expect.arrayContaining(["CAP_SYS_ADMIN", "CAP_BPF"]));
  });

  it("tells a BPF file system from others", () => {
    using root = mountDetached("bpf");
    expect(isBpfFs(`/proc/self/fd/${root.number}/`)).toBe(true);
    expect([isBpfFs("/proc"), isBpfFs("/no/such/path")]).toEqual([false, false]);
    expect(statfsSync(`/proc/self/fd/${root.number}/`).type).toBe(0xcafe4a11);
  });

  it("counts CPUs", () => {
    expect(possibleCpuCount()).toBeGreaterThan(0);
  });
});
