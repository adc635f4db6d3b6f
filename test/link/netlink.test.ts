// Attachments by netlink: the program runs for traffic of a namespace of the test's own, and no more once it is detached.

import { expect } from "vitest";
import { type BpfObject, NotFoundError, tc, xdp } from "../../src/index.js";
import { olderThan } from "../../src/kernel/index.js";
import { xdpLinkByNetlink } from "../../src/link/xdp.js";
import { progInfo } from "../../src/syscall/index.js";
import { openDescriptors, withLoaded } from "../support/fixtures.js";
import { type Loopback, withLoopback } from "../support/loopback.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

/** Loads some programs of the fixture and runs `body` in a network of its own. */
function withHooks(programs: readonly string[], body: (obj: BpfObject, network: Loopback) => void): Promise<void> {
  const pick = (obj: BpfObject): void => {
    for (const program of obj.programs) program.autoload = programs.includes(program.name);
    obj.map("sockets").autocreate = false;
  };
  return withLoaded("hooks", pick, (obj) => withLoopback((network) => body(obj, network)));
}

/** Sockets that a datagram needs; they are open until the namespace is left. */
const SOCKETS = 2;

/** How much a counter grows while one datagram is sent. */
function growth(obj: BpfObject, counter: string, network: Loopback): bigint {
  const before = obj.bss[counter] as bigint;
  network.sendDatagram();
  return (obj.bss[counter] as bigint) - before;
}

