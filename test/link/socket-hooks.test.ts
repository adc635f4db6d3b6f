// Hooks on sockets, and programs in maps that packets are redirected to: the program decides, and what it decided happens.

import { execFileSync } from "node:child_process";
import { closeSync } from "node:fs";
import { expect } from "vitest";
import type { AttachTypeName, BpfObject } from "../../src/index.js";
import { Epoll } from "../../src/syscall/index.js";
import { withBpfFs } from "../support/bpffs.js";
import { call, struct, text } from "../support/features/calls.js";
import { only, soon, withLoaded } from "../support/fixtures.js";
import { type Loopback, withLoopback } from "../support/loopback.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

const [AF_INET, AF_PACKET, STREAM, RAW] = [2, 17, 1, 3];
const [SOL_SOCKET, SO_REUSEPORT] = [1, 15];
const MSG_DONTWAIT = 0x40;
const ETH_P_IP = 0x0800;
const LO = 1;

/** Loads programs of the fixture, with the maps that they use, and runs `body` in a network of its own. */
function withSockets(
  programs: readonly string[],
  body: (obj: BpfObject, network: Loopback) => void,
  { maps = [], edit }: { readonly maps?: readonly string[]; readonly edit?: (obj: BpfObject) => void } = {},
): Promise<void> {
  const pick = (obj: BpfObject): void => {
    only(...programs)(obj);
    for (const map of obj.maps) map.autocreate = map.isInternal || maps.includes(map.name);
    edit?.(obj);
  };
  return withLoaded("sockets", pick, (obj) => withLoopback((network) => body(obj, network)));
}

/** What arrives at a socket; undefined when nothing does. */
function received(socket: number, flags = 0): string | undefined {
  const bytes = new Uint8Array(64);
  const [SO_RCVTIMEO, fiveSeconds] = [20, new Uint8Array(BigInt64Array.of(5n, 0n).buffer)];
  call("setsockopt", socket, SOL_SOCKET, SO_RCVTIMEO, fiveSeconds, 16);
  try {
    return new TextDecoder().decode(bytes.subarray(0, call("recvfrom", socket, bytes, 64, flags, 0, 0)));
  } catch {
    return undefined;
  }
}

const send = (socket: number, message: string): void =>
  void call("sendto", socket, text(message), message.length, 0, 0, 0);

