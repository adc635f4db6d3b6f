// Finds out where processors spend their time: samples stacks and prints them folded, for flame graphs.

import { once } from "node:events";
import { command } from "./lib/command.js";
import { kernelNames, userNames } from "./lib/symbols.js";
import { ProfileBpf } from "./profile.skel.js";

const usage = `usage: npx tsx examples/profile.ts [options]
Samples what processors do, in the kernel and in processes, until Ctrl+C or --duration. Then prints how often each stack was
found, outermost function first, as flamegraph.pl and https://speedscope.app take it: "comm;main;work;[k] read 17".
Functions of JavaScript have names in processes that were started with node --perf-basic-prof, those that are interpreted with
--interpreted-frames-native-stack.
  --pid PID     only this process
  --frequency N samples a second and CPU (99)`;

await command({ usage, options: { pid: "number", frequency: "number" } }, async ({ options, signal, ready, print }) => {
  using skel = ProfileBpf.open();
  await skel.load();
  using link = skel.progs.on_sample.attachPerfEvent({
    event: "cpu-clock",
    frequency: options.frequency ?? 99,
    pid: options.pid,
  });
  ready("sampling stacks");
  if (!signal.aborted) await once(signal, "abort");
  link.close();

  const [kernelName, userName] = [kernelNames(), userNames()];
  const { counts, stacks } = skel.maps;
  // Outermost first. Callers are known by where they go on: the call is before that.
  const addresses = (id: number): bigint[] =>
    (id < 0 ? [] : (stacks.get(id) ?? []))
      .filter((address) => address !== 0n)
      .map((address, depth) => (depth === 0 ? address : address - 1n))
      .reverse();
  const folded = new Map<string, number>();
  for (const [{ pid, comm, user_stack, kernel_stack }, count] of counts) {
    const stack = [
      comm,
      ...addresses(user_stack).map((address) => userName(pid, address)),
      ...addresses(kernel_stack).map((address) => `[k] ${kernelName(address)}`),
    ].join(";");
    folded.set(stack, (folded.get(stack) ?? 0) + Number(count));
  }
  for (const [stack, count] of [...folded].sort(([, a], [, b]) => b - a)) print({ stack, count }, `${stack} ${count}`);
});
