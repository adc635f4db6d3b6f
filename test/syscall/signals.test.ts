// Loading a program while a profiler interrupts the process.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { kernelDescribe } from "../support/needs.js";
import { scriptArguments } from "../support/script.js";

kernelDescribe("under a CPU profiler", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("programs still load", { timeout: 300_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "bpfkit-"));
    try {
      // Verifying takes longer than the profiler's interval: without protection every attempt ends with EAGAIN.
      const { status, stderr } = spawnSync(
        process.execPath,
        [
          "--cpu-prof",
          "--cpu-prof-interval",
          "40",
          "--cpu-prof-dir",
          folder,
          ...scriptArguments("test/syscall/load-often.ts"),
        ],
        { encoding: "utf8" },
      );
      expect(stderr).toBe("");
      expect(status).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
