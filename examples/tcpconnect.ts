// Prints every TCP connection that this machine begins, and what came of it.

import { RingBuffer } from "bpfkit";
import { addressText } from "./lib/address.js";
import { command } from "./lib/command.js";
import { type event, TcpconnectBpf } from "./tcpconnect.skel.js";

const usage = `usage: npx tsx examples/tcpconnect.ts [options]
Prints every TCP connection that this machine begins, whether the other side took it, and after how many milliseconds.`;

await command(
  { usage, columns: { pid: 7, comm: 15, address: 24, port: 5, ms: 8, outcome: 0 } },
  async ({ signal, ready, print }) => {
    using skel = TcpconnectBpf.open();
    await skel.load();
    skel.attach();
    using events = new RingBuffer<event>(skel.maps.events, { type: "event" });
    ready("tracing TCP connections");

    for await (const { pid, comm, address, ipv6, port, nanoseconds, connected } of events.events({ signal })) {
      const outcome = connected ? "connected" : "failed";
      print({ pid, comm, address: addressText(address, ipv6), port, ms: nanoseconds / 1e6, outcome });
    }
  },
);
