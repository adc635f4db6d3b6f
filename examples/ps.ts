// Lists all processes, from the kernel's own list: an iterator. Nothing of /proc is read.

import { uptime } from "node:os";
import { command } from "./lib/command.js";
import { PsBpf, type process } from "./ps.skel.js";

const usage = `usage: npx tsx examples/ps.ts [options]
Lists all processes, as the kernel has them.
  --kernel      kernel threads too`;

await command(
  {
    usage,
    options: { kernel: "boolean" },
    columns: { pid: 7, ppid: 7, uid: 6, threads: 7, seconds: 9, comm: 0 },
  },
  async ({ options, ready, print }) => {
    using skel = PsBpf.open();
    await skel.load();
    using processes = skel.progs.processes.attachIter();
    ready("listing processes");

    for (const { kernel, started, ...rest } of processes.records<process>({ type: "process" })) {
      const seconds = Math.round(uptime() - started / 1e9);
      if (!kernel || options.kernel) print({ ...rest, seconds });
    }
  },
);
