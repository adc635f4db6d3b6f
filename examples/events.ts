// Prints every program that is started, from a ring buffer. Run: npx tsx examples/events.ts [--seconds N] [--poll]

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BpfkitError, BpfObject, RingBuffer } from "bpfkit";

const usage = `usage: npx tsx examples/events.ts [--seconds N] [--poll]
Prints pid and name of every program that is executed, until Ctrl+C.
  --seconds N   stop after N seconds
  --poll        wait with ring.poll(100) instead of "for await" (blocks the event loop for 100 ms at a time)`;

interface ExecEvent {
  pid: number;
  comm: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seconds: { type: "string" }, poll: { type: "boolean" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help === true) {
    console.log(usage);
    return;
  }
  const seconds = values.seconds === undefined ? Number.POSITIVE_INFINITY : Number(values.seconds);
  // Timers of Node.js end at 2^31 - 1 milliseconds.
  if (!(seconds > 0) || (values.seconds !== undefined && seconds > 2_147_483)) {
    throw new RangeError("--seconds wants a number above 0 and up to 2147483");
  }

  using obj = BpfObject.open(fileURLToPath(new URL("../fixtures/events.bpf.o", import.meta.url)));
  await obj.load();
  obj.attach();
  using ring = new RingBuffer<ExecEvent>(obj.map("events"), { type: "event" });

  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  const timer = Number.isFinite(seconds) ? setTimeout(onSignal, seconds * 1000) : undefined;
  console.log("waiting for programs to start; Ctrl+C stops");

  if (values.poll === true) {
    while (!stop.signal.aborted) {
      for (const event of ring.poll(100)) print(event);
      await new Promise((resolve) => setImmediate(resolve)); // lets signals and timers run
    }
  } else {
    for await (const event of ring.events({ signal: stop.signal })) print(event);
  }
  clearTimeout(timer);
  process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
}

function print(event: ExecEvent): void {
  console.log(`${String(event.pid).padStart(7)}  ${event.comm}`);
}

try {
  await main();
} catch (error) {
  if (!(BpfkitError.isBpfkitError(error) || error instanceof RangeError || error instanceof TypeError)) throw error;
  console.error(`events: ${error.message}`);
  process.exitCode = 1;
}
