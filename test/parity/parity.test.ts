// The comparer's own judgement: what it makes of made-up logs of the recorder, and that every kind of difference is
// seen, counted and sorted. The tools themselves are not needed here.

import { describe, expect, it } from "vitest";
import { compareObject, type Difference, type ObjectComparison } from "./compare.js";
import { docsText } from "./docs.js";
import { explain } from "./explanations.js";
import { type LoaderReport, readOracleReport } from "./loader-report.js";
import { normaliseInsns, recordingOf, type SpyEvent } from "./recording.js";
import { groupDifferences, kernelCells, objectCells, reportText } from "./report.js";

/** `r1 = map[fd:7] ll; r0 = 0; exit`. */
const mapLoad = "1811000007000000" + "0000000000000000";
const body = "b700000000000000" + "9500000000000000";

const mapEvent: SpyEvent = {
  cmd: "MAP_CREATE",
  ret: 7,
  faked: 0,
  name: "counts",
  map_type: 1,
  key_size: 4,
  value_size: 8,
  max_entries: 16,
  btf: { kind: "btf", name: "" },
  btf_key_type_id: 3,
  btf_value_type_id: 4,
};
const programEvent: SpyEvent = {
  cmd: "PROG_LOAD",
  ret: 9,
  faked: 1,
  name: "on_exec",
  prog_type: 5,
  license: "GPL",
  insns: mapLoad + body,
  insn_cnt: 4,
  fds: { 7: { kind: "map", name: "counts" } },
  prog_btf: { kind: "btf", name: "" },
  func_info_rec_size: 8,
  func_info: "0000000005000000",
  line_info: "00000000010000000200000000040000",
};
const btfEvent: SpyEvent = { cmd: "BTF_LOAD", ret: 3, faked: 0, btf: blob("on_exec") };
const valueEvent: SpyEvent = {
  cmd: "MAP_UPDATE_ELEM",
  ret: 0,
  faked: 0,
  map: { kind: "map", name: "o.data" },
  key: "00000000",
  value: "2a000000",
};
const log: readonly SpyEvent[] = [btfEvent, mapEvent, valueEvent, programEvent];

/** So many bytes that hold nothing but a name. */
function blob(name: string, size = 300): string {
  return Buffer.from(name.padEnd(size, "\0"), "latin1").toString("hex");
}

const subject = { name: "a.o", facts: [] };
const fine: LoaderReport = { opened: true, loaded: true, programs: [{ name: "on_exec" }] };

function run(events: readonly SpyEvent[], report: LoaderReport = fine) {
  return { report, recording: recordingOf(events) };
}

/** Both sides give the same, but for `change` in the events of one command. */
function compare(command: string, change: Readonly<Record<string, unknown>>): ObjectComparison {
  const changed = log.map((event) => (event.cmd === command ? ({ ...event, ...change } as SpyEvent) : event));
  return compareObject(subject, { libbpf: run(log), bpfkit: run(changed) }, undefined);
}

function kinds({ differences }: ObjectComparison): string[] {
  return differences.map(({ kind, subject }) => `${kind}: ${subject}`);
}

