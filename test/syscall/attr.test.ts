// The attr writer and the bits around it that need no privilege.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArgumentError, SystemCallError, UnsupportedError } from "../../src/errors.js";
import { isEpollEventPacked, syscallNumbers } from "../../src/syscall/arch.js";
import { Attr, layout } from "../../src/syscall/attr.js";
import { type Capability, capabilitiesOf, type Privileges, privilegeHint } from "../../src/syscall/capabilities.js";
import { loadFailure } from "../../src/syscall/ffi.js";
import { parseCpuList } from "../../src/syscall/files.js";
import { Errno, errnoName, errnoNumber, errnoText, mapCreate, systemCallError } from "../../src/syscall/index.js";
import { addressOf, cString, textOf } from "../../src/syscall/memory.js";

const sample = layout(56, {
  a: ["u32", 0],
  b: ["s32", 4],
  c: ["u64", 8],
  d: ["pointer", 16],
  e: ["name", 24],
  f: ["fd", 40],
});

const make = (values: ConstructorParameters<typeof Attr<typeof sample.fields>>[2]) => new Attr("test", sample, values);

describe("Attr", () => {
  it("writes every kind of field little-endian at its offset and nothing else", () => {
    const attr = make({ a: 0x01020304, b: -2, c: 0x1122334455667788n, d: 0xabcdn, e: "name", f: 9 });
    expect(Buffer.from(attr.bytes).toString("hex")).toBe(
      "04030201feffffff8877665544332211cdab0000000000006e616d65000000000000000000000000090000000000000000000000" +
        "00000000",
    );
    expect([attr.u32("a"), attr.u32("b"), attr.u64("c"), attr.u64("d"), attr.text("e")]).toEqual([
      0x01020304,
      -2,
      0x1122334455667788n,
      0xabcdn,
      "name",
    ]);
  });

  it("leaves undefined fields zero", () => {
    expect(make({ a: undefined }).bytes.every((byte) => byte === 0)).toBe(true);
  });

  it("gives back any value in range", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff_ffff }),
        fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        (a, b, c) => {
          const attr = make({ a, b, c });
          expect([attr.u32("a"), attr.u32("b"), attr.u64("c")]).toEqual([a, b, c]);
        },
      ),
    );
  });

  const bad = "1" as unknown as number;
  it.each([
    { a: -1 },
    { a: 2 ** 32 },
    { a: 1.5 },
    { a: Number.NaN },
    { a: bad },
    { b: 2 ** 31 },
    { b: -(2 ** 31) - 1 },
    { c: -1n },
    { c: 1n << 64n },
    { c: 2 ** 53 },
    { c: 0.5 },
    { c: bad },
    { d: -1n },
    { e: "a\0b" },
    { e: 3 as unknown as string },
    { f: 2 ** 31 },
    { f: -2 },
    { f: 1.5 },
  ])("refuses %o before any call", (values) => {
    expect(() => make(values)).toThrow(ArgumentError);
  });

  it("cuts names to 15 bytes", () => {
    expect(make({ e: "abcdefghijklmnopqrst" }).text("e")).toBe("abcdefghijklmno");
  });

  it("names field and operation", () => {
    expect(() => mapCreate({ type: 1, keySize: 1.5, valueSize: 8, maxEntries: 1 })).toThrow(
      "key_size of bpf(BPF_MAP_CREATE) must be an integer from 0 to 4294967295, not 1.5",
    );
  });
});

describe("memory", () => {
  it("honours byteOffset and treats empty views as no memory", () => {
    const bytes = new Uint8Array(64);
    expect(addressOf(bytes.subarray(5)) - addressOf(bytes)).toBe(5n);
    expect(addressOf(bytes.subarray(64))).toBe(0n);
    expect(addressOf(undefined)).toBe(0n);
  });

  it("keeps an address through garbage", () => {
    const small = Uint8Array.of(1, 2, 3);
    const before = addressOf(small);
    for (let round = 0; round < 2000; round++) new Array(1000).fill(round);
    expect(addressOf(small)).toBe(before);
  });

  it("makes and reads C strings", () => {
    expect([...cString("aé", "text")]).toEqual([0x61, 0xc3, 0xa9, 0]);
    expect(textOf(Uint8Array.of(0x61, 0xc3, 0xa9, 0, 0x62))).toBe("aé");
    expect(textOf(Uint8Array.of(0x61))).toBe("a");
    expect(() => cString("a\0", "path")).toThrow('path contains a NUL character: "a\\u0000"');
  });
});

