// What the kernel needs for a hook, known before it is asked or told after it refused without a word.

import { describe, expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import { BpfObject, UnsupportedError } from "../../src/index.js";
import { kernelVersionCode } from "../../src/kernel/index.js";
import { refuseIdleHooks } from "../../src/link/security-hooks.js";
import { findAttachTarget } from "../../src/loader/attach-btf.js";
import { explainTooOld } from "../../src/loader/too-old.js";
import { AttachType, ProgramType } from "../../src/object/index.js";
import { Errno } from "../../src/syscall/index.js";
import { fixturePath } from "../support/fixtures.js";

const thrown = (action: () => unknown): unknown => {
  try {
    return action();
  } catch (error) {
    return error;
  }
};

describe("programs on security hooks", () => {
  using obj = BpfObject.open(fixturePath("trampolines"));
  const [hook, entry] = [obj.program("on_open"), obj.program("on_entry")];

  it("are refused where the kernel does not call them", () => {
    const error = thrown(() => refuseIdleHooks(hook, () => ["capability", "landlock", "yama"]));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error).toMatchObject({
      code: "UNSUPPORTED",
      location: { program: "on_open" },
      hint: "start it with the parameter lsm=capability,landlock,yama,bpf",
    });
    expect(String(error)).toContain('without "bpf" among its security modules (capability,landlock,yama)');
  });

  it("are not where it does, where that cannot be told, and when they are no such programs", () => {
    expect(refuseIdleHooks(hook, () => ["capability", "bpf"])).toBeUndefined();
    expect(refuseIdleHooks(hook, () => undefined)).toBeUndefined();
    expect(refuseIdleHooks(entry, () => ["capability"])).toBeUndefined();
  });

  it("have no hooks at all where the kernel was built without", () => {
    const builder = new BtfBuilder();
    builder.addFunc("security_file_open", builder.addFuncProto(0, []), 0);
    const btf = Btf.parse(builder.build());
    const program = { spec: hook.spec, targetDescriptor: undefined };
    const error = thrown(() => findAttachTarget(program, { list: () => [] }, () => btf));
    expect(String(error)).toMatch(/program on_open: this kernel has no security hooks for programs.*CONFIG_BPF_LSM/);
  });
});

describe("a program that the kernel is too old for", () => {
  using obj = BpfObject.open(fixturePath("trampolines"));
  const { spec } = obj.program("on_session");
  const cause = new Error("refused");
  const old = (changes: Partial<typeof spec>, errno: number = Errno.EINVAL): UnsupportedError | undefined =>
    explainTooOld({ ...spec, ...changes }, errno, cause);
  const newer = kernelVersionCode() >= ((7 << 16) | (2 << 8));

  it.skipIf(newer)("says what is missing and which kernel has it", () => {
    const error = old({ expectedAttachType: AttachType.trace_fexit_multi });
    expect(error).toMatchObject({ code: "UNSUPPORTED", hint: "it takes Linux 7.2", cause });
    expect(String(error)).toContain("program on_session: this kernel has no programs of attach type trace_fexit_multi");
  });

  it("is not what is wrong after other refusals, and with kinds that this kernel has", () => {
    expect(old({ expectedAttachType: AttachType.trace_fexit_multi }, Errno.EPERM)).toBeUndefined();
    expect(old({ expectedAttachType: AttachType.trace_fexit_multi }, Errno.EACCES)).toBeUndefined();
    expect(old({ expectedAttachType: AttachType.trace_fentry })).toBeUndefined();
    expect(old({ type: ProgramType.xdp, expectedAttachType: AttachType.xdp })).toBeUndefined();
  });
});