kernelDescribe("tc by netlink", { needs: ["netns", "array_mmap", "tc"] }, () => {
  kernelIt("a link: runs, is found, and takes filter and hook away", { needs: [] }, async () => {
    await withHooks(["classify"], (obj, network) => {
      const program = obj.program("classify");
      const before = openDescriptors();
      const link = program.attachTc("lo", { direction: "egress" });
      expect(growth(obj, "ingress_runs", network)).toBe(1n);
      expect(link).toMatchObject({ kind: "tc", target: "tc egress of interface lo", program: "classify" });
      expect(tc.list("lo", { direction: "egress" })).toEqual([link.filter]);
      expect(link.filter).toMatchObject({
        programId: progInfo(program.fd).id,
        directAction: true,
        parent: 0xffff_fff3,
      });
      expect(link.filter.name).toBe(`classify:[${link.filter.programId}]`);
      expect(() => link.info()).toThrow("the kernel has no link for it");
      expect(tc.createHook("lo")).toBe(false);

      link.close();
      expect(growth(obj, "ingress_runs", network)).toBe(0n);
      expect(openDescriptors()).toBe(before + 2 * SOCKETS);
      // The hook went with it.
      expect(tc.destroyHook("lo")).toBe(false);
    });
  });

  kernelIt("links share a hook, which goes with the last one, unless it was there", { needs: [] }, async () => {
    await withHooks(["classify"], (obj, network) => {
      const program = obj.program("classify");
      const one = program.attachTc("lo", { direction: "ingress" });
      const two = program.attachTc(1, { direction: "ingress", priority: 7, handle: 3 });
      expect(two.filter).toMatchObject({ priority: 7, handle: 3 });
      expect(growth(obj, "ingress_runs", network)).toBe(1n); // TC_ACT_OK of the first one ends the chain
      one.close();
      expect(growth(obj, "ingress_runs", network)).toBe(1n);
      two.close();
      expect(growth(obj, "ingress_runs", network)).toBe(0n);
      expect(tc.destroyHook("lo")).toBe(false);

      expect(tc.createHook("lo")).toBe(true);
      program.attachTc("lo", { direction: "ingress" }).close();
      expect(tc.destroyHook("lo")).toBe(true);
    });
  });

  kernelIt("closing a link leaves what took its place, and the hook with it", { needs: [] }, async () => {
    await withHooks(["classify", "on_egress"], (obj, network) => {
      const link = obj.program("classify").attachTc("lo", { direction: "ingress", handle: 1, priority: 1 });
      const place = { direction: "ingress", handle: 1, priority: 1 } as const;
      expect(() => tc.attach(obj.program("on_egress"), "lo", place)).toThrow(/EEXIST.*replace: true/s);
      const other = tc.attach(obj.program("on_egress"), "lo", { ...place, replace: true });
      expect(growth(obj, "egress_runs", network)).toBe(1n);
      link.close();
      expect(growth(obj, "egress_runs", network)).toBe(1n);
      expect(growth(obj, "ingress_runs", network)).toBe(0n);
      expect(tc.query("lo", place)).toEqual(other);
      expect(tc.detach("lo", place)).toBe(true);
      expect(tc.detach("lo", place)).toBe(false);
      expect(growth(obj, "egress_runs", network)).toBe(0n);
      expect(tc.destroyHook("lo")).toBe(true);
    });
  });

  kernelIt("a link is closed in its own namespace, wherever the thread is", { needs: [] }, async () => {
    await withHooks(["classify"], (obj, network) => {
      const link = obj.program("classify").attachTc("lo", { direction: "ingress" });
      withLoopback(() => {
        expect(tc.createHook("lo")).toBe(true);
        link.close();
        expect(tc.createHook("lo")).toBe(false);
      });
      expect(growth(obj, "ingress_runs", network)).toBe(0n);
      expect(tc.destroyHook("lo")).toBe(false);
    });
  });

  kernelIt("hooks and filters by hand", { needs: [] }, async () => {
    await withHooks(["classify", "on_egress"], (obj, network) => {
      expect(tc.list("lo", { direction: "ingress" })).toEqual([]);
      expect(tc.query("lo", { direction: "ingress", handle: 1, priority: 1 })).toBeUndefined();
      expect(() => tc.attach(obj.program("classify"), "lo", { direction: "ingress" })).toThrow(
        /program classify: cannot attach to tc ingress of interface lo: RTM_NEWTFILTER failed: \w+, Parent Qdisc/,
      );
      tc.createHook("lo");
      const first = tc.attach(obj.program("on_egress"), "lo", { direction: "ingress", priority: 9 });
      const second = tc.attach(obj.program("classify").fd, "lo", { parent: 0xffff_fff2, priority: 8 });
      expect(tc.list("lo", { direction: "ingress" })).toEqual([second, first]);
      expect(tc.list("lo", { direction: "egress" })).toEqual([]);
      expect(growth(obj, "ingress_runs", network)).toBe(1n);
      expect(tc.destroyHook("lo", { direction: "ingress" })).toBe(true);
      expect(growth(obj, "ingress_runs", network)).toBe(0n);
      expect(tc.createHook("lo")).toBe(false);
      expect(tc.destroyHook("lo")).toBe(true);
      expect(tc.destroyHook("lo")).toBe(false);
    });
  });

  kernelIt("wrong arguments", { needs: [] }, async () => {
    await withHooks(["classify"], (obj) => {
      const program = obj.program("classify");
      expect(() => program.attachTc("lo")).toThrow("section tc does not say where to attach");
      expect(() => program.attachTc("nosuch0", { direction: "ingress" })).toThrow(NotFoundError);
      expect(() => program.attachTc("lo", { direction: "ingress", priority: 65536 })).toThrow("from 0 to 65535");
      expect(() => program.attachTc("lo", { direction: "ingress", replace: true })).toThrow("replace needs the handle");
      expect(() => tc.list("lo", {})).toThrow("a place is either direction");
      expect(() => tc.list("lo", { direction: "up" as "ingress" })).toThrow("a place is either direction");
      expect(() => tc.query("lo", { direction: "ingress", handle: 0, priority: 1 })).toThrow("handle must be");
      expect(() => tc.createHook(4711)).toThrow("ENODEV");
      expect(tc.destroyHook("lo")).toBe(false);
    });
  });
});

