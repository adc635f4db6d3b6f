// The list of kernel symbols.

import { describe, expect, it } from "vitest";
import { parseKernelSymbols } from "../../src/kernel/kallsyms.js";

const bytes = (text: string) => new TextEncoder().encode(text);

const text = bytes(`0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000010 t twice
ffffffff81000020 T schedule
ffffffff81000020 T schedule
ffffffff81000030 t twice
ffffffff82000000 d counter.llvm.1234
ffffffff82000008 t function.llvm.77
ffffffffc0000000 t nf_hook\t[nf_tables]
ffffffffc0000010 t x
ffffffff81000040 T scheduler`);

describe("parseKernelSymbols", () => {
  const find = (...names: string[]) => Object.fromEntries(parseKernelSymbols(text, names).addresses);

  it("finds exactly the wanted names", () => {
    expect(find("schedule", "nf_hook", "x", "scheduler", "absent", "sched")).toEqual({
      schedule: [0xffffffff81000020n],
      nf_hook: [0xffffffffc0000000n],
      x: [0xffffffffc0000010n],
      scheduler: [0xffffffff81000040n],
    });
  });

  it("gives all addresses of a name", () => {
    expect(find("twice")).toEqual({ twice: [0xffffffff81000010n, 0xffffffff81000030n] });
  });

  it("ignores what link-time optimisation puts behind the names of data only", () => {
    expect(find("counter", "function")).toEqual({ counter: [0xffffffff82000000n] });
    expect(find("function.llvm.77")).toEqual({ "function.llvm.77": [0xffffffff82000008n] });
  });

  it("tells addresses that are 0 from hidden ones", () => {
    expect(parseKernelSymbols(text, ["fixed_percpu_data"])).toEqual({
      addresses: new Map([["fixed_percpu_data", [0n]]]),
      hidden: false,
    });
    const hidden = bytes("0000000000000000 T _text\n0000000000000000 T schedule\n");
    expect(parseKernelSymbols(hidden, ["schedule"])).toEqual({
      addresses: new Map([["schedule", [0n]]]),
      hidden: true,
    });
  });

  it("survives lines that are none", () => {
    const broken = bytes("\n\nffffffff81000000\nffffffff81000000 T\n x y\nffffffff81000020 T schedule\n");
    expect(parseKernelSymbols(broken, ["schedule"]).addresses.get("schedule")).toEqual([0xffffffff81000020n]);
    expect(parseKernelSymbols(new Uint8Array(0), ["schedule"])).toEqual({ addresses: new Map(), hidden: false });
  });
});
