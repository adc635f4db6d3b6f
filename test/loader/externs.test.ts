// Externs: values in the map, symbols in the instructions, and what programs see of them on the running kernel.

import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { type Btf, BtfBuilder, Btf as Types } from "../../src/btf/index.js";
import { ArgumentError, BpfObject, StateError, setLogger, UnsupportedError } from "../../src/index.js";
import { formatInsn, readInsn } from "../../src/insn/index.js";
import { loadKernelBtf, type ModuleBtf } from "../../src/kernel/index.js";
import { fillKconfig } from "../../src/loader/extern-kconfig.js";
import { findKernelSymbols, type KernelSymbolTable } from "../../src/loader/extern-ksyms.js";
import { resolveExterns } from "../../src/loader/resolve-externs.js";
import {
  type ExternSpec,
  type KconfigExternSpec,
  linkProgram,
  type ObjectSpec,
  openObject,
} from "../../src/object/index.js";
import { eventFd, FileDescriptor, progTestRun } from "../../src/syscall/index.js";
import { fixtureBytes, fixturePath, only, openDescriptors, runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

const open = (): ObjectSpec => openObject(fixtureBytes("externs"), { name: "externs" });

/** The kernel's configuration, read in another way than the library reads it. */
function kernelConfig(): Map<string, string> | undefined {
  const path = [`/boot/config-${release()}`, "/proc/config.gz"].find((candidate) => existsSync(candidate));
  if (path === undefined) return undefined;
  const bytes = readFileSync(path);
  const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
  return new Map([...text.matchAll(/^(CONFIG_\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]));
}

describe("values of Kconfig externs", () => {
  const extern = (type: Partial<KconfigExternSpec>, name = "CONFIG_BPFKIT"): KconfigExternSpec => ({
    kind: "kconfig",
    name,
    weak: false,
    typeId: 1,
    valueKind: "integer",
    signed: false,
    size: 4,
    alignment: 4,
    offset: 0,
    ...type,
  });
  const fill = (type: Partial<KconfigExternSpec>, value: string): number[] => {
    const spec = extern(type);
    const image = new Uint8Array(spec.size);
    fillKconfig([spec], image, new Map([["CONFIG_BPFKIT", value]]));
    return [...image];
  };
  const byte = { size: 1, alignment: 1 };
  const bool = { ...byte, valueKind: "bool" } as const;
  const char = { ...byte, valueKind: "char" } as const;
  const tristate = { valueKind: "tristate" } as const;
  const text = { ...byte, valueKind: "string", size: 4 } as const;

  it.each<[string, Partial<KconfigExternSpec>, string, number[]]>([
    ["y as bool", bool, "y", [1]],
    ["n as bool", bool, "n", [0]],
    ["1 as bool", bool, "1", [1]],
    ["m as tristate", tristate, "m", [2, 0, 0, 0]],
    ["y as tristate", tristate, "y", [1, 0, 0, 0]],
    ["y as char", char, "y", [0x79]],
    ["-1 as signed char", { ...char, signed: true }, "-1", [255]],
    ["200 as char", char, "200", [200]],
    ["hexadecimal", {}, "0x1F00", [0, 0x1f, 0, 0]],
    ["octal", {}, "017", [15, 0, 0, 0]],
    ["the smallest signed", { signed: true }, "-2147483648", [0, 0, 0, 0x80]],
    ["the largest of 8 bytes", { size: 8 }, "0xffffffffffffffff", [255, 255, 255, 255, 255, 255, 255, 255]],
    ["a negative of 8 bytes", { size: 8 }, "-2", [254, 255, 255, 255, 255, 255, 255, 255]],
    ["a string", text, '"ab"', [0x61, 0x62, 0, 0]],
    ["an empty string", text, '""', [0, 0, 0, 0]],
  ])("%s", (_, type, value, bytes) => {
    expect(fill(type, value)).toEqual(bytes);
  });

  it("of strings are cut off with a warning, and always end with a NUL", () => {
    const lines: string[] = [];
    const previous = setLogger((level, message) => lines.push(`${level} ${message}`));
    try {
      expect(fill(text, '"abcdef"')).toEqual([0x61, 0x62, 0x63, 0]);
    } finally {
      setLogger(previous);
    }
    expect(lines.filter((line) => line.startsWith("warn"))).toEqual([
      'warn extern CONFIG_BPFKIT: "abcdef" does not fit into 4 bytes and was cut off',
    ]);
  });

  it.each<[Partial<KconfigExternSpec>, string, string]>([
    [bool, "m", "a bool, and its value is m"],
    [bool, "2", "a bool, and its value is 2"],
    [bool, '"y"', 'a bool, and its value is "y"'],
    [tristate, "1", "a tristate, and its value is 1"],
    [char, "256", "a char, and its value is 256"],
    [{}, "y", "an unsigned integer of 4 bytes, and its value is y"],
    [{}, "-1", "an unsigned integer of 4 bytes, and its value is -1"],
    [{ signed: true }, "2147483648", "a signed integer of 4 bytes, and its value is 2147483648"],
    [{ size: 8 }, "0x10000000000000000", "an unsigned integer of 8 bytes, and its value is 0x10000000000000000"],
    [{}, "09", "an unsigned integer of 4 bytes, and its value is 09"],
    [{}, "12x", "an unsigned integer of 4 bytes, and its value is 12x"],
    [text, "y", "a string, and its value is y"],
    [text, '"', 'a string, and its value is "'],
  ])("refuse what does not fit: %o %s", (type, value, reason) => {
    expect(() => fill(type, value)).toThrow(`section .kconfig: extern CONFIG_BPFKIT is declared as ${reason}`);
  });

  it("that are not set are zero if they are weak, else an error that tells the way out", () => {
    const image = new Uint8Array(4);
    fillKconfig([extern({ weak: true })], image, undefined);
    fillKconfig([extern({ weak: true }, "LINUX_BPFKIT")], image, undefined);
    expect([...image]).toEqual([0, 0, 0, 0]);
    expect(() => fillKconfig([extern({})], image, undefined)).toThrow(UnsupportedError);
    expect(() => fillKconfig([extern({})], image, undefined)).toThrow(
      /CONFIG_BPFKIT is (not set|needed, and).*\(give it by the option kconfig, or declare it __weak: then it is zero\)/,
    );
    for (const [name, weak] of [
      ["LINUX_BPFKIT", false],
      ["BPFKIT", true],
    ] as const) {
      expect(() => fillKconfig([extern({ weak }, name)], image, undefined)).toThrow(
        /nothing is known about the __kconfig extern \w+ \(names begin with CONFIG_, or are LINUX_KERNEL_VERSION, /,
      );
    }
  });
});

describe("the option kconfig", () => {
  it("is checked when the object is opened", () => {
    expect(() => BpfObject.open(fixturePath("externs"), { kconfig: "HZ=1" })).toThrow(ArgumentError);
    expect(() => BpfObject.open(fixturePath("externs"), { kconfig: 1 as never })).toThrow(/must be text/);
  });

  it("leaves the variables unknown until load", () => {
    using obj = BpfObject.open(fixturePath("externs"), { kconfig: "CONFIG_HZ=77" });
    const values = obj.globals(".kconfig");
    expect(Object.keys(values)).toContain("CONFIG_HZ");
    expect(() => values.CONFIG_HZ).toThrow(StateError);
    expect(() => {
      values.CONFIG_HZ = 5n;
    }).toThrow(/section \.kconfig: CONFIG_HZ gets its value by load\(\)/);
  });
});

type FakeModule = ModuleBtf & { readonly fd: FileDescriptor };

/** A kernel module's types on top of vmlinux's, without a kernel module. */
function fakeModule(name: string, kernel: Btf, build: (builder: BtfBuilder) => void): FakeModule {
  const builder = new BtfBuilder({ base: kernel });
  build(builder);
  return { name, btf: Types.parse(builder.build(), { base: kernel }), fd: new FileDescriptor(eventFd(), name) };
}

kernelDescribe("kernel symbols in instructions", { needs: ["bpf"] }, () => {
  const link = (spec: ObjectSpec, program: string, symbols: KernelSymbolTable) => {
    const linked = linkProgram(spec.programs.find(({ name }) => name === program)!, ({ insns }) => insns);
    resolveExterns(linked, spec.externs, symbols);
    return linked.relocations.flatMap((relocation) =>
      relocation.kind === "extern" ? [{ at: relocation.insnIndex, name: relocation.extern.name, linked }] : [],
    );
  };
  const texts = (uses: ReturnType<typeof link>) =>
    uses.map(({ at, name, linked }) => [name, formatInsn(linked.insns, at)]);

  kernelIt("come from vmlinux, then modules, whose descriptors stand in an array", { needs: ["btf_variable"] }, () => {
    const spec = open();
    const kernel = loadKernelBtf("a test");
    const typesOf = (builder: BtfBuilder) => {
      const int = builder.addInt("int", 4, { signed: true });
      const proto = builder.addFuncProto(0, [
        { name: "p", type: builder.addPtr(0) },
        { name: "i", type: int },
        { name: "", type: 0 },
      ]);
      return { int, proto };
    };
    const variables = fakeModule("variables", kernel, (builder) => {
      builder.addVar("bpfkit_no_variable", typesOf(builder).int, 1);
    });
    const functions = fakeModule("functions", kernel, (builder) => {
      builder.addFunc("bpfkit_no_function", typesOf(builder).proto, 0);
    });
    const table = findKernelSymbols(spec.externs, spec.btf, { list: () => [variables, functions] });
    expect([...table.fdArray!]).toEqual([0, functions.fd.number]);
    const variable = variables.btf.findByName("bpfkit_no_variable", "var")!;
    const runqueues = kernel.findByName("runqueues", "var")!;
    expect(texts(link(spec, "read_variables", table))).toEqual(
      [
        ["runqueues", `r1 = btf_id[${runqueues}]`],
        ["runqueues", `r1 = btf_id[${runqueues}]`],
        ["bpfkit_no_variable", `r1 = btf_id[${variable}]`],
      ].map(([name, text]) => [name, expect.stringMatching(`r\\d = ${text!.slice(5).replace(/[[\]]/g, "\\$&")}`)]),
    );
    const ofModule = link(spec, "read_variables", table).find(({ name }) => name === "bpfkit_no_variable")!;
    expect(readInsn(ofModule.linked.insns, ofModule.at + 1).imm).toBe(variables.fd.number);

    const [call] = link(spec, "call_missing", table);
    expect(readInsn(call!.linked.insns, call!.at)).toEqual({
      opcode: 0x85,
      dst: 0,
      src: 2,
      off: 1,
      imm: functions.btf.findByName("bpfkit_no_function", "func"),
    });
    for (const { fd } of [variables, functions]) fd.close();
  });

  it("that are missing are 0, and their calls impossible", () => {
    const spec = open();
    const table = findKernelSymbols(spec.externs, spec.btf, { list: () => [] });
    expect(table.fdArray).toBeUndefined();
    const index = spec.externs.findIndex(({ name }) => name === "bpfkit_no_function");
    expect(texts(link(spec, "call_missing", table))).toEqual([["bpfkit_no_function", `call ${2002000000 + index}`]]);
    const address = link(spec, "read_addresses", table).find(({ name }) => name === "bpfkit_no_symbol")!;
    expect(readInsn(address.linked.insns, address.at)).toMatchObject({ opcode: 0x18, src: 0, imm: 0 });
  });

  it("that are strong and missing are errors", () => {
    const { externs, btf } = open();
    const find = (name: string, change: Partial<ExternSpec>) => () => {
      const extern = { ...externs.find((candidate) => candidate.name === name)!, weak: false, ...change } as ExternSpec;
      findKernelSymbols([extern], btf, { list: () => [] });
    };
    const hint = /\(a program that can do without declares it __weak and tests it with bpf_ksym_exists\(\)\)$/;
    for (const [name, what] of [
      ["bpfkit_no_function", "function bpfkit_no_function among its types"],
      ["bpfkit_no_variable", "variable bpfkit_no_variable among its types"],
      ["bpfkit_no_symbol", "symbol bpfkit_no_symbol"],
    ] as const) {
      expect(find(name, {})).toThrow(UnsupportedError);
      expect(find(name, {})).toThrow(`section .ksyms: this kernel has no ${what}`);
      expect(find(name, {})).toThrow(hint);
    }
  });

  kernelIt("that have another type are errors, weak variables too", { needs: ["btf_variable"] }, () => {
    const { externs, btf } = open();
    const int = btf!.findByName("int", "int")!;
    const runqueues = externs.find(({ name }) => name === "runqueues")!;
    const changed = { ...runqueues, valueTypeId: int } as ExternSpec;
    const find = () => findKernelSymbols([changed], btf, { list: () => [] });
    expect(find).toThrow("this kernel's variable runqueues has another type than the object declares");
  });

  it("of a module whose types may not be opened are an error with the reason", () => {
    const { externs, btf } = open();
    const kernel = loadKernelBtf("a test");
    const module = fakeModule("closed", kernel, (builder) => {
      builder.addVar("bpfkit_no_variable", builder.addInt("int", 4), 1);
    });
    module.fd.close();
    const list = () => [{ name: module.name, btf: module.btf, fd: undefined }];
    expect(() => findKernelSymbols(externs, btf, { list })).toThrow(
      /types of module closed cannot be opened.*CAP_SYS_ADMIN/,
    );
  });
});

kernelDescribe("externs of a loaded object", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("give programs the kernel's configuration", async () => {
    const config = kernelConfig();
    const number = (name: string) => BigInt(config?.get(name) ?? "0");
    await withLoaded("externs", only("read_config"), (obj) => {
      const values = obj.globals(".kconfig");
      expect(runFilter(obj, "read_config")).toBe(0);
      const seen = obj.bss.config as Record<string, unknown>;
      const [major, minor] = release().split(".").map(Number);
      expect((seen.version as number) >>> 8).toBe((major! << 8) | minor!);
      expect(seen).toMatchObject({
        hz: number("CONFIG_HZ"),
        physical_start: number("CONFIG_PHYSICAL_START"),
        tristate: ["n", "y", "m"].indexOf(config?.get("CONFIG_MODULES") ?? "n"),
        bpf_syscall: config?.get("CONFIG_BPF_SYSCALL") === "y",
        jit: config?.get("CONFIG_BPF_JIT")?.charCodeAt(0) ?? 0,
        compiler: (config?.get("CONFIG_CC_VERSION_TEXT") ?? "").replaceAll('"', "").slice(0, 63),
        unknown: 0,
        unset: 0,
        negative: 0,
        // x86-64 and arm64 have it since Linux 4.17 and 4.18.
        has_wrapper: true,
      });
      expect(values.CONFIG_HZ).toBe(seen.hz);
      expect(values.LINUX_KERNEL_VERSION).toBe(seen.version);
      expect(values.CONFIG_CC_VERSION_TEXT).toBe(seen.compiler);
      expect(() => {
        values.CONFIG_HZ = 1n;
      }).toThrow(/variable CONFIG_HZ is read-only once the object is loaded/);
      expect(obj.findMap(".kconfig")).toMatchObject({ name: "externs.kconfig", isInternal: true, loaded: true });
    });
  });

  it("prefer the option's values", async () => {
    const kconfig = "# mine\nCONFIG_HZ=77\nCONFIG_BPFKIT_SIGNED=-5\nCONFIG_MODULES=m\n";
    await withLoaded(
      "externs",
      only("read_config"),
      (obj) => {
        runFilter(obj, "read_config");
        expect(obj.bss.config).toMatchObject({ hz: 77n, negative: -5, tristate: 2, unset: 0 });
      },
      { kconfig },
    );
  });

  kernelIt("tell whether cookies exist", { needs: ["bpf_cookie", "tracepoint"] }, async () => {
    await withLoaded("externs", only("read_config"), (obj) => {
      runFilter(obj, "read_config");
      expect(obj.bss.config).toMatchObject({ has_cookie: true });
    });
  });

  it("give programs the addresses of symbols", async () => {
    const line = /^([0-9a-f]+) \w wake_up_process$/m.exec(readFileSync("/proc/kallsyms", "latin1"));
    expect(line).not.toBeNull();
    await withLoaded("externs", only("read_addresses"), (obj) => {
      expect(obj.data.no_symbol_address).toBe(1n);
      runFilter(obj, "read_addresses");
      expect(obj.bss.function_address).toBe(BigInt(`0x${line![1]}`));
      expect(obj.bss.function_address).not.toBe(0n);
      expect(obj.data.no_symbol_address).toBe(0n);
    });
  });

  it("warn of a weak function that the kernel has with another declaration, unless one of several fits", () => {
    const has = loadKernelBtf("a test").findByName("bpf_task_from_pid", "func") !== undefined;
    const spec = open();
    const warnings = (...names: string[]): string[] => {
      const lines: string[] = [];
      const before = setLogger((level, text) => void (level === "warn" && lines.push(text)));
      try {
        const externs = spec.externs.filter(({ name }) => names.includes(name));
        expect(findKernelSymbols(externs, spec.btf, { list: () => [] }).symbols.size).toBe(has ? names.length - 1 : 0);
      } finally {
        setLogger(before);
      }
      return lines;
    };
    const warning =
      "weak extern bpf_task_from_pid___two counts as missing: this kernel has it with another declaration";
    expect(warnings("bpf_task_from_pid___two")).toEqual(has ? [warning] : []);
    expect(warnings("bpf_task_from_pid___two", "bpf_task_from_pid")).toEqual([]);
  });

  it("let programs call functions of the kernel where it has them", async () => {
    const kernel = loadKernelBtf("a test");
    const has = ["bpf_task_from_pid", "bpf_task_release"].every(
      (name) => kernel.findByName(name, "func") !== undefined,
    );
    const kernelThreads = 2;
    await withLoaded("externs", only("call_functions"), (obj) => {
      obj.data.wanted_pid = kernelThreads;
      runFilter(obj, "call_functions");
      expect(obj.data).toMatchObject({
        has_functions: Number(has),
        has_two: 0,
        has_no_function: 0,
        found_pid: has ? kernelThreads : -1,
        again_pid: has ? kernelThreads : -1,
      });
    });
  });

  kernelIt(
    "let programs call functions of modules",
    { needs: ["conntrack_functions", "function_address"] },
    async () => {
      await withLoaded("externs", only("call_functions", "call_module"), (obj) => {
        runFilter(obj, "call_module");
        expect(obj.data).toMatchObject({ has_module: 1, lookup_error: -2 }); // ENOENT: there is no such connection
      });
    },
  );

  kernelIt(
    "let programs read variables of the kernel",
    { needs: ["btf_variable", "ksym_variable", "raw_tracepoint"] },
    async () => {
      await withLoaded("externs", only("read_variables"), (obj) => {
        progTestRun({ program: obj.program("read_variables").fd, context: new Uint8Array(16) });
        expect(obj.data).toMatchObject({ first_cpu: 0, has_no_variable: 0 });
        expect(obj.data.this_cpu).toBe(obj.data.current_cpu);
        expect(obj.data.this_cpu).toBeGreaterThanOrEqual(0);
      });
    },
  );

  kernelIt("explain a call that nothing resolves", { needs: ["virtual_machine"] }, async () => {
    await expect(withLoaded("externs", only("call_missing"), () => {})).rejects.toMatchObject({
      code: "VERIFIER",
      verdict: "kfunc bpfkit_no_function is referenced but wasn't resolved",
    });
  });

  it("leave no descriptor behind", async () => {
    const round = () => withLoaded("externs", only("read_config", "read_addresses", "call_functions"), () => {});
    await round();
    const before = openDescriptors();
    for (let i = 0; i < 5; i++) await round();
    expect(openDescriptors()).toBe(before);
  });
});
