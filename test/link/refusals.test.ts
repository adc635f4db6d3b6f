// A failed attachment says why, in a user's terms: what does not exist and what is near, what is in the way, which right is
// missing, which kernel it takes.

import { closeSync, openSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type BpfObject, NotFoundError, UnsupportedError } from "../../src/index.js";
import { olderThan } from "../../src/kernel/index.js";
import { explainAttach } from "../../src/link/attach-error.js";
import { progAttach, progDetach, systemCallError } from "../../src/syscall/index.js";
import { withCgroup } from "../support/cgroup.js";
import type { FeatureName } from "../support/features.js";
import { fixturePath, only, withLoaded } from "../support/fixtures.js";
import { withLoopback } from "../support/loopback.js";
import { kernelDescribe, kernelIt, missingOf } from "../support/needs.js";
import { runModule } from "../syscall/process.js";

/** Loads programs of the fixture "hooks" without its map of sockets, unless it is needed. */
const pick =
  (...names: string[]) =>
  (obj: BpfObject): void => {
    only(...names)(obj);
    obj.map("sockets").autocreate = names.includes("on_stream");
  };

describe("a refusal by an old kernel", () => {
  const program = { name: "f", file: "f.bpf.o" };
  const refuse = (errno: number, since?: string): unknown => {
    try {
      explainAttach(
        program,
        "the hook",
        () => {
          throw systemCallError("bpf(BPF_LINK_CREATE)", errno);
        },
        { since, hints: { EINVAL: "the hint" } },
      );
    } catch (error) {
      return error;
    }
    return undefined;
  };

  it("names the kernel that it takes", () => {
    const [EINVAL, E2BIG, EBUSY] = [22, 7, 16];
    for (const errno of [EINVAL, E2BIG]) {
      const error = refuse(errno, "99.1");
      expect(error).toBeInstanceOf(UnsupportedError);
      expect(String(error)).toMatch(/f\.bpf\.o, program f: cannot attach to the hook.*too old.*Linux 99\.1/s);
    }
    expect(refuse(EBUSY, "99.1")).toMatchObject({ code: "ATTACH", errnoName: "EBUSY" });
    expect(refuse(EINVAL, "3.0")).toMatchObject({ code: "ATTACH", errnoName: "EINVAL", hint: "the hint" });
  });
});

kernelDescribe("a name that does not exist", { needs: ["raw_tracepoint", "tracepoint", "array_mmap"] }, () => {
  it("is a tracepoint: the near ones are named", async () => {
    await withLoaded("raw_tp", only("on_exec"), (obj) => {
      const attach = () => obj.program("on_exec").attachRawTracepoint("sched_process_exce");
      expect(attach).toThrow(NotFoundError);
      expect(attach).toThrow(/no tracepoint sched_process_exce; did you mean .*sched_process_exec.*no category/s);
      expect(() => obj.program("on_exec").attachRawTracepoint("x".repeat(40))).toThrow("no tracepoint xxx");
    });
    await withLoaded("minimal", only("count_syscall"), (obj) => {
      const program = obj.program("count_syscall");
      expect(() => program.attachTracepoint("raw_syscalls", "sys_entr")).toThrow("did you mean sys_enter");
      expect(() => program.attachTracepoint("raw_syscall", "sys_enter")).toThrow("did you mean raw_syscalls");
    });
  });
});

kernelDescribe("an interface that is gone", { needs: ["netns", "array_mmap"] }, () => {
  for (const [what, program, needs, attach] of [
    ["XDP", "on_receive", ["xdp_link"], (obj: BpfObject) => obj.program("on_receive").attachXdp(4711)],
    ["tcx", "on_ingress", ["tcx"], (obj: BpfObject) => obj.program("on_ingress").attachTcx(4711)],
    ["tc", "on_egress", ["tc"], (obj: BpfObject) => obj.program("on_egress").attachTc(4711)],
  ] as const) {
    kernelIt(`is told: ${what}`, { needs }, async () => {
      await withLoaded("hooks", pick(program), (obj) =>
        withLoopback(() => {
          expect(() => attach(obj)).toThrow(
            new RegExp(`program ${program}: cannot attach to ${what}.* of interface 4711.*the interface is gone`, "s"),
          );
        }),
      );
    });
  }
});

kernelDescribe("a place that is taken", { needs: ["netns", "array_mmap"] }, () => {
  kernelIt("is told: sockets of a map", { needs: ["sockmap"] }, async () => {
    await withLoaded("hooks", pick("on_stream"), async (obj) => {
      await withLoaded("hooks", pick("on_stream"), (other) => {
        using _link = obj.program("on_stream").attachSockmap(obj.map("sockets"));
        const attach = () => other.program("on_stream").attachSockmap(obj.map("sockets")).close();
        // Without links (Linux 6.10) the last one wins.
        if (olderThan("6.10")) attach();
        else expect(attach).toThrow("another program of this kind is attached to the map");
      });
    });
  });

  kernelIt("is told: flow dissectors", { needs: [] }, async () => {
    await withLoaded("hooks", pick("dissect"), (obj) =>
      withLoopback(() => {
        using _link = obj.program("dissect").attachNetns();
        expect(() => obj.program("dissect").attachNetns()).toThrow(/EEXIST|E2BIG|as many programs|another program/);
      }),
    );
  });

  kernelIt("is told: a control group above keeps the place for itself", { needs: ["cgroup_link"] }, async () => {
    await withLoaded("hooks", pick("on_connect", "on_connect_too"), (obj) =>
      withCgroup((group, below) => {
        const [program, attachType] = [obj.program("on_connect").descriptor, 10];
        const target = openSync(group, "r");
        try {
          progAttach({ program, target, attachType });
          expect(() => obj.program("on_connect_too").attachCgroup(below)).toThrow(
            /cannot attach to cgroup_inet4_connect of control group .*EPERM.*a program of a group above forbids/s,
          );
          progDetach({ program, target, attachType });
          obj.program("on_connect_too").attachCgroup(below).close();
        } finally {
          closeSync(target);
        }
      }),
    );
  });
});

