// Prints every file that is opened, and those that could not be.

import { constants } from "node:fs";
import { getSystemErrorName } from "node:util";
import { RingBuffer } from "bpfkit";
import { command } from "./lib/command.js";
import { type event, OpensnoopBpf } from "./opensnoop.skel.js";

const usage = `usage: npx tsx examples/opensnoop.ts [options]
Prints every file that is opened, and those that could not be.
  --pid PID     only those of this process
  --failed      only those that could not be opened`;

await command(
  {
    usage,
    options: { pid: "number", failed: "boolean" },
    columns: { pid: 7, comm: 15, mode: 2, result: 7, path: 0 },
  },
  async ({ options, signal, ready, print }) => {
    using skel = OpensnoopBpf.open();
    skel.rodata.target_pid = options.pid ?? 0; // the verifier drops what a constant makes unreachable
    skel.rodata.only_failed = options.failed ?? false;
    await skel.load();
    skel.attach();
    using events = new RingBuffer<event>(skel.maps.events, { type: "event" });
    ready("tracing files that are opened");

    for await (const { flags, result, ...rest } of events.events({ signal })) {
      print({ ...rest, mode: mode(flags), result: result < 0 ? getSystemErrorName(result) : result });
    }
  },
);

/** r, w or rw. */
function mode(flags: number): string {
  if ((flags & constants.O_RDWR) !== 0) return "rw";
  return (flags & constants.O_WRONLY) !== 0 ? "w" : "r";
}