kernelDescribe("XDP by netlink", { needs: ["netns", "array_mmap", "xdp_link"] }, () => {
  kernelIt("attach, query, replace, detach", { needs: [] }, async () => {
    await withHooks(["on_receive", "on_receive_too"], (obj, network) => {
      const [one, two] = [obj.program("on_receive"), obj.program("on_receive_too")];
      expect(xdp.query("lo")).toMatchObject({ mode: undefined, programIds: {} });
      expect(xdp.queryId("lo")).toBeUndefined();
      if (!olderThan("6.3")) expect(xdp.query("lo").features).toEqual([]); // the loopback device has no XDP of its own
      xdp.attach(one, "lo", { mode: "generic", ifNoExist: true });
      expect(growth(obj, "xdp_runs", network)).toBe(1n);
      const id = progInfo(one.fd).id;
      expect(xdp.query(1)).toMatchObject({ mode: "generic", programIds: { generic: id } });
      expect(xdp.queryId("lo")).toBe(id);
      expect(xdp.queryId("lo", "driver")).toBeUndefined();

      expect(() => xdp.attach(two, "lo", { mode: "generic", ifNoExist: true })).toThrow(/EBUSY.*another XDP program/s);
      expect(() => xdp.attach(two, "lo", { mode: "generic", replace: two })).toThrow("EEXIST");
      xdp.attach(two, "lo", { mode: "generic", replace: one });
      expect(growth(obj, "xdp_runs", network)).toBe(1000n);

      expect(() => xdp.detach("lo", { mode: "generic", expected: one })).toThrow("EEXIST");
      xdp.detach("lo", { mode: "generic", expected: two.fd });
      expect(growth(obj, "xdp_runs", network)).toBe(0n);
      xdp.detach("lo");
      expect(xdp.queryId("lo")).toBeUndefined();

      expect(() => xdp.attach(one, "lo", { mode: "driver" })).toThrow('mode "generic" works with every interface');
      expect(() => xdp.attach(one, "lo", { mode: "fast" as "generic" })).toThrow("no XDP mode fast");
      expect(() => xdp.attach(one, "lo", { ifNoExist: true, replace: two })).toThrow("exclude each other");
      expect(() => xdp.query("nosuch0")).toThrow(NotFoundError);
      expect(() => xdp.query(4711)).toThrow("ENODEV");
    });
  });

  kernelIt("what attaching falls back to where there are no links", { needs: [] }, async () => {
    await withHooks(["on_receive", "on_receive_too"], (obj, network) => {
      const before = openDescriptors();
      const link = xdpLinkByNetlink(obj.program("on_receive"), "lo", "generic");
      expect(growth(obj, "xdp_runs", network)).toBe(1n);
      expect(() => xdpLinkByNetlink(obj.program("on_receive_too"), "lo", "generic")).toThrow("another XDP program");
      link.close();
      expect(growth(obj, "xdp_runs", network)).toBe(0n);
      expect(openDescriptors()).toBe(before + 2 * SOCKETS);

      const replaced = xdpLinkByNetlink(obj.program("on_receive"), "lo", "generic");
      xdp.attach(obj.program("on_receive_too"), "lo", { mode: "generic" });
      replaced.close();
      expect(growth(obj, "xdp_runs", network)).toBe(1000n);
    });
  });

  kernelIt("a link's program is seen, and not detached", { needs: [] }, async () => {
    await withHooks(["on_receive"], (obj, network) => {
      const link = obj.program("on_receive").attachXdp("lo", { mode: "generic" });
      expect(xdp.query("lo")).toMatchObject({ mode: "generic", programIds: { generic: link.info().progId } });
      expect(() => xdp.detach("lo", { mode: "generic" })).toThrow("EBUSY");
      expect(growth(obj, "xdp_runs", network)).toBe(1n);
      link.close();
      expect(xdp.queryId("lo")).toBeUndefined();
    });
  });
});
