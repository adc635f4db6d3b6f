// Hooks on network interfaces, network namespaces and sockets: the program runs for traffic of a namespace of the test's
// own, and no more when its link is closed.

import { openSync } from "node:fs";
import { expect, it } from "vitest";
import { type BpfLink, type BpfObject, type NetkitOptions, NotFoundError, type TcxOptions } from "../../src/index.js";
import { call, struct } from "../support/features/calls.js";
import { withLoaded } from "../support/fixtures.js";
import { type Loopback, withLoopback } from "../support/loopback.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";
import { PEER, PRIMARY, withNetkit } from "../support/netkit.js";

/** Loads some programs of the fixture and runs `body` in a network of its own. */
function withHooks(programs: readonly string[], body: (obj: BpfObject, network: Loopback) => void): Promise<void> {
  const pick = (obj: BpfObject): void => {
    for (const program of obj.programs) program.autoload = programs.includes(program.name);
    obj.map("sockets").autocreate = programs.some((name) => name === "on_stream" || name === "on_message");
  };
  return withLoaded("hooks", pick, (obj) => withLoopback((network) => body(obj, network)));
}

/** How much a counter grows while `body` runs. */
function growth(obj: BpfObject, counter: string, body: () => void): bigint {
  const before = obj.bss[counter] as bigint;
  body();
  return (obj.bss[counter] as bigint) - before;
}

/** Which program of two runs first, the one that `attach` attaches or the one that is there: 21 or 12. */
function orderWith(obj: BpfObject, attach: () => BpfLink, send: () => void): unknown {
  const second = attach();
  obj.bss.order = 0n;
  send();
  second.close();
  return obj.bss.order;
}

