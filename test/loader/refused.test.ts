// Refused programs: what a user is told. In virtual machines only (CONTRIBUTING.md, "Safety").

import { expect, it } from "vitest";
import { BpfObject, VerifierError } from "../../src/index.js";
import { fixturePath, openDescriptors } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

/** Loads one program of the fixture and returns how it was refused. */
async function refusal(name: string, sync: boolean, edit: (obj: BpfObject) => void = () => {}): Promise<VerifierError> {
  const obj = BpfObject.open(fixturePath("refused"));
  try {
    for (const program of obj.programs) program.autoload = program.name === name;
    edit(obj);
    if (sync) obj.loadSync();
    else await obj.load();
  } catch (error) {
    if (error instanceof VerifierError) return error;
    throw error;
  } finally {
    obj.close();
  }
  throw new Error(`${name} was accepted`);
}

kernelDescribe("a refused program", { needs: ["virtual_machine", "raw_tracepoint"] }, () => {
  it("is explained with verdict, instruction, source line and the whole log", async () => {
    for (const sync of [true, false]) {
      const error = await refusal("unchecked_lookup", sync);
      expect(error.errnoName).toBe("EACCES");
      expect(error.verdict).toMatch(/^R\d invalid mem access 'map_value_or_null'$/);
      expect(error.insn).toMatch(/\*\(u64 \*\)\(r0 \+0\)/);
      expect(error.source).toMatchObject({ text: "return *count;", file: expect.stringMatching(/refused\.bpf\.c$/) });
      expect(error.message).toMatch(
        /refused\.bpf\.o, section raw_tp\/sys_enter, program unchecked_lookup: the verifier refused/,
      );
      expect(error.log).toContain("bpf_map_lookup_elem");
      expect(error.log).toContain(error.verdict);
    }
  });

  it("because of a missing kernel member is explained by that member", async () => {
    const error = await refusal("missing_member", true);
    expect(error.verdict).toMatch(/failed to resolve CO-RE relocation <byte_off> .*task_struct\.bpfkit_missing/);
    expect(error.log).toContain("<invalid CO-RE relocation>");
    expect(error.log).not.toMatch(/invalid func unknown/);
  });

  it("because of a map that was not created is explained by that map", async () => {
    const error = await refusal("uses_map", true, (obj) => {
      obj.map("counts").autocreate = false;
    });
    expect(error.verdict).toBe("BPF map counts is referenced but wasn't created");
  });

  it("leaves nothing open", async () => {
    await refusal("unchecked_lookup", true);
    const before = openDescriptors();
    for (let i = 0; i < 10; i++) await refusal("unchecked_lookup", i % 2 === 0);
    expect(openDescriptors()).toBe(before);
  });
});
