// Section names of the user's own: setup at open, prepare before load, attach.

import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { ArgumentError, BpfObject, type SectionHandler } from "../../src/index.js";
import { readInsn, setImm } from "../../src/insn/index.js";
import { progInfo } from "../../src/syscall/index.js";
import { eventually, fixturePath, only, openDescriptors, runFilter } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

const open = (...sectionHandlers: SectionHandler[]): BpfObject =>
  BpfObject.open(fixturePath("sections"), { sectionHandlers });

describe("section handlers", () => {
  it("say what programs of sections with other names are", () => {
    for (const [section, target] of [
      ["mystery+", "thing"],
      ["mystery/", "thing"],
      ["mystery/thing", undefined],
      [undefined, "thing"],
    ] as const) {
      const handler = { type: "cgroup_skb", expectedAttachType: "cgroup_inet_egress" } as const;
      using obj = open(section === undefined ? handler : { section, ...handler });
      expect(obj.program("unknown_section"), section ?? "all others").toMatchObject({
        type: "cgroup_skb",
        expectedAttachType: "cgroup_inet_egress",
        attachTarget: target,
        sectionName: "mystery/thing",
      });
      // What bpfkit knows itself comes first.
      expect(obj.program("filter_socket").type).toBe("socket_filter");
    }
    for (const section of ["mystery", "mystery/th", "thing", "mystery/thing/", "myster+"]) {
      using obj = open({ section, type: "xdp" });
      expect(obj.program("unknown_section").type, section).toBe("unspec");
    }
  });

  it("are asked in their order, the one for all other names last", () => {
    using obj = open({ type: "xdp" }, { section: "mystery+", type: "sched_cls" }, { section: "mystery/", type: "lsm" });
    expect(obj.program("unknown_section").type).toBe("sched_cls");
  });

  it("set programs up when the object is opened, and may refuse", () => {
    const seen: string[] = [];
    using obj = open({
      type: "unspec",
      setup: (program) => {
        seen.push(program.name);
        program.type = "socket_filter";
        program.autoload = false;
      },
    });
    expect(seen).toEqual(["unknown_section"]);
    expect(obj.program("unknown_section")).toMatchObject({ type: "socket_filter", autoload: false });
    const reason = new Error("not that one");
    expect(() =>
      open({
        section: "mystery+",
        type: "xdp",
        setup: () => {
          throw reason;
        },
      }),
    ).toThrow(reason);
  });

  it("are dropped with the type, except the one for all other names", () => {
    const attach = () => undefined;
    for (const section of [undefined, "mystery+"]) {
      using obj = open({ ...(section === undefined ? {} : { section }), type: "xdp", attach });
      const program = obj.program("unknown_section");
      expect(program.definition).toBeDefined();
      program.type = "socket_filter";
      expect(program.definition === undefined).toBe(section !== undefined);
    }
  });

  it("are checked", () => {
    const handler = { section: "x", type: "xdp" } as const;
    for (const [wrong, message] of [
      [{ ...handler, section: "" }, /a section is "name"/],
      [{ ...handler, section: "?x" }, /a section is "name"/],
      [{ ...handler, section: 5 }, /section must be a string/],
      [{ ...handler, type: "xpd" }, /section x: no program type "xpd"/],
      [{ section: "x" }, /program type/],
      [{ ...handler, attach: true }, /attach must be a function/],
      [{ ...handler, atach: () => {} }, /no property atach/],
      [undefined, /no program type undefined/],
    ] as const) {
      const act = () => open(wrong as unknown as SectionHandler);
      expect(act, String(message)).toThrow(ArgumentError);
      expect(act).toThrow(message);
    }
    expect(() => open({ type: "xdp" }, { type: "xdp" })).toThrow(/only one of sectionHandlers/);
    expect(() =>
      BpfObject.open(fixturePath("sections"), { sectionHandlers: handler as unknown as SectionHandler[] }),
    ).toThrow(/must be an array/);
  });
});

kernelDescribe("section handlers at load", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("may change settings and instructions before each load, clones included", () => {
    let answer = 11;
    using obj = open({
      section: "mystery+",
      type: "socket_filter",
      prepare: (program) => {
        const { insns } = program;
        // The program is `r0 = 0; exit`.
        expect(readInsn(insns, 0)).toMatchObject({ imm: 0 });
        setImm(insns, 0, answer++);
        program.insns = insns;
      },
    });
    only("unknown_section", "filter_socket")(obj);
    obj.prepare();
    const program = obj.program("unknown_section");
    using clone = program.cloneSync();
    obj.loadSync();
    expect(runFilter(obj, "unknown_section")).toBe(12);
    expect(readInsn(clone.insns, 0).imm).toBe(11);
    expect(runFilter(obj, "filter_socket")).toBe(50);
  });

  it("fail the load by what they throw", () => {
    const before = openDescriptors();
    const reason = new Error("not today");
    using obj = open({
      section: "mystery+",
      type: "socket_filter",
      prepare: () => {
        throw reason;
      },
    });
    only("filter_socket", "unknown_section")(obj);
    expect(() => obj.loadSync()).toThrow(reason);
    expect(openDescriptors()).toBe(before);
  });
});

kernelDescribe("section handlers that attach", { needs: ["raw_tracepoint", "array_mmap"] }, () => {
  it("make the links of their programs", async () => {
    const handler: SectionHandler = {
      section: "mystery+",
      type: "raw_tracepoint",
      attach: (program) => program.attachRawTracepoint("sched_process_exec"),
    };
    using obj = open(handler);
    only("unknown_section")(obj);
    obj.loadSync();
    const [link, ...more] = obj.attach();
    expect(more).toEqual([]);
    const program = obj.program("unknown_section");
    expect(program.links).toEqual([link]);
    using _stats = (await import("../../src/syscall/index.js")).enableStats();
    execFileSync("/bin/true");
    expect(await eventually(() => progInfo(program.fd).runCount > 0n)).toBe(true);
    obj.detach();
    expect(link!.attached).toBe(false);
    expect(program.attach().attached).toBe(true);
  });

  it("may have nothing to attach to, but not attach something else than a link", () => {
    for (const [attach, message] of [
      [() => undefined, /does not say what to attach to/],
      [() => 5, /must return a BpfLink or undefined/],
      [undefined, /does not say what to attach to/],
    ] as const) {
      using obj = open({ section: "mystery+", type: "raw_tracepoint", ...(attach && { attach }) } as SectionHandler);
      only("unknown_section")(obj);
      obj.loadSync();
      if (attach?.() === undefined) expect(obj.attach()).toEqual([]);
      expect(() => obj.program("unknown_section").attach()).toThrow(message);
    }
  });
});