kernelDescribe("network hooks", { needs: ["netns", "array_mmap"] }, () => {
  kernelIt("xdp: by name and index, update, detach", { needs: ["xdp_link"] }, async () => {
    await withHooks(["on_receive", "on_receive_too"], (obj, network) => {
      const send = (): void => network.sendDatagram();
      const link = obj.program("on_receive").attachXdp("lo", { mode: "generic" });
      expect(link.info()).toMatchObject({ kind: "xdp", ifindex: 1 });
      expect(growth(obj, "xdp_runs", send)).toBe(1n);

      expect(() => obj.program("on_receive_too").attachXdp(1, { mode: "generic" })).toThrow("another XDP program");
      link.update(obj.program("on_receive_too"), { old: obj.program("on_receive") });
      expect(growth(obj, "xdp_runs", send)).toBe(1000n);
      expect(() => link.update(obj.program("on_receive"), { old: obj.program("on_receive") })).toThrow(
        "another program than the one to replace",
      );

      link.detach();
      expect(growth(obj, "xdp_runs", send)).toBe(0n);
      expect(link.info()).toMatchObject({ kind: "xdp", ifindex: 0 });
      link.close();
    });
  });

  kernelIt("xdp: errors name the interface and what to do", { needs: ["xdp_link"] }, async () => {
    await withHooks(["on_receive"], (obj) => {
      const program = obj.program("on_receive");
      expect(() => program.attachXdp("nosuch0")).toThrow(NotFoundError);
      expect(() => program.attachXdp("nosuch0")).toThrow("no network interface nosuch0");
      expect(() => program.attachXdp(4711)).toThrow("XDP of interface 4711");
      expect(() => program.attachXdp(-1)).toThrow("not the index of a network interface: -1");
      expect(() => program.attachXdp("lo", { mode: "fast" as "generic" })).toThrow("no XDP mode fast");
      expect(() => program.attachXdp("lo", { mode: "hardware" })).toThrow("generic");
    });
  });

  kernelIt("tcx: both directions, and order by anchors", { needs: ["tcx"] }, async () => {
    await withHooks(["on_ingress", "on_ingress_too", "on_egress", "classify"], (obj, network) => {
      const send = (): void => network.sendDatagram();
      const first = obj.program("on_ingress").attachTcx("lo");
      const out = obj.program("on_egress").attachTcx("lo");
      expect(growth(obj, "ingress_runs", send)).toBe(1n);
      expect(growth(obj, "egress_runs", send)).toBe(1n);
      out.close();
      expect(growth(obj, "egress_runs", send)).toBe(0n);

      const orderOf = (options: TcxOptions): unknown =>
        orderWith(obj, () => obj.program("on_ingress_too").attachTcx("lo", options), send);
      expect(orderOf({})).toBe(12n);
      expect(orderOf({ before: "all" })).toBe(21n);
      expect(orderOf({ before: first })).toBe(21n);
      expect(orderOf({ after: first })).toBe(12n);
      expect(orderOf({ before: obj.program("on_ingress") })).toBe(21n);
      expect(orderOf({ before: { linkId: first.info().id } })).toBe(21n);
      expect(orderOf({ before: { programId: first.info().progId } })).toBe(21n);
      expect(() => orderOf({ before: first, after: first })).toThrow("not both");
      expect(() => orderOf({ expectedRevision: 1n })).toThrow("has changed since its revision");

      expect(() => obj.program("classify").attachTcx("lo")).toThrow("section tc does not say where to attach");
      const by = obj.program("classify").attachTcx("lo", { direction: "ingress", before: "all" });
      expect(growth(obj, "ingress_runs", send)).toBe(1n);
      by.close();
      first.close();
      expect(growth(obj, "ingress_runs", send)).toBe(0n);
    });
  });

  kernelIt("netkit: both devices of a pair, and order by anchors", { needs: ["netkit"] }, async () => {
    const names = ["on_primary", "on_primary_too", "on_peer"];
    const pick = (obj: BpfObject): void => {
      for (const program of obj.programs) program.autoload = names.includes(program.name);
      obj.map("sockets").autocreate = false;
    };
    await withLoaded("hooks", pick, (obj) =>
      withNetkit((network) => {
        const first = obj.program("on_primary").attachNetkit(PRIMARY);
        const peer = obj.program("on_peer").attachNetkit(PRIMARY);
        expect([first.kind, first.target]).toEqual(["netkit", `netkit of interface ${PRIMARY}`]);
        expect(first.info()).toMatchObject({ kind: "netkit", attachType: 54 });
        expect(peer.info()).toMatchObject({ kind: "netkit", attachType: 55 });
        expect(growth(obj, "primary_runs", () => network.send(PRIMARY))).toBe(1n);
        expect(obj.bss.peer_runs).toBe(0n);
        expect(growth(obj, "peer_runs", () => network.send(PEER))).toBe(1n);
        expect(obj.bss.primary_runs).toBe(1n);

        const send = (): void => network.send(PRIMARY);
        const orderOf = (options: NetkitOptions): unknown =>
          orderWith(obj, () => obj.program("on_primary_too").attachNetkit(PRIMARY, options), send);
        expect(orderOf({})).toBe(12n);
        expect(orderOf({ before: "all" })).toBe(21n);
        expect(orderOf({ before: first })).toBe(21n);
        expect(orderOf({ after: first })).toBe(12n);
        expect(orderOf({ before: obj.program("on_primary") })).toBe(21n);
        expect(orderOf({ before: { linkId: first.info().id } })).toBe(21n);
        expect(() => orderOf({ before: peer })).toThrow("is not attached here");
        expect(() => orderOf({ expectedRevision: 1n })).toThrow("has changed since its revision");
        expect(() => obj.program("on_primary_too").attachNetkit(PEER)).toThrow("through the primary device");

        // The list has the new program at once.
        first.update(obj.program("on_primary_too"));
        obj.bss.order = 0n;
        expect(growth(obj, "primary_runs", () => network.send(PRIMARY))).toBe(0n);
        expect(obj.bss.order).toBe(2n);
        first.close();
        peer.close();
        obj.bss.order = 0n;
        expect(growth(obj, "peer_runs", () => network.send(PEER))).toBe(0n);
        network.send(PRIMARY);
        expect(obj.bss.order).toBe(0n);
      }),
    );
  });

  kernelIt("netfilter: a hook of the packet filter", { needs: ["netfilter_link"] }, async () => {
    await withHooks(["on_packet"], (obj, network) => {
      const send = (): void => network.sendDatagram();
      const program = obj.program("on_packet");
      const link = program.attachNetfilter({ protocol: "ipv4", hook: "output", priority: -128 });
      expect(link.info()).toMatchObject({ kind: "netfilter", protocolFamily: 2, hook: 3, priority: -128 });
      expect(growth(obj, "netfilter_runs", send)).toBe(1n);
      expect(() => program.attachNetfilter({ protocol: "ipv4", hook: "output", priority: -128 })).toThrow(
        "another program has this priority",
      );
      link.close();
      expect(growth(obj, "netfilter_runs", send)).toBe(0n);
      expect(() => program.attachNetfilter({ protocol: "arp" as "ipv4", hook: "output", priority: 0 })).toThrow(
        "protocol is one of ipv4, ipv6",
      );
      expect(() => program.attachNetfilter({ protocol: "ipv4", hook: "output", priority: 2 ** 31 })).toThrow("32-bit");
    });
  });

  kernelIt("netfilter: IPv6, and whole packets", { needs: ["netfilter_link"] }, async () => {
    await withHooks(["on_packet"], (obj, network) => {
      const program = obj.program("on_packet");
      const [AF_INET6, DGRAM] = [10, 2];
      // A socket at ::1: nobody answers, now or later, that the port is closed.
      const receiver = network.own(call("socket", AF_INET6, DGRAM, 0));
      const to = Uint8Array.from({ length: 28 }, (_, at) => (at === 0 ? AF_INET6 : at === 23 ? 1 : 0));
      call("bind", receiver, to, to.length);
      call("getsockname", receiver, to, struct(4, [[0, "u32", to.length]]));
      const send = (): void => {
        const socket = network.own(call("socket", AF_INET6, DGRAM, 0));
        call("sendto", socket, to, 4, 0, to, to.length);
      };
      const link = program.attachNetfilter({ protocol: "ipv6", hook: "output", priority: 100 });
      expect(growth(obj, "netfilter_runs", send)).toBe(1n);
      expect(growth(obj, "netfilter_runs", () => network.sendDatagram())).toBe(0n);
      link.close();
      expect(growth(obj, "netfilter_runs", send)).toBe(0n);

      const defragmenting = { protocol: "ipv4", hook: "input", defragment: true } as const;
      expect(() => program.attachNetfilter({ ...defragmenting, priority: -400 })).toThrow("choose a higher one");
      try {
        program.attachNetfilter({ ...defragmenting, priority: 100 });
      } catch (error) {
        // Kernels without nf_defrag_ipv4.
        expect(String(error)).toMatch(/ENOENT|EAFNOSUPPORT|EOPNOTSUPP/);
        return;
      }
      expect(growth(obj, "netfilter_runs", () => network.sendDatagram())).toBe(1n);
    });
  });

  kernelIt("netns: socket lookup", { needs: ["sk_lookup"] }, async () => {
    await withHooks(["on_lookup"], (obj, network) => {
      const link = obj.program("on_lookup").attachNetns();
      expect(link.info()).toMatchObject({ kind: "netns", attachType: 36 });
      expect(growth(obj, "lookup_runs", () => network.connect())).toBe(1n);
      link.close();
      expect(growth(obj, "lookup_runs", () => network.connect())).toBe(0n);
      expect(() => obj.program("on_lookup").attachNetns("/proc/self/ns/nosuch")).toThrow("cannot be opened");
      expect(() => obj.program("on_lookup").attachNetns("/proc/self/ns/pid")).toThrow("it is no network namespace");
    });
  });

  it("netns: a flow dissector, found by its link", async () => {
    await withHooks(["dissect"], (obj) => {
      const link = obj.program("dissect").attachNetns();
      expect(link.info()).toMatchObject({ kind: "netns", attachType: 17, progId: expect.any(Number) });
      link.close();
      expect(obj.program("dissect").links).toEqual([]);
      // The place is free again.
      obj.program("dissect").attachNetns().close();
    });
  });

  it("sockmap: the sockets of a map", async () => {
    await withHooks(["on_stream", "on_message"], (obj, network) => {
      const sockets = obj.map("sockets");
      // Sockets obey the programs that were there when they were added.
      const addConnection = (): (() => void) => {
        const { client, server } = network.connect();
        sockets.set(0, BigInt(server));
        sockets.set(1, BigInt(client));
        return () => network.pass(client, server);
      };
      const message = obj.program("on_message").attachSockmap(sockets);
      const pass = addConnection();
      expect(growth(obj, "message_runs", pass)).toBe(1n);
      const stream = obj.program("on_stream").attachSockmap(sockets);
      expect(() => obj.program("on_stream").attachSockmap(obj.map(".bss"))).toThrow("no sockmap or sockhash");
      const passToo = addConnection();
      expect(growth(obj, "verdict_runs", passToo)).toBe(1n);
      message.close();
      stream.close();
      const passAfter = addConnection();
      expect(growth(obj, "message_runs", passAfter)).toBe(0n);
      expect(growth(obj, "verdict_runs", passAfter)).toBe(0n);
    });
  });

  it("socket: a filter", async () => {
    await withHooks(["on_filter"], (obj, network) => {
      const { fd, port } = network.datagramSocket();
      const link = obj.program("on_filter").attachSocket(fd);
      expect(growth(obj, "filter_runs", () => network.sendTo(port, fd))).toBe(1n);
      expect(() => link.info()).toThrow("the kernel has no link for it");
      link.close();
      expect(growth(obj, "filter_runs", () => network.sendTo(port, fd))).toBe(0n);
      const file = network.own(openSync("/dev/null", "r"));
      expect(() => obj.program("on_filter").attachSocket(file)).toThrow("no socket");
    });
  });

  it("socket: a choice among the sockets of a port", async () => {
    await withHooks(["on_choice"], (obj, network) => {
      const { fd, port } = network.datagramSocket();
      const other = network.datagramSocket(port).fd;
      const link = obj.program("on_choice").attachSocket(fd);
      expect(growth(obj, "reuseport_runs", () => network.sendTo(port, fd, other))).toBe(1n);
      link.close();
      expect(growth(obj, "reuseport_runs", () => network.sendTo(port, fd, other))).toBe(0n);
    });
  });
});
