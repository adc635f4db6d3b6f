// Prints every host name that a process looks up, and how long that took: probes on the C library, in all processes.

import { RingBuffer } from "bpfkit";
import { type event, GethostlatencyBpf } from "./gethostlatency.skel.js";
import { command } from "./lib/command.js";

const usage = `usage: npx tsx examples/gethostlatency.ts [options]
Prints every host name that a process looks up with the C library's getaddrinfo(), and how many milliseconds that took.`;

await command(
  { usage, columns: { pid: 7, comm: 15, ms: 10, result: 6, host: 0 } },
  async ({ signal, ready, print }) => {
    using skel = GethostlatencyBpf.open();
    await skel.load();
    skel.attach(); // SEC("uprobe/libc.so.6:getaddrinfo"): found where the loader would find it
    using events = new RingBuffer<event>(skel.maps.events, { type: "event" });
    ready("tracing getaddrinfo() of the C library");

    for await (const { nanoseconds, error, ...rest } of events.events({ signal })) {
      print({ ...rest, ms: nanoseconds / 1e6, result: error === 0 ? "found" : error });
    }
  },
);
