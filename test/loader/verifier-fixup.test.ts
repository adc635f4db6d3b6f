// What invalidated instructions stood for, written into the log of a refused program.

import { describe, expect, it } from "vitest";
import { fixLog } from "../../src/loader/verifier-fixup.js";
import { openObject } from "../../src/object/index.js";
import { readVerifierLog } from "../../src/program/index.js";
import { fixtureBytes } from "../support/fixtures.js";

const { maps } = openObject(fixtureBytes("minimal"), { name: "minimal" });
const { externs } = openObject(fixtureBytes("externs"), { name: "externs" });
const coreAt = (insnIndex: number): string | undefined =>
  insnIndex === 4 ? "<byte_off> [7] struct task_struct.gone (0:1 @ offset 4)" : undefined;

const logOf = (call: number, name = "unknown"): string => `3: (bf) r1 = r10                       ; R1_w=fp0
; return task->gone; @ core.bpf.c:12
4: (85) call ${name}#${call}
invalid func unknown#${call}
processed 5 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;

describe("fixLog", () => {
  it.each(["unknown", "<invalid>"])("explains CO-RE (call %s)", (name) => {
    const { log, meaning } = fixLog(logOf(195896080, name), { coreAt, maps, externs });
    expect(meaning).toMatch(/^failed to resolve CO-RE relocation <byte_off> \[7\] struct task_struct\.gone/);
    expect(log).toBe(`3: (bf) r1 = r10                       ; R1_w=fp0
; return task->gone; @ core.bpf.c:12
4: <invalid CO-RE relocation>
${meaning}
processed 5 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`);
    expect(readVerifierLog(log)).toEqual({
      reason: meaning,
      insnIndex: 4,
      insn: "<invalid CO-RE relocation>",
      suggestion: undefined,
      source: { text: "return task->gone;", file: "core.bpf.c", line: 12 },
    });
  });

  it("explains maps", () => {
    const { meaning } = fixLog(logOf(2001000000), { coreAt, maps, externs });
    expect(meaning).toBe("BPF map syscall_count is referenced but wasn't created");
    expect(fixLog(logOf(2001000000 + maps.length), { coreAt, maps, externs }).meaning).toBeUndefined();
  });

  it("explains functions of the kernel", () => {
    const index = externs.findIndex(({ name }) => name === "bpfkit_no_function");
    const { log, meaning } = fixLog(logOf(2002000000 + index), { coreAt, maps, externs });
    expect(meaning).toBe("kfunc bpfkit_no_function is referenced but wasn't resolved");
    expect(log.split("\n").slice(2, 4)).toEqual(["4: <invalid kfunc call>", meaning]);
    expect(fixLog(logOf(2002000000 + externs.length), { coreAt, maps, externs }).meaning).toBeUndefined();
  });

  it("leaves other logs alone", () => {
    for (const log of ["", logOf(12345), `${logOf(195896080)}${"1: (95) exit\n".repeat(20)}`]) {
      expect(fixLog(log, { coreAt, maps, externs })).toEqual({ log, meaning: undefined });
    }
  });
});
