// Infrared receivers: no kernel of the tests has any (CONFIG_RC_CORE), so what is told to the kernel is looked at, byte by
// byte, and answered here.

import { openSync } from "node:fs";
import { afterEach, expect, it, vi } from "vitest";
import { NotFoundError, queryPrograms, SystemCallError, UnsupportedError } from "../../src/index.js";
import { attachLirc } from "../../src/link/index.js";
import { AttachType } from "../../src/object/index.js";
import type { ProgramHandle } from "../../src/program/index.js";
import { ffi } from "../../src/syscall/ffi.js";
import { Errno, FileDescriptor } from "../../src/syscall/index.js";
import { openDescriptors } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

/** UAPI linux/bpf.h: enum bpf_cmd. */
const PROG_ATTACH = 8;
const PROG_DETACH = 9;
const PROG_QUERY = 16;

/** What the kernel was given: the command, and the words of its attr. */
type Call = readonly [command: number, words: Uint32Array];

/** Answers bpf() in the place of the kernel. */
function answer(reply: (command: number, words: Uint32Array) => number): Call[] {
  const calls: Call[] = [];
  const native = ffi();
  vi.spyOn(native, "bpf").mockImplementation((command, attr, size) => {
    const words = new Uint32Array(native.view(attr, size));
    const result = reply(command, words);
    calls.push([command, words.slice()]);
    return result;
  });
  return calls;
}

afterEach(() => {
  vi.restoreAllMocks();
});

/** Something with a descriptor. */
function decoder(): ProgramHandle & Disposable {
  const descriptor = new FileDescriptor(openSync("/dev/null", "r"), "program");
  const program = { name: "decode", file: "remote.bpf.o", descriptor, [Symbol.dispose]: () => descriptor.close() };
  return program as unknown as ProgramHandle & Disposable;
}

kernelDescribe("infrared receivers", { needs: [] }, () => {
  it("get a program, which the link takes off again", () => {
    const before = openDescriptors();
    {
      using program = decoder();
      const calls = answer(() => 0);
      const link = attachLirc(program, "/dev/null");
      expect([link.kind, link.target, link.attached]).toEqual(["lirc", "infrared receiver /dev/null", true]);
      link.close();
      const [[attach, given], [detach, taken]] = calls as [Call, Call];
      expect([attach, detach, calls.length]).toEqual([PROG_ATTACH, PROG_DETACH, 2]);
      expect(given[1]).toBe(program.descriptor.number);
      // target_fd, attach_bpf_fd, attach_type; no flags, and nothing else.
      for (const words of [given, taken]) {
        const [target, attached, attachType] = words;
        expect(target).toBeGreaterThan(2);
        expect(attached).toBeGreaterThan(2);
        expect(attached).not.toBe(target);
        expect(attachType).toBe(AttachType.lirc_mode2);
        expect(words.slice(3).every((word) => word === 0)).toBe(true);
      }
      link.close();
      expect(calls.length).toBe(2);
    }
    expect(openDescriptors()).toBe(before);
  });

  it("refuse, and say why", () => {
    using program = decoder();
    const before = openDescriptors();
    const refusal = (errno: number): unknown => {
      answer(() => -errno);
      try {
        attachLirc(program, "/dev/null");
        return undefined;
      } catch (error) {
        return error;
      }
    };
    for (const [errno, hint] of [
      [Errno.EINVAL, "CONFIG_BPF_LIRC_MODE2"],
      [Errno.EEXIST, "attached to it already"],
      [Errno.E2BIG, "64 programs"],
      [Errno.EPERM, "open for writing"],
    ] as const) {
      const error = refusal(errno);
      expect(error).toBeInstanceOf(SystemCallError);
      expect(error).toMatchObject({ code: "ATTACH", hint: expect.stringContaining(hint) });
      expect(String(error)).toContain("program decode: cannot attach to infrared receiver /dev/null");
    }
    expect(openDescriptors()).toBe(before);
    expect(() => attachLirc(program, "/dev/lirc4711")).toThrow(NotFoundError);
    expect(() => attachLirc(program, "/dev/lirc4711")).toThrow("infrared receiver /dev/lirc4711 cannot be opened");
  });

  it("tell which programs they have", () => {
    const calls = answer((command, words) => {
      if (command !== PROG_QUERY) return -Errno.ENOENT;
      // prog_cnt, and the first of prog_ids.
      const ids = ffi().view(new BigUint64Array(words.buffer, words.byteOffset, 3)[2]!, 8);
      new Uint32Array(ids).set([71, 72]);
      words[6] = 2;
      return 0;
    });
    const found = queryPrograms({ device: "/dev/null", hook: "lirc_mode2" });
    expect(found.programs.map(({ id, name }) => [id, name])).toEqual([
      [71, undefined],
      [72, undefined],
    ]);
    const [command, words] = calls[0]!;
    expect([command, words[1], words[2], words[3]]).toEqual([PROG_QUERY, AttachType.lirc_mode2, 0, 0]);
    vi.restoreAllMocks();
    // Asked for real: it is no receiver, or nothing in the kernel knows receivers.
    expect(() => queryPrograms({ device: "/dev/null", hook: "lirc_mode2" })).toThrow(UnsupportedError);
  });
});