/** struct sockaddr_in of 127.0.0.1. */
const address = (port: number): Uint8Array =>
  Uint8Array.from([AF_INET, 0, port >> 8, port & 0xff, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);

const number = (value: number): Uint8Array => struct(4, [[0, "u32", value]]);

function listenAt({ own }: Loopback, port: number): number {
  const socket = own(call("socket", AF_INET, STREAM, 0));
  call("setsockopt", socket, SOL_SOCKET, SO_REUSEPORT, number(1), 4);
  call("bind", socket, address(port), 16);
  call("listen", socket, 8);
  return socket;
}

function connectTo({ own }: Loopback, port: number): number {
  const client = own(call("socket", AF_INET, STREAM, 0));
  call("connect", client, address(port), 16);
  return client;
}

kernelDescribe("programs on sockets of a map", { needs: ["netns", "sockmap", "array_mmap"] }, () => {
  kernelIt("sk_skb/stream_parser, sk_skb/stream_verdict", { needs: [] }, async () => {
    await withSockets(
      ["parse", "forward"],
      (obj, network) => {
        const sockets = obj.map("sockets");
        const parser = obj.program("parse").attachSockmap(sockets);
        const verdict = obj.program("forward").attachSockmap(sockets);
        const [one, two] = [network.connect(), network.connect()];
        sockets.set(0, BigInt(one.server));
        sockets.set(1, BigInt(two.server));
        // Each message goes out by the second connection. (Two at once are each sent whole by Linux 5.10.)
        for (const message of ["hello", "world"]) {
          send(one.client, message);
          expect(received(two.client)).toBe(message);
        }
        expect([obj.bss.parsed, obj.bss.runs]).toEqual([2n, 2n]);
        expect(received(one.server, MSG_DONTWAIT)).toBeUndefined();

        parser.close();
        verdict.close();
        sockets.delete(0);
        sockets.delete(1);
        const after = network.connect();
        sockets.set(0, BigInt(after.server));
        send(after.client, "again");
        expect(received(after.server)).toBe("again");
        expect([obj.bss.parsed, obj.bss.runs]).toEqual([2n, 2n]);
      },
      { maps: ["sockets"] },
    );
  });

  const judges = (name: string, attachType: AttachTypeName | undefined) => async (): Promise<void> => {
    const edit = (obj: BpfObject): void => {
      if (attachType !== undefined) obj.program(name).expectedAttachType = attachType;
    };
    await withSockets(
      [name],
      (obj, network) => {
        const sockets = obj.map("sockets");
        const pass = (): void => {
          const { client, server } = network.connect();
          sockets.set(0, BigInt(server));
          send(client, "hello");
          expect(received(server)).toBe("hello");
        };
        const link = obj.program(name).attachSockmap(sockets);
        pass();
        expect([obj.bss.runs, obj.bss.length]).toEqual([1n, 5]);
        link.close();
        pass();
        expect(obj.bss.runs).toBe(1n);
      },
      { maps: ["sockets"], edit },
    );
  };
  kernelIt("sk_skb/verdict", { needs: ["sk_skb_verdict"] }, judges("judge", undefined));
  kernelIt("sk_skb", { needs: [] }, judges("either", "sk_skb_stream_verdict"));
});

kernelDescribe("programs that choose sockets", { needs: ["netns", "array_mmap"] }, () => {
  kernelIt("sk_lookup", { needs: ["sk_lookup", "sockmap"] }, async () => {
    await withSockets(
      ["to_socket"],
      (obj, network) => {
        obj.map("sockets").set(0, BigInt(listenAt(network, 7007)));
        expect(() => connectTo(network, 7008)).toThrow("ECONNREFUSED");
        const link = obj.program("to_socket").attachNetns();
        connectTo(network, 7008);
        expect([obj.bss.lookups, obj.bss.port]).toEqual([1n, 7008]);
        link.close();
        expect(() => connectTo(network, 7008)).toThrow("ECONNREFUSED");
        expect(obj.bss.lookups).toBe(1n);
      },
      { maps: ["sockets"] },
    );
  });

  kernelIt("sk_reuseport/migrate", { needs: ["reuseport_migrate"] }, async () => {
    await withSockets(["choose"], (obj, network) => {
      const first = call("socket", AF_INET, STREAM, 0);
      call("setsockopt", first, SOL_SOCKET, SO_REUSEPORT, number(1), 4);
      call("bind", first, address(7009), 16);
      call("listen", first, 8);
      connectTo(network, 7009);
      // The last step of the handshake may still be on its way.
      using ready = new Epoll();
      ready.add(first);
      expect(ready.wait(20_000)).toHaveLength(1);
      // The program is the group's, whichever socket it came by.
      const second = listenAt(network, 7009);
      const link = obj.program("choose").attachSocket(second);
      // Nobody has accepted the connection when its socket goes.
      closeSync(first);
      expect([obj.bss.runs, obj.bss.migrations]).toEqual([0n, 1n]);
      network.own(call("accept", second, 0, 0));
      connectTo(network, 7009);
      expect(obj.bss.runs).toBe(1n);
      link.close();
      connectTo(network, 7009);
      expect(obj.bss.runs).toBe(1n);
    });
  });
});

kernelDescribe("flow dissectors", { needs: ["netns", "array_mmap"] }, () => {
  kernelIt("flow_dissector", { needs: ["packet_fanout"] }, async () => {
    await withSockets(["dissect"], (obj, network) => {
      // A group of packet sockets is chosen from by the flow.
      const socket = network.own(call("socket", AF_PACKET, RAW, 0x0300));
      const [SOL_PACKET, PACKET_FANOUT] = [263, 18];
      call("setsockopt", socket, SOL_PACKET, PACKET_FANOUT, number(1), 4);
      network.sendDatagram();
      expect(obj.bss.runs).toBe(0n);
      const link = obj.program("dissect").attachNetns();
      network.sendDatagram();
      const { runs } = obj.bss;
      expect(runs).not.toBe(0n);
      expect(obj.bss.port).toBe(ETH_P_IP);
      link.close();
      network.sendDatagram();
      expect(obj.bss.runs).toBe(runs);
    });
  });
});

kernelDescribe("classifiers by netlink", { needs: ["netns", "array_mmap", "tc"] }, () => {
  for (const [section, program, direction] of [
    ["tc/ingress", "tc_in", undefined],
    ["tc/egress", "tc_out", undefined],
    ["classifier", "classify", "egress"],
  ] as const) {
    kernelIt(section, { needs: [] }, async () => {
      await withSockets([program], (obj, network) => {
        const link = obj.program(program).attachTc("lo", direction === undefined ? {} : { direction });
        network.sendDatagram();
        expect([obj.bss.runs, obj.bss.length]).toEqual([1n, LO]);
        link.close();
        network.sendDatagram();
        expect(obj.bss.runs).toBe(1n);
      });
    });
  }
});

kernelDescribe("XDP programs in maps", { needs: ["xdp_link", "netns", "array_mmap", "generic_redirect"] }, () => {
  for (const [section, program, sender, needs] of [
    ["xdp/devmap", "in_devmap", "to_device", []],
    ["xdp.frags/devmap", "frags_in_devmap", "frags_to_device", ["xdp_frags"]],
  ] as const) {
    kernelIt(section, { needs }, async () => {
      await withSockets(
        [sender, program],
        (obj, network) => {
          obj.map("devices").raw.set(new Uint8Array(4), entry(LO, obj.program(program).fd));
          const link = obj.program(sender).attachXdp("lo", { mode: "generic" });
          const { fd, port } = network.datagramSocket();
          network.sendTo(port);
          expect(soon(() => obj.bss.port === LO)).toBe(true);
          expect(obj.bss.entry_runs).toBe(1n);
          expect(received(fd, MSG_DONTWAIT)).toBeUndefined();
          link.close();
          network.sendDatagram();
          expect(obj.bss.entry_runs).toBe(1n);
        },
        { maps: ["devices"] },
      );
    });
  }

  for (const [section, program, sender, needs] of [
    ["xdp/cpumap", "in_cpumap", "to_cpu", []],
    ["xdp.frags/cpumap", "frags_in_cpumap", "frags_to_cpu", ["xdp_frags"]],
  ] as const) {
    kernelIt(section, { needs }, async () => {
      await withSockets(
        [sender, program],
        (obj, network) => {
          obj.map("cpus").raw.set(new Uint8Array(4), entry(8, obj.program(program).fd));
          const link = obj.program(sender).attachXdp("lo", { mode: "generic" });
          const { port } = network.datagramSocket();
          network.sendTo(port);
          // A thread of the kernel runs it.
          expect(soon(() => obj.bss.port === LO)).toBe(true);
          expect(obj.bss.entry_runs).toBe(1n);
          link.close();
          network.sendDatagram();
          expect(obj.bss.entry_runs).toBe(1n);
        },
        { maps: ["cpus"] },
      );
    });
  }

  /** struct bpf_devmap_val, struct bpf_cpumap_val. */
  const entry = (value: number, program: number) => new Uint8Array(Uint32Array.of(value, program).buffer);
});

// iproute2 makes the routes, as people do; it finds programs by their pins.
kernelDescribe("programs of routes", { needs: ["netns", "array_mmap", "lwt_bpf"] }, () => {
  for (const [section, program, table] of [
    ["lwt_in", "route_in", ["table", "local", "local"]],
    ["lwt_out", "route_out", []],
    ["lwt_xmit", "route_xmit", []],
  ] as const) {
    kernelIt(section, { needs: [] }, async () => {
      await withBpfFs(async (root) => {
        await withSockets([program], (obj, { own }) => {
          const pin = `${root}/${program}`;
          obj.program(program).pin(pin);
          const to = Uint8Array.from([AF_INET, 0, 0, 9, 10, 9, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
          const ip = (...args: string[]): void => void execFileSync("ip", args);
          const send = (): void => {
            const socket = own(call("socket", AF_INET, 2, 0));
            call("sendto", socket, text("hello"), 5, 0, to, 16);
          };
          const where = [...table, "10.9.9.1/32"];
          ip("address", "add", "10.0.0.1/8", "dev", "lo");
          const hook = section.slice("lwt_".length);
          ip("route", "add", ...where, "encap", "bpf", hook, "pinned", pin, "dev", "lo");
          send();
          expect(soon(() => obj.bss.length !== 0)).toBe(true);
          expect(obj.bss.runs).not.toBe(0n);
          // The datagram, or what comes back for it by ICMP: nobody listens.
          const datagram = 20 + 8 + 5;
          expect([datagram, 20 + 8 + datagram]).toContain(obj.bss.length);
          ip("route", "delete", ...where, "dev", "lo");
          const { runs } = obj.bss;
          send();
          expect(obj.bss.runs).toBe(runs);
        });
      });
    });
  }
});
