// Owned descriptors.

import { readdirSync, readlinkSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ArgumentError, StateError } from "../../src/errors.js";
import { eventFd, FileDescriptor, fdNumber, readFd, readFdToEnd, writeFd } from "../../src/syscall/index.js";
import { runModule } from "./process.js";

const count = () => readdirSync("/proc/self/fd").length;

describe("FileDescriptor", () => {
  it("closes once and refuses use afterwards", () => {
    const before = count();
    const fd = new FileDescriptor(eventFd(), "an event");
    const { number } = fd;
    expect(count()).toBe(before + 1);
    fd.close();
    expect([fd.closed, count()]).toEqual([true, before]);
    // The number now belongs to someone else, whom a second close must not hit.
    const other = new FileDescriptor(eventFd(), "another");
    expect(other.number).toBe(number);
    fd.close();
    expect(readlinkSync(`/proc/self/fd/${other.number}`)).toContain("eventfd");
    expect(() => fd.number).toThrow(StateError);
    expect(() => fdNumber(fd)).toThrow("an event is closed");
    other.close();
  });

  it("closes at the end of a block", () => {
    const before = count();
    {
      using fd = new FileDescriptor(eventFd(), "an event");
      expect(fd.closed).toBe(false);
    }
    expect(count()).toBe(before);
  });

  it("duplicates and releases", () => {
    using fd = new FileDescriptor(eventFd(), "an event");
    const copy = fd.duplicate();
    expect(copy.number).not.toBe(fd.number);
    const number = copy.release();
    expect(copy.closed).toBe(true);
    using again = new FileDescriptor(number, "again");
    writeFd(again.number, new Uint8Array(new BigUint64Array([5n]).buffer));
    const counter = new BigUint64Array(1);
    expect(readFd(fd.number, new Uint8Array(counter.buffer))).toBe(8);
    expect(counter[0]).toBe(5n);
    expect(readFd(fd.number, new Uint8Array(counter.buffer))).toBeUndefined();
  });

  it("refuses numbers that are none", () => {
    for (const wrong of [-1, 1.5, Number.NaN, 2 ** 31]) {
      expect(() => new FileDescriptor(wrong, "x")).toThrow(ArgumentError);
    }
    for (const wrong of [-2, 1.5, 2 ** 31, "3" as unknown as number]) expect(() => fdNumber(wrong)).toThrow();
  });

  it("moves 0, 1 and 2 out of the way, with close-on-exec", () => {
    const { output, status } = runModule(`
      import { closeSync, readFileSync } from "node:fs";
      import { Epoll, eventFd } from "./src/syscall/index.ts";
      eventFd();
      closeSync(0);
      const { fd } = new Epoll();
      const flags = parseInt(/flags:\\s*(\\d+)/.exec(readFileSync("/proc/self/fdinfo/" + fd.number, "utf8"))[1], 8);
      console.log("number", fd.number > 2, "cloexec", (flags & 0o2000000) !== 0);
      let zero = true;
      try { readFileSync("/proc/self/fdinfo/0"); } catch { zero = false; }
      console.log("zero taken", zero);
    `);
    expect(output).toContain("number true cloexec true");
    expect(output).toContain("zero taken false");
    expect(status).toBe(0);
  });

  it("closes what was dropped, and says so", () => {
    const { output } = runModule(
      `
      import { existsSync } from "node:fs";
      import { eventFd, FileDescriptor } from "./src/syscall/index.ts";
      new FileDescriptor(eventFd(), "warm up").close();
      const numbers = [];
      (() => { for (let i = 0; i < 10; i++) numbers.push(new FileDescriptor(eventFd(), "event " + i).number); })();
      const open = () => numbers.filter((number) => existsSync("/proc/self/fdinfo/" + number)).length;
      console.log("open", open());
      for (let i = 0; i < 20 && open() > 0; i++) { gc(); await new Promise((r) => setTimeout(r, 10)); }
      console.log("left", open());
    `,
      ["--expose-gc"],
    );
    expect(output).toContain("open 10");
    expect(output).toContain("left 0");
    expect(output).toMatch(/bpfkit: event 3 \(fd \d+\) was never closed/);
    expect(output).not.toContain("warm up");
  });

  it("reads files to their end", () => {
    const { output } = runModule(`
      import { openSync, readFileSync } from "node:fs";
      import { readFdToEnd } from "./src/syscall/index.ts";
      const bytes = readFdToEnd(openSync("/proc/cpuinfo", "r"), 100);
      console.log("same", Buffer.from(bytes).toString().split("processor").length === readFileSync("/proc/cpuinfo", "utf8").split("processor").length);
    `);
    expect(output).toContain("same true");
    expect(() => readFdToEnd(0, 0)).toThrow(ArgumentError);
  });
});
