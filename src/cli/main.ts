#!/usr/bin/env node
// The program `bpfkit`. All it does is in run.ts, which can be imported without running anything.

import { runCommandLine } from "./run.js";

// Who reads may stop reading: `bpfkit … | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});
process.exitCode = await runCommandLine(process.argv.slice(2), {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
});
