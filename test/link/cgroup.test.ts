// Hooks on control groups: they run for processes in a group of the test's own.

import { expect, it } from "vitest";
import { type BpfObject, type CgroupOptions, queryPrograms } from "../../src/index.js";
import { runInCgroup, withCgroup } from "../support/cgroup.js";
import { withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

/** Loads some programs of the fixture and runs `body` with a control group of its own. */
function withGroup(
  programs: readonly string[],
  body: (obj: BpfObject, group: string, below: string) => void,
): Promise<void> {
  const pick = (obj: BpfObject): void => {
    for (const program of obj.programs) program.autoload = programs.includes(program.name);
    obj.map("sockets").autocreate = false;
  };
  return withLoaded("hooks", pick, (obj) => withCgroup((group, below) => body(obj, group, below)));
}

/** How much a counter grows while a command runs in a group. */
function growth(obj: BpfObject, counter: string, group: string, command: string): bigint {
  const before = obj.bss[counter] as bigint;
  runInCgroup(group, command);
  return (obj.bss[counter] as bigint) - before;
}

// Nobody listens at this port of the loopback device; asking is enough.
const CONNECT = "(exec 3<>/dev/tcp/127.0.0.1/9) 2>/dev/null || true";

kernelDescribe("control group hooks", { needs: ["cgroup_link", "array_mmap"] }, () => {
  it("run for the group and those below it, until they are detached", async () => {
    await withGroup(["on_cgroup_egress", "on_connect", "on_device", "on_socket"], (obj, group, below) => {
      const names = ["on_cgroup_egress", "on_connect", "on_device", "on_socket"];
      const links = names.map((name) => obj.program(name).attachCgroup(group));
      expect(growth(obj, "cgroup_connect_runs", group, CONNECT)).toBe(1n);
      expect(growth(obj, "cgroup_connect_runs", below, CONNECT)).toBe(1n);
      expect(growth(obj, "cgroup_egress_runs", group, CONNECT)).toBeGreaterThanOrEqual(1n);
      expect(growth(obj, "cgroup_socket_runs", group, CONNECT)).toBe(1n);
      expect(growth(obj, "cgroup_device_runs", group, "cat /dev/null")).toBeGreaterThanOrEqual(1n);
      expect(links[1]?.info()).toMatchObject({ kind: "cgroup", attachType: 10 });

      links[1]?.detach();
      expect(growth(obj, "cgroup_connect_runs", group, CONNECT)).toBe(0n);
      expect(links[1]?.info()).toMatchObject({ kind: "cgroup", cgroupId: 0n });
      for (const link of links) link.close();
      expect(growth(obj, "cgroup_egress_runs", group, CONNECT)).toBe(0n);
    });
  });

  it("stand beside each other, and can be replaced", async () => {
    await withGroup(["on_connect", "on_connect_too"], (obj, group) => {
      const orderOf = (): unknown => {
        obj.bss.order = 0n;
        runInCgroup(group, CONNECT);
        return obj.bss.order;
      };
      const first = obj.program("on_connect").attachCgroup(group);
      const second = obj.program("on_connect_too").attachCgroup(group);
      expect(orderOf()).toBe(12n);
      first.close();
      expect(orderOf()).toBe(2n);
      second.update(obj.program("on_connect"));
      expect(orderOf()).toBe(1n);
    });
  });

  kernelIt("go before others by anchors", { needs: ["cgroup_anchors"] }, async () => {
    await withGroup(["on_connect", "on_connect_too"], (obj, group, below) => {
      const orderOf = (where: string): unknown => {
        obj.bss.order = 0n;
        runInCgroup(where, CONNECT);
        return obj.bss.order;
      };
      const first = obj.program("on_connect").attachCgroup(group);
      const second = obj.program("on_connect_too").attachCgroup(group, { before: first });
      expect(orderOf(group)).toBe(21n);
      second.close();
      obj.program("on_connect_too").attachCgroup(below);
      // The programs of the group itself run before those above it, unless they say otherwise.
      expect(orderOf(below)).toBe(21n);
      first.close();
      obj.program("on_connect").attachCgroup(group, { preorder: true });
      expect(orderOf(below)).toBe(12n);
    });
  });

  kernelIt("take links and their ids as anchors, and the list's revision", { needs: ["cgroup_anchors"] }, async () => {
    await withGroup(["on_connect", "on_connect_too"], (obj, group) => {
      const first = obj.program("on_connect").attachCgroup(group);
      const orderOf = (options: CgroupOptions): unknown => {
        using _second = obj.program("on_connect_too").attachCgroup(group, options);
        obj.bss.order = 0n;
        runInCgroup(group, CONNECT);
        return obj.bss.order;
      };
      for (const anchor of ["all", first, { linkId: first.info().id }] as const) {
        expect(orderOf({ before: anchor })).toBe(21n);
        expect(orderOf({ after: anchor })).toBe(12n);
      }
      const revision = queryPrograms({ cgroup: group, hook: "cgroup_inet4_connect" }).revision!;
      expect(orderOf({ expectedRevision: revision })).toBe(12n);
      expect(() => orderOf({ expectedRevision: revision })).toThrow("has changed since its revision was read");
      expect(() => orderOf({ before: first, after: first })).toThrow("not both");
      for (const anchor of [obj.program("on_connect"), { programId: first.info().progId }]) {
        expect(() => orderOf({ before: anchor })).toThrow("links of control groups are placed beside links");
      }
      expect(() => orderOf({ before: { linkId: 0x7fff_ffff } })).toThrow("cannot attach");
    });
  });

  it("say what is wrong with the group", async () => {
    await withGroup(["on_connect"], (obj, group) => {
      const program = obj.program("on_connect");
      expect(() => program.attachCgroup(`${group}/none`)).toThrow("cannot be opened: ENOENT");
      expect(() => program.attachCgroup("/tmp")).toThrow("it is no control group of version 2");
    });
  });
});