describe("a recording", () => {
  it("has names instead of descriptors, in both kinds of map reference", () => {
    const direct = normaliseInsns(mapLoad, { 7: { kind: "map", name: "counts" } }, []);
    expect(direct).toEqual([{ hex: `18110000${"0".repeat(24)}`, meaning: ":counts" }]);
    // BPF_PSEUDO_MAP_IDX, position 1 of the array: the same map.
    const indexed = normaliseInsns(`1851000001000000${"0".repeat(16)}`, {}, [null, { kind: "map", name: "counts" }]);
    expect(indexed).toEqual(direct);
  });

  it("names the module of a kernel function and keeps its id", () => {
    const call = normaliseInsns("852001002a000000", {}, [null, { kind: "btf", name: "nf_conntrack", kernel: 1 }]);
    expect(call).toEqual([{ hex: "852000002a000000", meaning: "nf_conntrack" }]);
    expect(normaliseInsns("852000002a000000", {}, [])[0]!.meaning).toBe("vmlinux");
  });

  it("keeps offsets into map values, and constants that look like a descriptor", () => {
    const value = `1821000007000000${"00000000"}${"10000000"}`;
    expect(normaliseInsns(value, { 7: { kind: "map", name: "o.bss" } }, [])[0]).toEqual({
      hex: `18210000${"0".repeat(16)}10000000`,
      meaning: ":o.bss",
    });
    const constant = `1801000007000000${"0".repeat(16)}`;
    expect(normaliseInsns(constant, {}, [])).toEqual([{ hex: constant, meaning: "" }]);
  });

  it("leaves out feature probes, and counts a load that was repeated for its log once", () => {
    const probes: SpyEvent[] = [
      { ...programEvent, name: "" },
      { ...programEvent, name: "libbpf_nametest" },
      { ...mapEvent, name: "libbpf_mmap" },
      { cmd: "MAP_CREATE", ret: 7, faked: 0, name: "arr", map_type: 2, key_size: 4, value_size: 1, max_entries: 1 },
      { ...btfEvent, btf: blob("x", 146) },
    ];
    const refused = { ...programEvent, ret: -13 };
    const recording = recordingOf([...probes, ...log.slice(0, 3), refused, { ...refused, log_level: 1 }]);
    expect(recording).toEqual(recordingOf(log));
    // A map of the object may have a probe's name.
    expect(recordingOf([{ ...mapEvent, name: "arr" }]).maps).toHaveLength(1);
    // Twice accepted is twice loaded.
    expect(recordingOf([...log, programEvent]).programs).toHaveLength(2);
  });
});

describe("two recordings", () => {
  it("are equal in spite of other descriptors and an array of them", () => {
    const comparison = compare("PROG_LOAD", {
      insns: `1851000000000000${"0".repeat(16)}${body}`,
      fds: {},
      fd_array: [{ kind: "faked", name: "counts" }],
    });
    expect(comparison.differences).toEqual([]);
    expect(comparison.programs).toEqual({ equal: 1, different: 0, onlyLibbpf: 0, onlyBpfkit: 0 });
    expect([comparison.maps.equal, comparison.btf.equal]).toEqual([1, 1]);
  });

  it.each([
    ["PROG_LOAD", { expected_attach_type: 23 }, "program attribute: on_exec expected_attach_type"],
    ["PROG_LOAD", { attach_btf_id: 1 }, "program attribute: on_exec attach_btf_id"],
    ["PROG_LOAD", { license: "MIT" }, "program attribute: on_exec license"],
    ["PROG_LOAD", { prog_btf: undefined }, "program attribute: on_exec prog_btf"],
    ["PROG_LOAD", { insns: mapLoad + body.replace("b7000000", "b7010000") }, "instructions: on_exec"],
    ["PROG_LOAD", { fds: { 7: { kind: "map", name: "other" } } }, "instructions: on_exec"],
    ["PROG_LOAD", { insns: mapLoad + body + body }, "instructions: on_exec"],
    ["PROG_LOAD", { func_info: "0000000006000000" }, "func info: on_exec"],
    ["PROG_LOAD", { line_info: "00000000010000000200000000080000" }, "line info: on_exec"],
    ["MAP_CREATE", { map_flags: 1 }, "map attribute: counts map_flags"],
    ["MAP_CREATE", { btf: undefined }, "map attribute: counts btf"],
    ["BTF_LOAD", { btf: blob("on_exit") }, "BTF: "],
    ["MAP_UPDATE_ELEM", { value: "2b000000" }, "initial value: :o.data[00000000]"],
  ])("differ after a change of %s %j", (command, change, expected) => {
    expect(kinds(compare(command, change))).toEqual([expected]);
  });

  it("differ by what one side lacks", () => {
    const without = (...commands: string[]) => log.filter((event) => !commands.includes(event.cmd));
    const lacking = run(without("MAP_CREATE", "BTF_LOAD", "MAP_UPDATE_ELEM"));
    const freeze: SpyEvent = { cmd: "MAP_FREEZE", ret: 0, faked: 0, map: { kind: "map", name: "o.data" } };
    const more = run([...log, freeze]);
    const expected = ["BTF: ", "initial value: :o.data[00000000]", "effect: freeze :o.data"];
    expect(kinds(compareObject(subject, { libbpf: more, bpfkit: lacking }, undefined))).toEqual([
      "map missing: counts",
      ...expected,
    ]);
    expect(kinds(compareObject(subject, { libbpf: lacking, bpfkit: more }, undefined))).toEqual([
      "map extra: counts",
      ...expected,
    ]);
  });

  it("tell the first instruction that is different in words", () => {
    const [difference] = compare("PROG_LOAD", { insns: mapLoad + body.replace("b7000000", "b7010000") }).differences;
    expect(difference).toMatchObject({ libbpf: "2/4: r0 = 0", bpfkit: "2/4: r1 = 0" });
  });
});

