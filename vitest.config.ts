// Two projects: the pure tests share their processes (fast), the tests that talk to the kernel run one file after the
// other in a process each, so that a crash fails one file and nobody counts the neighbour's descriptors or events.
import { defineConfig } from "vitest/config";

/** Folders of test/ whose tests make no system call. */
const pureRooms = "{elf,btf,insn,core-reloc,object,linker,house,parity,fuzz,import}";
/** .ci/run sets this to get every single result as JSON beside what is printed. */
const report = process.env.BPFKIT_TEST_REPORT;

export default defineConfig({
  test: {
    // A native crash takes its process down: forks, not threads.
    pool: "forks",
    // Tests that bound their work say so themselves (20 s); this is for machines that are slow or busy.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: report === undefined ? ["default"] : ["default", "json"],
    ...(report === undefined ? {} : { outputFile: { json: report } }),
    projects: [
      {
        extends: true,
        test: {
          name: "pure",
          include: [`test/${pureRooms}/**/*.test.ts`, "test/*.test.ts"],
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "kernel",
          // Longer than the 60 s that a test gives the processes it starts: the child's end is told, not the clock's.
          testTimeout: 90_000,
          hookTimeout: 90_000,
          include: ["test/**/*.test.ts"],
          exclude: ["**/node_modules/**", `test/${pureRooms}/**`, "test/*.test.ts"],
          // In CI a second try, which vitest tells ("retry x1"): these tests share a machine with others' load and events.
          retry: process.env.CI === undefined ? 0 : 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
