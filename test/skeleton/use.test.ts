// Generated skeletons at run time: they load, attach and see their programs' work; they refuse an object that is not the
// one that they were generated from.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { type BpfLink, type BpfMap, BpfObject, BpfProgram, ObjectError } from "../../src/index.js";
import {
  type GenerateOptions,
  generateSkeleton,
  generateSubskeleton,
  type Skeleton,
} from "../../src/skeleton/index.js";
import { fixtureBytes, fixturePath, runSyscall } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";
import { sourceModule } from "../support/script.js";

const folder = mkdtempSync(join(tmpdir(), "bpfkit-skeleton-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the generated class of `minimal` is, for the compiler; test/skeleton/compile.test.ts checks the true one. */
type Minimal = Skeleton<
  { syscall_count: BpfMap<number, bigint> },
  { count_syscall: BpfProgram },
  { count_syscall: BpfLink | undefined }
> & { rodata: { target_pid: number }; bss: { total_syscalls: bigint } };
type Open<T> = { open(options?: { object?: unknown; name?: string }): T; elfBytes(): Uint8Array };
/** Any skeleton. */
type Any = Skeleton<Record<string, BpfMap>, Record<string, BpfProgram>, Record<string, BpfLink | undefined>> &
  Record<string, Record<string, unknown>>;

let files = 0;
/** Imports generated JavaScript, which takes its runtime from the sources. */
async function run<T>(make: (options: GenerateOptions) => string, options: GenerateOptions): Promise<T> {
  const file = join(folder, `skeleton${files++}.mjs`);
  writeFileSync(file, make({ ...options, language: "js", runtime: sourceModule("src/skeleton/index.ts") }));
  const module = (await import(/* @vite-ignore */ file)) as { default: T };
  return module.default;
}
const skeletonOf = <T = Any>(name: string, options: Partial<GenerateOptions> = {}): Promise<Open<T>> =>
  run((all) => generateSkeleton(fixtureBytes(name), all), { name, ...options });

describe("opening", () => {
  it("has the object with it, under its name", async () => {
    const MinimalBpf = await skeletonOf<Minimal>("minimal");
    expect(MinimalBpf.elfBytes()).toEqual(fixtureBytes("minimal"));
    const skeleton = MinimalBpf.open();
    expect(skeleton.object.name).toBe("minimal");
    expect(skeleton.maps.syscall_count).toBe(skeleton.object.map("syscall_count"));
    expect(skeleton.progs.count_syscall).toBe(skeleton.object.program("count_syscall"));
    expect(skeleton.links.count_syscall).toBeUndefined();
    expect(() => (skeleton.maps as unknown as Record<string, unknown>).syscal_count).toThrow(
      "did you mean syscall_count?",
    );
    expect(inspect(skeleton.progs, { depth: 0 })).toBe("{ count_syscall: BpfProgram {} }");
    expect(inspect(skeleton.links)).toBe("{ count_syscall: undefined }");
    skeleton.rodata.target_pid = 5;
    expect(skeleton.object.rodata.target_pid).toBe(5);
    // The next one begins afresh.
    expect(MinimalBpf.open().rodata.target_pid).toBe(0);
    skeleton.close();
  });

  it("reads an object that lies beside it", async () => {
    const object = { external: `./${encodeURIComponent("a b#.o")}` };
    cpSync(fixturePath("minimal"), join(folder, "a b#.o"));
    const MinimalBpf = await skeletonOf<Minimal>("minimal", { object });
    expect(MinimalBpf.open().bss.total_syscalls).toBe(0n);
    expect(MinimalBpf.elfBytes()).toEqual(fixtureBytes("minimal"));
  });

  it("refuses another object and says what differs", async () => {
    const MinimalBpf = await skeletonOf("minimal");
    const object = fixturePath("maps");
    expect(() => MinimalBpf.open({ object })).toThrow(ObjectError);
    expect(() => MinimalBpf.open({ object })).toThrow(
      /^minimal: the object has no map syscall_count, .*\(generate the skeleton anew from this object: bpfkit gen skeleton\)$/,
    );
    // The same in the other byte order has the same names and types.
    expect(MinimalBpf.open({ object: pathToFileURL(fixturePath("minimal.eb")) }).maps).toHaveProperty("syscall_count");
  });

  it.each([
    [
      '["target_pid", "u32"]',
      '["target_pid", "s32"]',
      /variable target_pid in \.rodata is not .* generated from: u32, not s32/,
    ],
    ['["target_pid", "u32"]', '["target_pd", "u32"]', /no variable target_pd in \.rodata, .*did you mean target_pid\?/],
    [
      '"hash", "u32", "u64"]',
      '"hash", "u32", "struct#12"]',
      /the value of map syscall_count is not .* generated from \(/,
    ],
    ['"hash", "u32", "u64"]', '"lru_hash", "u32", "u64"]', /the type of map syscall_count .*: hash, not lru_hash/],
    [
      '["count_syscall", "count_syscall"]',
      '["a", "count_syscalls"]',
      /no program count_syscalls, .*did you mean count_syscall\?/,
    ],
    ["version: 1", "version: 2", /generated by a newer version of bpfkit .*anew/],
  ])("refuses what is not as it was: %s instead of %s", async (is, was, message) => {
    const make = (options: GenerateOptions): string => {
      const text = generateSkeleton(fixtureBytes("minimal"), options);
      expect(text).toContain(is);
      return text.replace(is, was);
    };
    const MinimalBpf = await run<Open<Any>>(make, { name: "minimal" });
    expect(() => MinimalBpf.open()).toThrow(message);
  });

  it("refuses an enum with other values", async () => {
    const make = (options: GenerateOptions): string =>
      generateSkeleton(fixtureBytes("globals"), options).replace(
        /\["enum color", "enum#\w+"\]/,
        '["enum color", "enum#0"]',
      );
    const GlobalsBpf = await run<Open<Any>>(make, { name: "globals" });
    expect(() => GlobalsBpf.open()).toThrow("enum color is not what the skeleton was generated from");
  });

  it("binds a library's part of somebody else's object", async () => {
    const Part = await run<{ open(object: BpfObject): Any }>(
      (options) => generateSubskeleton(fixtureBytes("globals"), options),
      { name: "globals" },
    );
    const object = BpfObject.open(fixturePath("globals"));
    const part = Part.open(object);
    part.data!.data_u32 = 33;
    expect(object.data.data_u32).toBe(33);
    expect(part.progs.copy_globals).toBe(object.program("copy_globals"));
    expect(() => Part.open(BpfObject.open(fixturePath("minimal")))).toThrow(ObjectError);
  });

  it("has numbers for 64-bit integers when it was generated so", async () => {
    const GlobalsBpf = await skeletonOf("globals", { int64: "number" });
    const skeleton = GlobalsBpf.open();
    skeleton.data!.data_u64 = 5;
    expect(skeleton.data!.data_u64).toBe(5);
    expect((skeleton.rodata!.ro_shape as { raw: unknown }).raw).toBeTypeOf("number");
    expect(skeleton.object.maps.map(({ int64 }) => int64)).not.toContain("bigint");
    expect(() => GlobalsBpf.open({ int64: "bigint" } as object).data!.data_u64).not.toThrow();
    // A part of an object that somebody else has opened otherwise.
    const Part = await run<{ open(object: BpfObject): Any }>(
      (options) => generateSubskeleton(fixtureBytes("globals"), { ...options, int64: "number" }),
      { name: "globals" },
    );
    const path = fixturePath("globals");
    expect(Part.open(BpfObject.open(path, { int64: "number" })).data!.data_u64).toBeTypeOf("number");
    expect(() => Part.open(BpfObject.open(path))).toThrow(
      /64-bit integers in map .* are bigints, and numbers in the types .*\(open the object with int64: "number"\)/,
    );
    expect(() => BpfObject.open(path, { int64: "big" as never })).toThrow(/int64 is "bigint" or "number", not big/);
  });

  it("gives struct_ops members", async () => {
    const StructOpsBpf = await skeletonOf<Any>("struct_ops");
    const skeleton = StructOpsBpf.open();
    const tables = skeleton.struct_ops as unknown as Record<string, Record<string, unknown>>;
    tables.plain!.name = "other";
    expect(skeleton.object.map("plain").structOps.name).toBe("other");
    expect(tables.plain!.init).toBeInstanceOf(BpfProgram);
    expect(tables.plain!.init).toBe(skeleton.progs.first_init);
  });
});

kernelDescribe("a loaded skeleton", { needs: ["tracepoint"] }, () => {
  it("loads, attaches, counts, detaches, and can be attached again by hand", async () => {
    const MinimalBpf = await skeletonOf<Minimal>("minimal");
    const skeleton = MinimalBpf.open();
    try {
      skeleton.rodata.target_pid = process.pid;
      await skeleton.load();
      expect(skeleton.attach()).toEqual([skeleton.links.count_syscall]);
      process.getegid?.();
      expect(skeleton.bss.total_syscalls).toBeGreaterThan(0n);
      expect(skeleton.maps.syscall_count.get(process.pid)).toBeGreaterThan(0n);
      skeleton.detach();
      expect(skeleton.links.count_syscall).toBeUndefined();
      const before = skeleton.bss.total_syscalls;
      process.getegid?.();
      expect(skeleton.bss.total_syscalls).toBe(before);

      const link = skeleton.progs.count_syscall.attachTracepoint("raw_syscalls", "sys_enter");
      skeleton.links.count_syscall = link;
      expect(skeleton.attach()).toEqual([]);
      process.getegid?.();
      expect(skeleton.bss.total_syscalls).toBeGreaterThan(before);
      skeleton.detach();
      expect(link.attached).toBe(false);
      expect(skeleton.links.count_syscall).toBeUndefined();
    } finally {
      skeleton.close();
    }
    expect(() => skeleton.bss.total_syscalls).toThrow("after close()");
  });
});

kernelDescribe("variables", { needs: ["syscall_program"] }, () => {
  it("are those of the running program", async () => {
    const GlobalsBpf = await skeletonOf<Any>("globals");
    const skeleton = GlobalsBpf.open();
    try {
      skeleton.data!.data_u64 = 10;
      skeleton.data_custom!.custom_counter = 1n;
      skeleton.loadSync();
      runSyscall(skeleton.object, "copy_globals");
      expect(skeleton.data!.data_u64).toBe(11n);
      expect(skeleton.data_custom!.custom_counter).toBe(78n);
      // A data section as a map is bytes.
      expect(skeleton.maps.data_custom!.get(new Uint8Array(4))).toEqual(new Uint8Array([78, 0, 0, 0, 0, 0, 0, 0]));
    } finally {
      skeleton.close();
    }
  });
});
