// Prints every program that is executed, with its arguments.

import { RingBuffer } from "bpfkit";
import { ExecsnoopBpf, type event } from "./execsnoop.skel.js";
import { command } from "./lib/command.js";

const usage = `usage: npx tsx examples/execsnoop.ts [options]
Prints every program that is executed, with its arguments.
  --uid UID     only those of this user`;

await command(
  { usage, options: { uid: "string" }, columns: { pid: 7, ppid: 7, uid: 5, comm: 15, args: 0 } },
  async ({ options, signal, ready, print }) => {
    using skel = ExecsnoopBpf.open();
    await skel.load();
    skel.attach();
    using events = new RingBuffer<event>(skel.maps.events, { type: "event" });
    ready("tracing programs that start");

    for await (const { args, args_size, ...who } of events.events({ signal })) {
      if (options.uid !== undefined && who.uid !== Number(options.uid)) continue;
      print({ ...who, args: words(args.subarray(0, args_size)).join(" ") });
    }
  },
);

/** Texts that each end with a NUL. */
function words(bytes: Uint8Array): string[] {
  return new TextDecoder().decode(bytes).replace(/\0$/, "").split("\0");
}
