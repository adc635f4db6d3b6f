// Who is attached somewhere: what a test attached is found there, by the hook's own means, and no more once it is gone.

import { expect } from "vitest";
import { ArgumentError, type BpfObject, NotFoundError, queryPrograms, UnsupportedError } from "../../src/index.js";
import { withCgroup } from "../support/cgroup.js";
import { withLoaded } from "../support/fixtures.js";
import { withLoopback } from "../support/loopback.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";
import { PEER, PRIMARY, withNetkit } from "../support/netkit.js";

function withPrograms(programs: readonly string[], body: (obj: BpfObject) => void | Promise<void>): Promise<void> {
  const pick = (obj: BpfObject): void => {
    for (const program of obj.programs) program.autoload = programs.includes(program.name);
    obj.map("sockets").autocreate = programs.includes("on_message");
  };
  return withLoaded("hooks", pick, body);
}

const idOf = (obj: BpfObject, program: string): number => obj.program(program).info().id;

kernelDescribe("queryPrograms", { needs: ["array_mmap", "netns"] }, () => {
  kernelIt("an interface: tcx in order, with links and revision", { needs: ["tcx"] }, async () => {
    await withPrograms(["on_ingress", "on_ingress_too"], (obj) =>
      withLoopback(() => {
        const ask = () => queryPrograms({ network: "lo", hook: "tcx_ingress" });
        expect(ask().programs).toEqual([]);
        const first = obj.program("on_ingress").attachTcx("lo");
        const revision = ask().revision!;
        const second = obj.program("on_ingress_too").attachTcx("lo", { before: first, expectedRevision: revision });
        expect(ask().revision).toBe(revision + 1n);
        expect(ask().programs).toMatchObject([
          { id: idOf(obj, "on_ingress_too"), name: "on_ingress_too", linkId: second.info().id },
          { id: idOf(obj, "on_ingress"), name: "on_ingress", linkId: first.info().id },
        ]);
        expect(queryPrograms({ network: 1, hook: "tcx_egress" }).programs).toEqual([]);
        first.close();
        second.close();
        expect(ask().programs).toEqual([]);
      }),
    );
  });

  kernelIt("a pair of netkit devices, asked through the primary one", { needs: ["netkit"] }, async () => {
    await withPrograms(["on_primary", "on_peer"], (obj) =>
      withNetkit(() => {
        const ask = (hook: "netkit_primary" | "netkit_peer") => queryPrograms({ network: PRIMARY, hook });
        expect(ask("netkit_primary").programs).toEqual([]);
        const link = obj.program("on_primary").attachNetkit(PRIMARY);
        const { programs } = ask("netkit_primary");
        expect(programs).toMatchObject([{ id: idOf(obj, "on_primary"), name: "on_primary", linkId: link.info().id }]);
        expect(ask("netkit_peer").programs).toEqual([]);
        link.close();
        expect(ask("netkit_primary").programs).toEqual([]);
        expect(() => queryPrograms({ network: PEER, hook: "netkit_peer" })).toThrow(/EACCES/);
      }),
    );
  });

  kernelIt("an interface: XDP", { needs: ["xdp_link"] }, async () => {
    await withPrograms(["on_receive"], (obj) =>
      withLoopback(() => {
        using _link = obj.program("on_receive").attachXdp("lo", { mode: "generic" });
        expect(queryPrograms({ network: "lo", hook: "xdp" }).programs).toMatchObject([
          { id: idOf(obj, "on_receive"), name: "on_receive", linkId: undefined },
        ]);
      }),
    );
  });

  kernelIt("a control group: its own programs, and those in effect below", { needs: ["cgroup_link"] }, async () => {
    await withPrograms(["on_connect", "on_connect_too"], (obj) =>
      withCgroup((group, below) => {
        const hook = "cgroup_inet4_connect";
        obj.program("on_connect").attachCgroup(group);
        obj.program("on_connect_too").attachCgroup(below);
        const namesOf = (cgroup: string, effective: boolean) =>
          queryPrograms({ cgroup, hook, effective }).programs.map(({ name }) => name);
        expect(namesOf(group, false)).toEqual(["on_connect"]);
        expect(namesOf(below, false)).toEqual(["on_connect_too"]);
        expect(namesOf(below, true)).toEqual(["on_connect_too", "on_connect"]);
        obj.detach();
        expect(namesOf(below, true)).not.toContain("on_connect");
      }),
    );
  });

  kernelIt("a network namespace", { needs: ["sk_lookup"] }, async () => {
    await withPrograms(["on_lookup"], (obj) =>
      withLoopback(() => {
        const ask = () => queryPrograms({ netns: "/proc/thread-self/ns/net", hook: "sk_lookup" }).programs;
        expect(ask()).toEqual([]);
        using _link = obj.program("on_lookup").attachNetns();
        expect(ask()).toMatchObject([{ id: idOf(obj, "on_lookup"), name: "on_lookup" }]);
      }),
    );
  });

  kernelIt("a network namespace: the flow dissector", { needs: ["netns"] }, async () => {
    await withPrograms(["dissect"], (obj) =>
      withLoopback(() => {
        const ask = () => queryPrograms({ netns: "/proc/thread-self/ns/net", hook: "flow_dissector" }).programs;
        expect(ask()).toEqual([]);
        const link = obj.program("dissect").attachNetns();
        expect(ask()).toMatchObject([{ id: idOf(obj, "dissect"), name: "dissect" }]);
        link.close();
        expect(ask()).toEqual([]);
      }),
    );
  });

  kernelIt("what cannot be asked", { needs: ["tcx"] }, () => {
    withLoopback(() => {
      expect(() => queryPrograms({ hook: "tcx_ingress" })).toThrow(ArgumentError);
      expect(() => queryPrograms({ network: "lo", netns: "/x", hook: "tcx_ingress" })).toThrow("name one place");
      expect(() => queryPrograms({ network: "lo", hook: "tcx_ingres" as "xdp" })).toThrow("tcx_ingress");
      expect(() => queryPrograms({ network: "nosuch0", hook: "tcx_ingress" })).toThrow(NotFoundError);
      expect(() => queryPrograms({ network: 4711, hook: "tcx_ingress" })).toThrow(/cannot ask for.*ENODEV.*interface/s);
      expect(() => queryPrograms({ network: "lo", hook: "sk_lookup" })).toThrow(UnsupportedError);
      expect(() => queryPrograms({ cgroup: "/sys/fs/cgroup/nosuch", hook: "cgroup_device" })).toThrow(NotFoundError);
    });
  });
});