/** Loads as root, then gives up all capabilities of the thread (capset), and tells what attaching says. */
function withoutCapabilities(fixture: string, program: string, attach: string): string {
  const { output } = runModule(`
    import { BpfObject } from "./src/index.ts";
    import { ffi } from "./src/syscall/ffi.ts";
    const obj = BpfObject.open(${JSON.stringify(fixturePath(fixture))});
    for (const program of obj.programs) program.autoload = program.name === ${JSON.stringify(program)};
    if (obj.findMap("sockets")) obj.map("sockets").autocreate = false;
    obj.loadSync();
    const program = obj.program(${JSON.stringify(program)});
    const calls = ffi();
    const head = new Uint8Array(Uint32Array.of(0x20080522, 0).buffer);
    const none = new Uint8Array(24);
    const CAPSET = process.arch === "arm64" ? 91 : 126;
    if (calls.syscall(CAPSET, calls.address(head), calls.address(none)) !== 0) throw new Error("capset failed");
    try {
      ${attach};
      console.log("attached");
    } catch (error) {
      console.log(error.name, error.code, error.message);
    }
    process.exit(0);
  `);
  return output;
}

kernelDescribe("a right that is missing", { needs: ["bpf", "array_mmap"] }, () => {
  const timeout = 120_000;

  kernelIt("is named: perf events", { needs: ["perf_event"], timeout }, () => {
    const attach = 'program.attachPerfEvent({ event: "cpu-clock", frequency: 10 })';
    expect(withoutCapabilities("hooks", "on_sample", attach)).toMatch(
      /^SystemCallError ATTACH .*program on_sample: cannot attach to perf event cpu-clock.*EACCES.*lacks CAP_PERFMON/,
    );
  });

  kernelIt("is named: uprobes", { needs: ["uprobe"], timeout }, () => {
    const attach = 'program.attachUprobe({ binary: "libc.so.6", symbol: "getppid" })';
    expect(withoutCapabilities("uprobes", "on_entry", attach)).toMatch(
      /^SystemCallError ATTACH .*uprobe libc\.so\.6:getppid.*(EACCES|EPERM).*lacks CAP_PERFMON/,
    );
  });

  kernelIt("is named: tracepoints", { needs: ["tracepoint"], timeout }, () => {
    // Tracefs is mounted, and the event is refused, or it cannot be mounted.
    expect(withoutCapabilities("minimal", "count_syscall", "program.attach()")).toMatch(
      /cannot attach to tracepoint .*lacks CAP_PERFMON|tracefs is not mounted .*lacks CAP_SYS_ADMIN/,
    );
  });

  kernelIt("is named: classifiers by netlink", { needs: ["tc"], timeout }, () => {
    expect(withoutCapabilities("hooks", "on_egress", 'program.attachTc("lo")')).toMatch(
      /^SystemCallError ATTACH .*tc egress of interface lo.*EPERM.*lacks CAP_NET_ADMIN; run it as root/,
    );
  });
});

// Only where there is something to refuse.
const lacks = (feature: FeatureName): boolean => missingOf([feature]).length > 0;

kernelDescribe("a kernel that is too old", { needs: ["netns", "cgroup_link", "array_mmap"] }, () => {
  if (lacks("tcx")) {
    kernelIt("is told: tcx", { needs: [] }, async () => {
      await withLoaded("hooks", pick("on_ingress"), (obj) =>
        withLoopback(() => {
          const attach = () => obj.program("on_ingress").attachTcx("lo");
          expect(attach).toThrow(UnsupportedError);
          expect(attach).toThrow(/program on_ingress: cannot attach to tcx of interface lo.*it takes Linux 6\.6/s);
        }),
      );
    });
  }

  if (lacks("cgroup_anchors")) {
    kernelIt("is told: places in the list of a control group", { needs: [] }, async () => {
      await withLoaded("hooks", pick("on_connect"), (obj) =>
        withCgroup((group) => {
          const attach = () => obj.program("on_connect").attachCgroup(group, { before: "all" });
          expect(attach).toThrow(/program on_connect: cannot attach to cgroup_inet4_connect.*it takes Linux 6\.16/s);
        }),
      );
    });
  }

  it("is not blamed for what it has", async () => {
    await withLoaded("hooks", pick("on_connect"), (obj) =>
      withCgroup((group) => expect(obj.program("on_connect").attachCgroup(group).attached).toBe(true)),
    );
  });
});
