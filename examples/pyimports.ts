// Prints every module that Python programs import, and how long that takes: by the probes (USDT) in CPython.

import { RingBuffer } from "bpfkit";
import { command } from "./lib/command.js";
import { type event, PyimportsBpf } from "./pyimports.skel.js";

const usage = `usage: npx tsx examples/pyimports.ts [options]
Prints every module that Python programs import, and how many milliseconds that takes with all that it imports itself.
The interpreter has to have its probes (configure --with-dtrace), as those of Debian and Fedora have.
  --python FILE the interpreter, or its library (python3)
  --pid PID     only this process`;

await command(
  { usage, options: { python: "string", pid: "number" }, columns: { pid: 7, ms: 10, module: 0 } },
  async ({ options, signal, ready, print }) => {
    using skel = PyimportsBpf.open();
    await skel.load();
    const where = {
      binary: options.python ?? "python3",
      provider: "python",
      pid: options.pid,
    };
    const { on_start, on_done } = skel.progs;
    skel.links.on_done = on_done.attachUsdt({ ...where, name: "import__find__load__done" });
    skel.links.on_start = on_start.attachUsdt({ ...where, name: "import__find__load__start" });
    using events = new RingBuffer<event>(skel.maps.events, { type: "event" });
    ready("tracing imports of Python");

    for await (const { pid, depth, found, module, nanoseconds } of events.events({ signal })) {
      const ms = nanoseconds / 1e6;
      print({ pid, ms, depth, found, module: `${"  ".repeat(depth)}${module}${found ? "" : " (not found)"}` });
    }
  },
);