describe("errno", () => {
  it("knows names, numbers and texts both ways", () => {
    expect(["EPERM", "EAGAIN", "ENOTSUPP", "EHWPOISON"].map(errnoNumber)).toEqual([1, 11, 524, 133]);
    expect([1, 11, 28, 95, 524].map(errnoName)).toEqual(["EPERM", "EAGAIN", "ENOSPC", "EOPNOTSUPP", "ENOTSUPP"]);
    expect(errnoText(2)).toBe("No such file or directory");
    expect(errnoName(4711)).toBe("errno 4711");
    expect(errnoNumber("ENOPE")).toBeUndefined();
    for (const [name, number] of Object.entries(Errno)) expect(errnoNumber(name)).toBe(number);
  });

  it("makes errors that say what, why and what to do", () => {
    const error = systemCallError("bpf(BPF_MAP_UPDATE_ELEM)", Errno.E2BIG, { map: "m" });
    expect(error).toBeInstanceOf(SystemCallError);
    expect(error).toMatchObject({
      code: "SYSCALL",
      errno: 7,
      errnoName: "E2BIG",
      operation: "bpf(BPF_MAP_UPDATE_ELEM)",
    });
    expect(error.message).toBe(
      "map m: bpf(BPF_MAP_UPDATE_ELEM) failed: E2BIG, Argument list too long (the map is full, or the index lies beyond its end)",
    );
    expect(systemCallError("x", Errno.EPERM).hint).toBeUndefined();
    expect(systemCallError("mmap", Errno.EPERM, { about: "perf event" }).hint).toContain("ask for fewer pages");
    expect(systemCallError("mmap", Errno.EPERM, { about: "map m" }).hint).toContain("the map is frozen");
    expect(systemCallError("x", Errno.EMFILE, { hint: "mine", code: "ATTACH" })).toMatchObject({
      hint: "mine",
      code: "ATTACH",
    });
  });
});

describe("capabilities", () => {
  it("reads the mask of /proc", () => {
    expect([...capabilitiesOf((1n << 39n) | (1n << 12n) | 1n)]).toEqual(["CAP_NET_ADMIN", "CAP_BPF"]);
  });

  const hint = (needed: readonly Capability[], effective: readonly Capability[]) =>
    privilegeHint(needed, { privileges: { effective: new Set(effective) } });

  it("names what is missing, and nothing that CAP_SYS_ADMIN covers", () => {
    expect(hint(["CAP_BPF", "CAP_PERFMON"], ["CAP_BPF"])).toBe(
      "the process lacks CAP_PERFMON (or CAP_SYS_ADMIN); run it as root or grant that",
    );
    expect(hint(["CAP_SYS_ADMIN"], [])).toBe("the process lacks CAP_SYS_ADMIN; run it as root or grant that");
    expect(hint(["CAP_SYS_RESOURCE"], ["CAP_SYS_ADMIN"])).toBe(
      "the process lacks CAP_SYS_RESOURCE; run it as root or grant that",
    );
  });

  it("names what else may be in the way", () => {
    const all: Privileges = { effective: new Set(["CAP_SYS_ADMIN"]) };
    const hintOf = (seen: Privileges) => privilegeHint(["CAP_BPF"], { byToken: true, privileges: { ...all, ...seen } });
    expect(hintOf({})).toMatch(/has the capabilities that this needs; a security module, /);
    expect(hintOf({ seccomp: true })).toMatch(/seccomp filter is in force/);
    expect(hintOf({ memlock: 65536 })).toMatch(/RLIMIT_MEMLOCK, 64 KiB, .*ulimit -l unlimited/);
    expect(hintOf({ lockdown: "confidentiality" })).toMatch(/lockdown \(confidentiality\)/);
    expect(hintOf({ seccomp: true, lockdown: "integrity" })).toMatch(/seccomp.*; kernel lockdown/);
    expect(privilegeHint(["CAP_BPF"], { privileges: {} })).toBe("this needs CAP_BPF (or CAP_SYS_ADMIN)");
  });

  it("says that those of a user namespace do not count, and where a token helps", () => {
    const privileges: Privileges = { effective: new Set(["CAP_SYS_ADMIN"]), inUserNamespace: true };
    const byToken = privilegeHint(["CAP_BPF", "CAP_PERFMON"], { byToken: true, privileges });
    expect(byToken).toMatch(/needs CAP_BPF and CAP_PERFMON \(or CAP_SYS_ADMIN\) in the initial user namespace/);
    expect(byToken).toMatch(/BPF token.*tokenPath/);
    expect(privilegeHint(["CAP_PERFMON"], { privileges })).not.toMatch(/token/);
  });
});

describe("platform", () => {
  it("has numbers for the 64-bit architectures", () => {
    expect(syscallNumbers("linux", "x64").bpf).toBe(321);
    for (const arch of ["arm64", "riscv64", "loong64"]) expect(syscallNumbers("linux", arch).bpf).toBe(280);
    expect([isEpollEventPacked("x64"), isEpollEventPacked("arm64")]).toEqual([true, false]);
  });

  it("refuses the others by name", () => {
    expect(() => syscallNumbers("darwin", "arm64")).toThrow(UnsupportedError);
    expect(() => syscallNumbers("darwin", "arm64")).toThrow("only be loaded on Linux, this is darwin");
    expect(() => syscallNumbers("linux", "s390x")).toThrow("system calls on s390x are not supported");
    expect(() => syscallNumbers("linux", "constructor")).toThrow(UnsupportedError);
  });

  it("explains why koffi did not load", () => {
    const coded = (code: string) => loadFailure(Object.assign(new Error("x"), { code }));
    expect(coded("ERR_DLOPEN_DISABLED")).toMatchObject({ code: "FFI", hint: "add --allow-addons" });
    expect(coded("ERR_ACCESS_DENIED").hint).toContain("--allow-fs-read");
    expect(coded("MODULE_NOT_FOUND").hint).toContain("optional dependency");
  });

  it("counts CPUs in the kernel's lists", () => {
    expect(["0", "0-3\n", "0-1,4,6-7"].map(parseCpuList)).toEqual([[0], [0, 1, 2, 3], [0, 1, 4, 6, 7]]);
    for (const wrong of ["", "a", "3-1", "0-", "-1", "0-9999999"])
      expect(() => parseCpuList(wrong)).toThrow(ArgumentError);
  });
});
