// Every kind of hook on control groups: this process goes into a group of the test's own, does what the hook is about, and
// the program has run once more and seen it; without the link it does not run.

import { closeSync, openSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import type { BpfObject } from "../../src/index.js";
import { inCgroup, withCgroup } from "../support/cgroup.js";
import { call, struct, text } from "../support/features/calls.js";
import type { FeatureName } from "../support/features.js";
import { only, withLoaded } from "../support/fixtures.js";
import { withLoopback } from "../support/loopback.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

const [AF_UNIX, AF_INET, AF_INET6] = [1, 2, 10];
const [STREAM, DGRAM] = [1, 2];
const [SOL_SOCKET, SO_PRIORITY] = [1, 12];
/** 127.0.0.1, and the last word of ::1, as programs see them. */
const [LOCAL4, LOCAL6] = [0x0100007f, 0x01000000];
/** What the programs answer for the names of sockets. */
const ANSWER = 4711;

type Own = (fd: number) => number;

/** An address of the loopback device: sockaddr_in or sockaddr_in6. */
function address(family: number, port = 0): Uint8Array {
  const high = port >> 8;
  const low = port & 0xff;
  const bytes = new Uint8Array(family === AF_INET ? 16 : 28);
  bytes.set(Uint8Array.of(family, 0, high, low));
  bytes.set(family === AF_INET ? [127, 0, 0, 1] : [1], family === AF_INET ? 4 : 23);
  return bytes;
}

/** The name of a socket or of the one it is connected to, as the kernel tells it. */
function nameOf(which: "getsockname" | "getpeername", socket: number): Uint8Array {
  const name = new Uint8Array(128);
  const size = struct(4, [[0, "u32", name.length]]);
  call(which, socket, name, size);
  return name.subarray(0, new DataView(size.buffer).getUint32(0, true));
}

const portIn = (name: Uint8Array): number => (name[2]! << 8) | name[3]!;

function bound(own: Own, family: number, type: number): { readonly fd: number; readonly at: Uint8Array } {
  const fd = own(call("socket", family, type, 0));
  const at = address(family);
  call("bind", fd, at, at.length);
  return { fd, at: Uint8Array.from(nameOf("getsockname", fd)) };
}

/** A datagram over the loopback device: what the receiver is told of the sender, and both addresses. */
function datagram(own: Own, family: number): { readonly from: number; readonly to: number; readonly told: number } {
  const [sender, receiver] = [bound(own, family, DGRAM), bound(own, family, DGRAM)];
  call("sendto", sender.fd, text("hello"), 5, 0, receiver.at, receiver.at.length);
  const told = new Uint8Array(28);
  call("recvfrom", receiver.fd, new Uint8Array(8), 8, 0, told, struct(4, [[0, "u32", 28]]));
  return { from: portIn(sender.at), to: portIn(receiver.at), told: portIn(told) };
}

/** A connection over the loopback device: the listener's port, and the socket of the one who connected. */
function connection(own: Own, family: number): { readonly port: number; readonly client: number } {
  const listener = bound(own, family, STREAM);
  call("listen", listener.fd, 1);
  const client = own(call("socket", family, STREAM, 0));
  call("connect", client, listener.at, listener.at.length);
  return { port: portIn(listener.at), client };
}

/** sockaddr_un of a name that is in no file system: ports of family UNIX. */
let names = 0;
function boundUnix(own: Own, type: number): { readonly fd: number; readonly at: Uint8Array } {
  const fd = own(call("socket", AF_UNIX, type, 0));
  const at = Uint8Array.from([AF_UNIX, 0, 0, ...text(`bpfkit-${process.pid}-${names++}`)]);
  call("bind", fd, at, at.length);
  return { fd, at };
}

/** A connection of family UNIX: the socket of the one who connected. */
function connectionUnix(own: Own): number {
  const listener = boundUnix(own, STREAM);
  call("listen", listener.fd, 1);
  const client = own(call("socket", AF_UNIX, STREAM, 0));
  call("connect", client, listener.at, listener.at.length);
  return client;
}

function datagramUnix(own: Own): Seen {
  const [sender, receiver] = [boundUnix(own, DGRAM), boundUnix(own, DGRAM)];
  call("sendto", sender.fd, text("hello"), 5, 0, receiver.at, receiver.at.length);
  const [told, size] = [new Uint8Array(128), struct(4, [[0, "u32", 128]])];
  call("recvfrom", receiver.fd, new Uint8Array(8), 8, 0, told, size);
  return UNIX;
}

/** What the program was told: the first and second word, as its hook has them. */
type Seen = readonly [first: number, second: number];

interface Hook {
  readonly program: string;
  readonly needs?: readonly FeatureName[];
  /** Does what the hook is about, and tells what the program should have seen last. */
  readonly act: (own: Own) => Seen;
  /** More that the program did. */
  readonly also?: (obj: BpfObject) => void;
}

const UDP_PACKET = 20 + 8 + 5;
const ETH_P_IP = 0x0800;

const packet = (own: Own): Seen => {
  datagram(own, AF_INET);
  return [UDP_PACKET, ETH_P_IP];
};
const socket = (own: Own): Seen => {
  own(call("socket", AF_INET, DGRAM, 0));
  return [AF_INET, DGRAM];
};
/** Addresses that sockets get, or that they send to. */
const bind =
  (family: number) =>
  (own: Own): Seen => {
    const free = portIn(bound(own, family, DGRAM).at);
    const port = free === 40_001 ? 40_002 : 40_001;
    const fd = own(call("socket", family, DGRAM, 0));
    const at = address(family, port);
    call("bind", fd, at, at.length);
    return [family === AF_INET ? LOCAL4 : LOCAL6, port];
  };
const connect =
  (family: number) =>
  (own: Own): Seen => {
    const { port } = connection(own, family);
    return [family === AF_INET ? LOCAL4 : LOCAL6, port];
  };
const sendTo =
  (family: number) =>
  (own: Own): Seen => {
    const { to } = datagram(own, family);
    return [family === AF_INET ? LOCAL4 : LOCAL6, to];
  };
const receiveFrom =
  (family: number) =>
  (own: Own): Seen => {
    const { from } = datagram(own, family);
    return [family === AF_INET ? LOCAL4 : LOCAL6, from];
  };

/** Names of sockets, which the program makes up while it is attached. */
const peerName =
  (family: number) =>
  (own: Own): Seen => {
    const { port, client } = connection(own, family);
    expect([port, ANSWER]).toContain(portIn(nameOf("getpeername", client)));
    return [family === AF_INET ? LOCAL4 : LOCAL6, port];
  };
const answers = (which: "getpeername" | "getsockname", family: number) => (): void => {
  withLoopback(({ own }) => {
    const { client } = connectionQuietly(own, family);
    expect(portIn(nameOf(which, client))).toBe(ANSWER);
  });
};
/** The same as `connection`, where the kernel tells no true port. */
function connectionQuietly(own: Own, family: number): { readonly client: number } {
  const listener = own(call("socket", family, STREAM, 0));
  const at = address(family, 40_003);
  call("bind", listener, at, at.length);
  call("listen", listener, 1);
  const client = own(call("socket", family, STREAM, 0));
  call("connect", client, at, at.length);
  return { client };
}
const ownName =
  (family: number) =>
  (own: Own): Seen => {
    const fd = own(call("socket", family, DGRAM, 0));
    const at = address(family, 40_004);
    call("bind", fd, at, at.length);
    expect([40_004, ANSWER]).toContain(portIn(nameOf("getsockname", fd)));
    return [family === AF_INET ? LOCAL4 : LOCAL6, 40_004];
  };

const UNIX: Seen = [AF_UNIX, 0];

const hooks: readonly (readonly [section: string, hook: Hook])[] = [
  ["cgroup_skb/ingress", { program: "ingress", act: packet }],
  ["cgroup_skb/egress", { program: "egress", act: packet }],
  ["cgroup/skb", { program: "either", act: packet }],
  ["cgroup/sock", { program: "sock", act: socket }],
  ["cgroup/sock_create", { program: "sock_create", act: socket }],
  [
    "cgroup/sock_release",
    {
      program: "sock_release",
      act: () => {
        closeSync(call("socket", AF_INET, STREAM, 0));
        return [AF_INET, STREAM];
      },
    },
  ],
  ["cgroup/post_bind4", { program: "post_bind4", act: bind(AF_INET) }],
  ["cgroup/post_bind6", { program: "post_bind6", act: bind(AF_INET6) }],
  ["cgroup/bind4", { program: "bind4", act: bind(AF_INET) }],
  ["cgroup/bind6", { program: "bind6", act: bind(AF_INET6) }],
  ["cgroup/connect4", { program: "connect4", act: connect(AF_INET) }],
  ["cgroup/connect6", { program: "connect6", act: connect(AF_INET6) }],
  ["cgroup/sendmsg4", { program: "sendmsg4", act: sendTo(AF_INET) }],
  ["cgroup/sendmsg6", { program: "sendmsg6", act: sendTo(AF_INET6) }],
  ["cgroup/recvmsg4", { program: "recvmsg4", act: receiveFrom(AF_INET) }],
  ["cgroup/recvmsg6", { program: "recvmsg6", act: receiveFrom(AF_INET6) }],
  ["cgroup/getpeername4", { program: "getpeername4", act: peerName(AF_INET), also: answers("getpeername", AF_INET) }],
  ["cgroup/getpeername6", { program: "getpeername6", act: peerName(AF_INET6), also: answers("getpeername", AF_INET6) }],
  ["cgroup/getsockname4", { program: "getsockname4", act: ownName(AF_INET), also: answers("getsockname", AF_INET) }],
  ["cgroup/getsockname6", { program: "getsockname6", act: ownName(AF_INET6), also: answers("getsockname", AF_INET6) }],
  [
    "cgroup/connect_unix",
    {
      program: "connect_unix",
      needs: ["cgroup_unix"],
      act: (own) => {
        connectionUnix(own);
        return UNIX;
      },
    },
  ],
  [
    "cgroup/sendmsg_unix",
    {
      program: "sendmsg_unix",
      needs: ["cgroup_unix"],
      act: datagramUnix,
    },
  ],
  [
    "cgroup/recvmsg_unix",
    {
      program: "recvmsg_unix",
      needs: ["cgroup_unix"],
      act: datagramUnix,
    },
  ],
  [
    "cgroup/getpeername_unix",
    {
      program: "getpeername_unix",
      needs: ["cgroup_unix"],
      act: (own) => {
        nameOf("getpeername", connectionUnix(own));
        return UNIX;
      },
    },
  ],
  [
    "cgroup/getsockname_unix",
    {
      program: "getsockname_unix",
      needs: ["cgroup_unix"],
      act: (own) => {
        nameOf("getsockname", boundUnix(own, STREAM).fd);
        return UNIX;
      },
    },
  ],
  [
    "cgroup/sysctl",
    {
      program: "sysctl",
      act: () => {
        readFileSync("/proc/sys/kernel/ostype");
        return [0, 0];
      },
      also: (obj) => expect(obj.bss.name).toBe("kernel/ostype"),
    },
  ],
  [
    "cgroup/getsockopt",
    {
      program: "getsockopt",
      act: (own) => {
        priority(own);
        return [SOL_SOCKET, SO_PRIORITY];
      },
      also: () => withLoopback(({ own }) => expect(priority(own)).toBe(5 + 3)),
    },
  ],
  [
    "cgroup/setsockopt",
    {
      program: "setsockopt",
      act: (own) => {
        priority(own);
        return [SOL_SOCKET, SO_PRIORITY];
      },
    },
  ],
  [
    "cgroup/dev",
    {
      program: "device",
      act: () => {
        closeSync(openSync("/dev/null", "r"));
        return [1, 3];
      },
    },
  ],
];

/** Sets a socket's priority to 5; what the kernel says it is. */
function priority(own: Own): number {
  const fd = own(call("socket", AF_INET, DGRAM, 0));
  call("setsockopt", fd, SOL_SOCKET, SO_PRIORITY, struct(4, [[0, "u32", 5]]), 4);
  const answer = new Uint8Array(4);
  call("getsockopt", fd, SOL_SOCKET, SO_PRIORITY, answer, struct(4, [[0, "u32", 4]]));
  return answer[0]!;
}

kernelDescribe("hooks of control groups", { needs: ["cgroup_link", "netns", "array_mmap"] }, () => {
  for (const [section, { program, needs = [], act, also }] of hooks) {
    kernelIt(section, { needs }, async () => {
      await withLoaded("cgroups", only(program), (obj) =>
        withCgroup((group) => {
          expect(obj.program(program).sectionName).toBe(section);
          const inside = (): Seen => withLoopback(({ own }) => inCgroup(group, () => act(own)));
          const link = obj.program(program).attachCgroup(group);
          const seen = inside();
          const runs = obj.bss.runs;
          expect(runs).not.toBe(0n);
          expect([obj.bss.first, obj.bss.second]).toEqual(seen);
          if (also !== undefined) inCgroup(group, () => also(obj));
          // This process is outside again.
          const before = obj.bss.runs;
          withLoopback(({ own }) => act(own));
          expect(obj.bss.runs).toBe(before);
          link.close();
          inside();
          expect(obj.bss.runs).toBe(before);
        }),
      );
    });
  }

  kernelIt("sockops", { needs: [] }, async () => {
    await withLoaded("cgroups", only("tcp_events"), (obj) =>
      withCgroup((group) => {
        const inside = (): number => withLoopback(({ own }) => inCgroup(group, () => connection(own, AF_INET).port));
        const link = obj.program("tcp_events").attachCgroup(group);
        inside();
        // BPF_SOCK_OPS_TCP_CONNECT_CB 3, BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB 4, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB 5
        const operations = obj.bss.operations as bigint;
        for (const operation of [3n, 4n, 5n]) expect((operations >> operation) & 1n, `${operation}`).toBe(1n);
        const before = obj.bss.runs;
        link.close();
        inside();
        expect(obj.bss.runs).toBe(before);
      }),
    );
  });

  kernelIt("cgroup/skb, of the other direction", { needs: [] }, async () => {
    const edit = (obj: BpfObject): void => {
      only("either")(obj);
      obj.program("either").expectedAttachType = "cgroup_inet_egress";
    };
    await withLoaded("cgroups", edit, (obj) =>
      withCgroup((group) => {
        const link = obj.program("either").attachCgroup(group);
        expect(link.info()).toMatchObject({ kind: "cgroup", attachType: 1 });
        withLoopback(({ own }) => inCgroup(group, () => void datagram(own, AF_INET)));
        expect(obj.bss.runs).toBe(1n);
      }),
    );
  });
});
