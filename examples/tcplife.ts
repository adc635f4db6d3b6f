// Prints every TCP connection that ends: who had it, for how long, and what it carried.

import { RingBuffer } from "bpfkit";
import { placeText } from "./lib/address.js";
import { command } from "./lib/command.js";
import { type event, TcplifeBpf } from "./tcplife.skel.js";

const usage = `usage: npx tsx examples/tcplife.ts [options]
Prints every TCP connection that ends and that began meanwhile: between whom, how many milliseconds it was open, and the
bytes that were sent and received.`;

await command(
  { usage, columns: { pid: 7, comm: 15, local: 24, remote: 24, sent: 10, received: 10, ms: 10 } },
  async ({ signal, ready, print }) => {
    using skel = TcplifeBpf.open();
    await skel.load();
    skel.attach();
    using events = new RingBuffer<event>(skel.maps.events, { type: "event" });
    ready("tracing TCP connections");

    for await (const { pid, comm, ipv6, sent, received, nanoseconds, ...ends } of events.events({ signal })) {
      const local = placeText(ends.local, ipv6, ends.local_port);
      const remote = placeText(ends.remote, ipv6, ends.remote_port);
      print({ pid, comm, local, remote, sent, received, ms: nanoseconds / 1e6 });
    }
  },
);