describe("an object", () => {
  const failed: LoaderReport = {
    opened: true,
    loaded: false,
    programs: [{ name: "on_exec", error: "no" }],
    error: "no",
  };
  const unopened: LoaderReport = { opened: false, loaded: false, programs: [], error: "damaged" };

  it("that only libbpf opens is one difference", () => {
    const comparison = compareObject(subject, { libbpf: run(log), bpfkit: run([], unopened) }, undefined);
    expect(comparison).toMatchObject({ opened: "libbpf", loaded: "libbpf" });
    expect(kinds(comparison)).toEqual(["open: "]);
  });

  it("that nobody opens or loads is none, when both say the same", () => {
    const old = (error: string) => run([], { ...unopened, error });
    const refused = (error: string) => run([], { ...failed, error, programs: [{ name: "on_exec", error }] });
    const opened = (bpfkit: string) => {
      const libbpf = old("elf: legacy map definitions in 'maps' section are not supported (-95)");
      return compareObject(subject, { libbpf, bpfkit: old(bpfkit) }, undefined);
    };
    const same = opened("ObjectError: a, section maps: map definitions in the old form, `struct bpf_map_def`");
    expect(same).toMatchObject({ opened: "none", loaded: "none", differences: [] });
    expect(kinds(opened("ObjectError: a, section other: map definitions in the old form"))).toEqual(["refusal: "]);
    expect(kinds(opened("ElfError: damaged"))).toEqual(["refusal: "]);

    const loaded = (bpfkit: string) => {
      const both = {
        libbpf: refused("extern (func ksym) 'wanted': not found in kernel (-22)"),
        bpfkit: refused(bpfkit),
      };
      return compareObject(subject, both, both);
    };
    const lacking = loaded("UnsupportedError: a, section .ksyms: this kernel has no function wanted among its types");
    expect(lacking).toMatchObject({ opened: "both", loaded: "none", differences: [] });
    expect(kinds(loaded("UnsupportedError: a: this kernel has no function other among its types"))).toEqual([
      "refusal: on_exec",
    ]);
  });

  it("that only libbpf loads is a missing program, with bpfkit's words and no consequences", () => {
    const pair = { libbpf: run(log), bpfkit: run([], failed) };
    const comparison = compareObject(subject, pair, pair);
    expect(comparison).toMatchObject({ loaded: "libbpf", programs: { onlyLibbpf: 1 } });
    expect(comparison.differences).toEqual([
      { object: "a.o", kind: "program missing", subject: "on_exec", libbpf: "loads", bpfkit: "no" },
    ]);
    const reversed = compareObject(subject, { libbpf: pair.bpfkit, bpfkit: pair.libbpf }, undefined);
    expect(kinds(reversed)).toEqual(["program extra: on_exec"]);
  });

  it("that loads in parts but not as a whole is a difference even when all its parts are the same", () => {
    const whole = { libbpf: run(log), bpfkit: run(log, failed) };
    const comparison = compareObject(subject, whole, { libbpf: run(log), bpfkit: run(log) });
    expect(kinds(comparison)).toEqual(["load: "]);
  });
});

