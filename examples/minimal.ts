// Counts system calls: how many in all, and how many this very process made. Run: npm start -- --seconds 3

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BpfkitError, BpfObject, SystemCallError } from "bpfkit";

const usage = `usage: npm start -- [--seconds N] [--pid PID]
Counts system calls with the BPF program fixtures/minimal.bpf.c and prints the counts every second until Ctrl+C.
  --seconds N   stop after N seconds
  --pid PID     count only this process`;

/** Seconds: timers of Node.js end at 2^31 - 1 milliseconds, 24 days. */
const LONGEST_TIMER = 2_147_483;

function main(): void {
  const { values } = parseArgs({
    options: { seconds: { type: "string" }, pid: { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help === true) {
    console.log(usage);
    return;
  }
  const seconds = wholeNumber("--seconds", values.seconds, LONGEST_TIMER);
  const pid = wholeNumber("--pid", values.pid, 2 ** 31 - 1);

  const obj = BpfObject.open(fileURLToPath(new URL("../fixtures/minimal.bpf.o", import.meta.url)));
  try {
    obj.map("syscall_count").maxEntries = 65536;
    obj.rodata.target_pid = pid ?? 0;
    obj.loadSync();
    obj.attach();
  } catch (error) {
    obj.close();
    throw error;
  }

  console.log(`counting system calls of ${pid === undefined ? "all processes" : `process ${pid}`}; Ctrl+C stops`);
  const counts = obj.map("syscall_count");
  const timer = setInterval(() => {
    console.log(`${obj.bss.total_syscalls} in all, ${counts.get(process.pid) ?? 0n} by this process`);
  }, 1000);
  const stop = (): void => {
    clearInterval(timer);
    clearTimeout(end);
    process.off("SIGINT", stop).off("SIGTERM", stop);
    obj.close();
    console.log("detached");
  };
  const end = seconds === undefined ? undefined : setTimeout(stop, seconds * 1000 + 50);
  process.on("SIGINT", stop).on("SIGTERM", stop);
}

function wholeNumber(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new RangeError(`${option} wants a whole number from 1 to ${most}, not ${JSON.stringify(text)}`);
  }
  return value;
}

try {
  main();
} catch (error) {
  // A library error or a wrong option is for the user to read; anything else is a bug and keeps its stack.
  if (!(BpfkitError.isBpfkitError(error) || error instanceof RangeError || error instanceof TypeError)) throw error;
  console.error(`minimal: ${error.message}`);
  if (error instanceof SystemCallError && error.errnoName === "EPERM") console.error("minimal: try: sudo npm start");
  process.exitCode = 1;
}
