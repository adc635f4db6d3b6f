// When the verifier's log is asked for, and how much memory it gets: with a made-up kernel in place of the system call.

import { describe, expect, it } from "vitest";
import { BpfObject } from "../../src/index.js";
import { checkLogSize, largerLog, loadProgram } from "../../src/program/index.js";
import { Errno, type ProgLoadOptions, type ProgLoadResult } from "../../src/syscall/index.js";
import { fixturePath, runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

const program: ProgLoadOptions = { type: 1, insns: new Uint8Array(16), license: "GPL" };

/** A kernel that refuses with `errno`, and has this to say; `true` since Linux 6.4, when it tells how long that is. */
function kernel(errno: number, text: string, tellsSize: boolean) {
  return ({ log }: ProgLoadOptions): ProgLoadResult => {
    if (log === undefined) return { fd: undefined, errno, logTrueSize: 0 };
    const bytes = new TextEncoder().encode(`${text}\0`);
    log.buffer.set(bytes.subarray(0, log.buffer.length));
    const fits = bytes.length <= log.buffer.length;
    return { fd: undefined, errno: fits ? errno : Errno.ENOSPC, logTrueSize: tellsSize ? bytes.length : 0 };
  };
}

/** Runs the steps; what each attempt passed for a log, and what came of them. */
function attempts(level: number, size: number, answer: (options: ProgLoadOptions) => ProgLoadResult) {
  const steps = loadProgram(program, { level, size });
  const logs: ([level: number, bytes: number] | undefined)[] = [];
  for (let step = steps.next(); ; ) {
    if (step.done === true) return { logs, result: step.value };
    const { log } = step.value;
    logs.push(log === undefined ? undefined : [log.level, log.buffer.length]);
    step = steps.next(answer(step.value));
  }
}

describe("the verifier's log", () => {
  it("is asked for after a refusal, unless a level asks for it at once", () => {
    const refuses = kernel(Errno.EACCES, "no", true);
    expect(attempts(0, 128, refuses)).toEqual({
      logs: [undefined, [1, 128]],
      result: { fd: undefined, errno: Errno.EACCES, log: "no" },
    });
    expect(attempts(2 | 4, 128, refuses).logs).toEqual([[6, 128]]);
  });

  it("is not asked for after refusals that come before the verifier", () => {
    for (const errno of [Errno.EPERM, Errno.EMFILE, Errno.ENFILE]) {
      expect(attempts(0, 128, kernel(errno, "", true)).logs).toEqual([undefined]);
    }
  });

  it("that does not fit is asked for again: as long as the kernel says, else four times as long", () => {
    const long = "x".repeat(9999);
    expect(attempts(1, 128, kernel(Errno.EINVAL, long, true))).toEqual({
      logs: [
        [1, 128],
        [1, 10_000],
      ],
      result: { fd: undefined, errno: Errno.EINVAL, log: long },
    });
    const { logs, result } = attempts(1, 128, kernel(Errno.EINVAL, long, false));
    expect(logs.map((log) => log?.[1])).toEqual([128, 512, 2048, 8192, 32_768]);
    expect(result).toMatchObject({ errno: Errno.EINVAL, log: long });
  });

  it("ends at the kernel's limit", () => {
    expect(largerLog(2 ** 30 - 1, 2 ** 31)).toBeUndefined();
    expect(largerLog(1000, 3000)?.length).toBe(4000);
    expect(largerLog(1000, 70_000)?.length).toBe(70_000);
  });

  it("has a first size that every kernel takes", () => {
    expect(checkLogSize(128)).toBe(128);
    for (const wrong of [127, 2 ** 30, 1.5, Number.NaN, "128", -1])
      expect(() => checkLogSize(wrong)).toThrow(/logSize/);
    expect(() => BpfObject.open(fixturePath("minimal"), { logSize: 0 })).toThrow(
      /logSize is a number of bytes from 128/,
    );
    const obj = BpfObject.open(fixturePath("minimal"), { logSize: 1 << 16 });
    expect(() => (obj.programs[0]!.logSize = 2 ** 31)).toThrow(/logSize/);
    obj.close();
  });
});

kernelDescribe("the verifier's log of an accepted program", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("is whole, however small the first buffer", () =>
    withLoaded(
      "nobtf",
      (obj) => {
        obj.programs[0]!.logSize = 128;
      },
      (obj) => {
        expect(runFilter(obj, "count_runs")).toBe(42);
        const log = obj.program("count_runs").verifierLog!;
        expect(log.length).toBeGreaterThan(128);
        expect(log).toMatch(/^func#0 @0|^0: /m);
        expect(log).toMatch(/processed \d+ insns/);
      },
      { logLevel: 2 },
    ));
});