describe("libbpf's report", () => {
  it("is read in all three forms", () => {
    expect(readOracleReport('{"open_err":-2,"msg":"libbpf: BTF is required.\\nlibbpf: more"}')).toEqual({
      opened: false,
      loaded: false,
      error: "BTF is required. (-2)",
      programs: [],
    });
    expect(readOracleReport('{"open_err":0,"load_err":-3,"programs":[{"name":"p"}],"msg":""}')).toEqual({
      opened: true,
      loaded: false,
      error: "error -3",
      programs: [{ name: "p", error: "error -3" }],
    });
    const each = '{"open_err":0,"each":[{"prog":"p","err":0},{"prog":"q","err":-22,"msg":"libbpf: bad"}]}';
    expect(readOracleReport(each)).toEqual({
      opened: true,
      loaded: false,
      programs: [{ name: "p" }, { name: "q", error: "bad (-22)" }],
    });
    expect(() => readOracleReport("")).toThrow(SyntaxError);
  });
});

describe("the report", () => {
  const known = "StateError: slot 0 is to hold program q, which was not loaded";
  const missing = (object: string, bpfkit: string): Difference => {
    return { object, kind: "program missing", subject: "p", libbpf: "loads", bpfkit };
  };
  const comparisonOf = (object: string, differences: Difference[]): ObjectComparison => {
    const tally = { equal: 2, different: 1, onlyLibbpf: differences.length, onlyBpfkit: 0 };
    const tallies = { programs: tally, maps: tally, btf: tally };
    return { object, opened: "both", loaded: "libbpf", libbpf: "", bpfkit: "", ...tallies, facts: [], differences };
  };
  const comparisons = [
    comparisonOf("a.o", [missing("a.o", known), missing("a.o", known)]),
    comparisonOf("b.o", [missing("b.o", known), missing("b.o", "nobody knows")]),
  ];

  it("explains zeros that are not written, and nothing that is not all zeros", () => {
    const explained = (theirs: string, ours: string | undefined) => {
      const value = (hex: string): SpyEvent => ({ ...valueEvent, value: hex });
      const bpfkit = ours === undefined ? [] : [value(ours)];
      const pair = { libbpf: run([programEvent, value(theirs)]), bpfkit: run([programEvent, ...bpfkit]) };
      return compareObject(subject, pair, undefined).differences.map((difference) => explain(difference, [])?.name);
    };
    expect(explained("00".repeat(64), undefined)).toEqual(["zeros are not written"]);
    expect(explained(`${"00".repeat(64)}01`, undefined)).toEqual([undefined]);
    expect(explained("00000000", "01000000")).toEqual([undefined]);
    expect(explained("00000000", "00000000")).toEqual([]);
  });

  it("counts objects and sorts what is unexplained first", () => {
    expect(
      groupDifferences(comparisons).map(({ title, objects, differences }) => [title, objects, differences.length]),
    ).toEqual([
      ["program missing", 1, 1],
      ["a slot's program is missing", 2, 3],
    ]);
    expect(objectCells(comparisons).slice(1)).toEqual([
      ["opened", "2", "2", "0", "0", "0"],
      ["loaded", "2", "0", "2", "0", "0"],
    ]);
    expect(kernelCells(comparisons)[1]).toEqual(["programs", "4", "2", "4", "0"]);
  });

  it("lists as many differences as asked for", () => {
    const unknown = [comparisonOf("a.o", [missing("a.o", "who knows"), missing("a.o", "nobody knows")])];
    expect(reportText(unknown, 1).match(/: program missing$/gm)).toHaveLength(1);
    expect(reportText(unknown, 9).match(/: program missing$/gm)).toHaveLength(2);
  });

  it("tells why neither side loads", () => {
    const none = { ...comparisonOf("c.o", []), loaded: "none" as const, libbpf: "no (-22)", bpfkit: "ElfError: no" };
    expect(reportText([none], 1)).toContain("loaded by none:\n  c.o\n    libbpf  no (-22)\n    bpfkit  ElfError: no");
    expect(reportText(comparisons, 1)).not.toContain("loaded by none");
  });

  it("becomes a page", () => {
    const page = docsText([{ title: "Fixtures", comparisons }], "6.18");
    expect(page).toContain("## Fixtures");
    expect(page).toContain("| a slot's program is missing | intended | 2 | 3 |");
    expect(page).toContain("| program missing | UNEXPLAINED | 1 | 1 |");
  });
});
