// Logs as kernels of different ages print them; the texts are shortened.

import { describe, expect, it } from "vitest";
import { VerifierError } from "../../src/program/verifier-error.js";
import { readVerifierLog } from "../../src/program/verifier-log.js";

const nullCheck = `0: R1=ctx() R10=fp0
; __u64 *count = bpf_map_lookup_elem(&syscall_count, &pid); @ minimal.bpf.c:30
10: (18) r1 = 0xffff888103a5d400      ; R1_w=map_ptr(map=syscall_count,ks=4,vs=8)
12: (85) call bpf_map_lookup_elem#1   ; R0_w=map_value_or_null(id=1,map=syscall_count,ks=4,vs=8)
; *count += 1; @ minimal.bpf.c:31
13: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1
`;

const withReport = `; return *count; @ refused.bpf.c:27
7: (79) r0 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'

Verification failed: Register Type Safety: Invalid dereference

Reason:
  R0 may be NULL here.

At:
  unchecked_lookup @ refused.bpf.c:27:9
  Instruction context:
  >>> 7 | (79) r0 = *(u64 *)(r0 +0)
      8 | (95) exit

Suggestion:
  Check for NULL before the access and use
  the pointer only on the other path.

processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;

const oldKernel = `; int x = ctx->missing;
0: (61) r0 = *(u32 *)(r1 +4096)
invalid bpf_context access off=4096 size=4
processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;

const poisoned = `; return task->gone; @ core.bpf.c:12
4: (85) call unknown#195896080
invalid func unknown#195896080
processed 5 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;

describe("readVerifierLog", () => {
  it("finds reason, instruction and source line", () => {
    expect(readVerifierLog(nullCheck)).toEqual({
      reason: "R0 invalid mem access 'map_value_or_null'",
      insnIndex: 13,
      insn: "r1 = *(u64 *)(r0 +0)",
      suggestion: undefined,
      source: { text: "*count += 1;", file: "minimal.bpf.c", line: 31 },
    });
  });

  it("reads logs that give no file and line (before 6.8)", () => {
    expect(readVerifierLog(oldKernel)).toEqual({
      reason: "invalid bpf_context access off=4096 size=4",
      insnIndex: 0,
      insn: "r0 = *(u32 *)(r1 +4096)",
      suggestion: undefined,
      source: { text: "int x = ctx->missing;", file: undefined, line: undefined },
    });
  });

  it("does not take statistics or register states for the reason", () => {
    const log = `${nullCheck}verification time 42 usec\nstack depth 8\n`;
    expect(readVerifierLog(log).reason).toBe("R0 invalid mem access 'map_value_or_null'");
  });

  it("takes the advice, and nothing else, from the report of Linux 7.3", () => {
    expect(readVerifierLog(withReport)).toEqual({
      reason: "R0 invalid mem access 'map_value_or_null'",
      insnIndex: 7,
      insn: "r0 = *(u64 *)(r0 +0)",
      suggestion: "Check for NULL before the access and use the pointer only on the other path.",
      source: { text: "return *count;", file: "refused.bpf.c", line: 27 },
    });
    const error = new VerifierError({ program: "p", section: "s", errno: 13, errnoName: "EACCES", log: withReport });
    expect(error.message).toMatch(/\(Check for NULL before the access and use the pointer only on the other path\.\)$/);
    // A log that was cut before its classic part.
    const cut = withReport.slice(withReport.indexOf("Verification failed"));
    expect(readVerifierLog(cut).reason).toBe("Register Type Safety: Invalid dereference");
  });

  it("gives up gracefully", () => {
    const missing = { insnIndex: undefined, insn: undefined, suggestion: undefined, source: undefined };
    const nothing = { reason: "no reason given", ...missing };
    expect(readVerifierLog("")).toEqual(nothing);
    expect(readVerifierLog("processed 0 insns (limit 1000000)\n")).toEqual(nothing);
  });
});

describe("VerifierError", () => {
  const base = { program: "p", section: "tp/x/y", errno: 13, errnoName: "EACCES" };

  it("says in one line what, where and why", () => {
    const error = new VerifierError({ ...base, log: nullCheck });
    expect(error.message).toBe(
      "section tp/x/y, program p: the verifier refused the program (EACCES): R0 invalid mem access 'map_value_or_null', " +
        "at instruction 13 `r1 = *(u64 *)(r0 +0)`, source minimal.bpf.c:31 `*count += 1;`",
    );
    expect(error.code).toBe("VERIFIER");
    expect(error.log).toBe(nullCheck);
    expect(error.verdict).toBe("R0 invalid mem access 'map_value_or_null'");
  });

  it("prefers the object's own line info", () => {
    const sourceAt = (insnIndex: number) => ({ text: `line of ${insnIndex}`, file: "a.bpf.c", line: 7 });
    expect(new VerifierError({ ...base, log: poisoned, sourceAt }).source).toEqual({
      text: "line of 4",
      file: "a.bpf.c",
      line: 7,
    });
  });

  it("says so when there is no log", () => {
    expect(new VerifierError({ ...base, log: "" }).message).toContain(
      "refused the program with EACCES and wrote no log",
    );
  });
});
