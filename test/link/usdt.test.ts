// Probes that a program defines itself: a small C program hits them, arguments and cookie arrive.

import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readUsdtProbes } from "../../src/elf/index.js";
import { BpfObject, NotFoundError, UnsupportedError } from "../../src/index.js";
import { pretend } from "../../src/kernel/features.js";
import { olderThan, withUserBinary } from "../../src/kernel/index.js";
import { fixturePath, only, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt, missingOf } from "../support/needs.js";

/** What <sys/sdt.h> makes of DTRACE_PROBE3, and of one with a semaphore. Every byte on its input is a round. */
const program = `
#include <stdio.h>
#include <unistd.h>
#define NOTE(name, semaphore, args) \\
  ".pushsection .note.stapsdt,\\"\\",\\"note\\"\\n.balign 4\\n.4byte 992f-991f, 994f-993f, 3\\n" \\
  "991: .asciz \\"stapsdt\\"\\n992: .balign 4\\n993: .8byte 990b\\n.8byte 0\\n.8byte " semaphore "\\n" \\
  ".asciz \\"bpfkit\\"\\n.asciz \\"" name "\\"\\n.asciz \\"" args "\\"\\n994: .balign 4\\n.popsection\\n"
unsigned short bpfkit_watched_semaphore __attribute__((used, section(".probes")));
long table[4] = {10, 20, 30, 40};
static void __attribute__((noinline)) hit(int number, long value, signed char small)
{
  long *where = table;
  asm("" : "+r"(where));
  asm volatile("990: nop\\n" NOTE("full", "0", "-4@%[n] 8@%[v] -1@%[s] -4@$-9 8@%[m]")
    :: [n] "r"(number), [v] "r"(value), [s] "r"(small), [m] "m"(where[2]));
}
static void __attribute__((noinline)) hit_again(int number)
{
  asm volatile("990: .byte 0x90, 0x0f, 0x1f, 0x44, 0, 0\\n" NOTE("hit", "0", "-4@%[n]") :: [n] "r"(number));
}
int main(void)
{
  char c;
  while (read(0, &c, 1) == 1) {
    hit(-5, 0x1122334455667788, -3);
    asm volatile("990: nop\\n" NOTE("hit", "0", "-4@$7 8@$8"));
    hit_again(1234);
    asm volatile("990: nop\\n" NOTE("watched", "bpfkit_watched_semaphore", ""));
    printf("%d\\n", bpfkit_watched_semaphore);
    fflush(stdout);
  }
}
`;

const compiler = ["cc", "gcc", "clang-19"].find((name) => spawnSync(name, ["--version"]).status === 0);

describe.skipIf(compiler === undefined || process.arch !== "x64")("with a C compiler", () => {
  let folder = "";
  let path = "";
  let child: ChildProcessWithoutNullStreams;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "bpfkit-usdt-"));
    path = join(folder, "probed");
    writeFileSync(join(folder, "probed.c"), program);
    execFileSync(compiler!, ["-O1", "-o", path, join(folder, "probed.c")]);
    child = spawn(path);
    // Writing to a program that died is told by its end.
    child.stdin.on("error", () => undefined);
  });

  afterAll(() => {
    child?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The program hits each probe once; the value of its semaphore meanwhile. Says so when it dies of a probe. */
  const round = (): Promise<number> =>
    new Promise((done, fail) => {
      const died = (code: number | null, signal: string | null): void => {
        fail(new Error(`the program with the probes ended: ${signal ?? code}`));
      };
      child.once("exit", died);
      child.stdout.once("data", (data) => {
        child.off("exit", died);
        done(Number(String(data)));
      });
      child.stdin.write("x", (error) => (error ? fail(error) : undefined));
    });

  const values = (obj: BpfObject, count: number): bigint[] =>
    Array.from({ length: count }, (_, index) => (obj.bss.arguments as { [index: number]: bigint })[index]!);

  const loaded = (): BpfObject => {
    const obj = BpfObject.open(fixturePath("usdt"));
    obj.program("on_malformed").autoload = true;
    obj.map("__bpf_usdt_specs").maxEntries = 4;
    obj.loadSync();
    return obj;
  };

  kernelDescribe("USDT probes", { needs: ["uprobe", "array_mmap"] }, () => {
    it("deliver arguments of every place, and the cookie, until they are detached", async () => {
      const obj = loaded();
      try {
        const usdt = obj.program("on_usdt");
        const link = usdt.attachUsdt({ binary: path, provider: "bpfkit", name: "hit", pid: child.pid!, cookie: 99n });
        expect([link.kind, link.target]).toEqual(["usdt", `USDT probe ${path}:bpfkit:hit`]);
        await round();
        expect(obj.bss.hits).toBe(2n);
        expect(obj.bss.cookie_sum).toBe(198n);
        expect(obj.bss.argument_count).toBe(1);
        expect(values(obj, 2)).toEqual([1234n, 0n]);
        link.close();
        await round();
        expect(obj.bss.hits).toBe(2n);
        // Kernels without cookies have to know the process.
        const everywhere = missingOf(["bpf_cookie"]).length === 0 ? {} : { pid: child.pid! };
        usdt.attachUsdt({ binary: path, provider: "bpfkit", name: "full", ...everywhere });
        await round();
        expect(obj.bss.argument_count).toBe(5);
        expect(values(obj, 6)).toEqual([-5n, 0x1122334455667788n, -3n, -9n, 30n, 0n]);
        // Numbers of specifications are used again: the map has room for four.
        for (let i = 0; i < 5; i++) {
          usdt.attachUsdt({ binary: path, provider: "bpfkit", name: "hit", pid: child.pid! }).close();
        }
      } finally {
        obj.close();
      }
    });

    kernelIt("let programs sleep", { needs: ["sleepable_uprobe", "bpf_cookie"] }, async () => {
      const obj = BpfObject.open(fixturePath("sleepable"));
      try {
        obj.program("on_usdt").autoload = true;
        obj.rodata.target_pid = child.pid!;
        obj.loadSync();
        const link = obj.program("on_usdt").attachUsdt({ binary: path, provider: "bpfkit", name: "full", cookie: 7n });
        await round();
        expect([obj.bss.entries, obj.bss.cookie]).toEqual([1n, 7n]);
        // The probe's place in the program, a breakpoint or the instruction that it stands for.
        expect(obj.bss.path).not.toBe("");
        link.close();
        await round();
        expect(obj.bss.entries).toBe(1n);
      } finally {
        obj.close();
      }
    });

    it("raise the semaphore while somebody watches", async () => {
      const obj = loaded();
      try {
        expect(await round()).toBe(0);
        const link = obj.program("on_usdt").attachUsdt({
          binary: path,
          provider: "bpfkit",
          name: "watched",
          pid: child.pid!,
        });
        expect(await round()).toBe(1);
        expect([obj.bss.hits, obj.bss.argument_count, obj.bss.cookie]).toEqual([1n, 0, 0n]);
        link.close();
        expect(await round()).toBe(0);
      } finally {
        obj.close();
      }
    });

    it("raise the semaphore for a probe at the same place, given by hand", async () => {
      const { offset, semaphore } = withUserBinary(path, ({ source }) =>
        readUsdtProbes(source).probes.find(({ name }) => name === "watched"),
      )!;
      await withLoaded("uprobes", only("on_entry"), async (obj) => {
        const place = { binary: path, offset, refCtrOffset: semaphore!, pid: child.pid! };
        const link = obj.program("on_entry").attachUprobe(place);
        expect(await round()).toBe(1);
        if (missingOf(["perf_link"]).length === 0 && !olderThan("6.6")) {
          // Linux 6.16 was the first to tell the counter.
          const refCtrOffset = olderThan("6.16") ? 0n : BigInt(semaphore!);
          expect(link.info()).toMatchObject({ event: { kind: "uprobe", path, offset, refCtrOffset } });
        }
        link.close();
        expect(await round()).toBe(0);
      });
    });

    it("say what does not exist", () => {
      const obj = loaded();
      try {
        const usdt = obj.program("on_usdt");
        const attach = (name: string) => () => usdt.attachUsdt({ binary: path, provider: "bpfkit", name });
        expect(attach("hti")).toThrow(NotFoundError);
        expect(attach("hti")).toThrow("did you mean bpfkit:hit?");
        expect(() => usdt.attachUsdt({ binary: "node", provider: "x", name: "y" })).toThrow("has no USDT probe x:y");
        expect(() => obj.program("on_malformed").attach()).toThrow("usdt/BINARY:PROVIDER:NAME");
      } finally {
        obj.close();
      }
    });
  });

  // Linux before 5.15: programs know places by their addresses, which is pretended on newer kernels.
  kernelDescribe("USDT probes without cookies", { needs: ["uprobe", "array_mmap"] }, () => {
    let before: ReturnType<typeof pretend>;
    beforeEach(() => {
      before = pretend("bpf_cookie", false);
    });
    afterEach(() => {
      pretend("bpf_cookie", before);
    });

    const addresses = (obj: BpfObject): number => [...obj.map("__bpf_usdt_ip_to_spec_id").keys()].length;

    it("are told apart by their addresses in the process, until they are detached", async () => {
      const obj = loaded();
      try {
        const usdt = obj.program("on_usdt");
        const watch = (name: string, cookie: bigint) =>
          usdt.attachUsdt({ binary: path, provider: "bpfkit", name, pid: child.pid!, cookie });
        const hit = watch("hit", 99n);
        expect(addresses(obj)).toBe(2);
        await round();
        expect([obj.bss.hits, obj.bss.cookie_sum, obj.bss.argument_count]).toEqual([2n, 198n, 1]);
        expect(values(obj, 2)).toEqual([1234n, 0n]);
        const full = watch("full", 5n);
        hit.close();
        expect(addresses(obj)).toBe(1);
        await round();
        expect([obj.bss.hits, obj.bss.cookie, obj.bss.argument_count]).toEqual([3n, 5n, 5]);
        expect(values(obj, 6)).toEqual([-5n, 0x1122334455667788n, -3n, -9n, 30n, 0n]);
        // An address can mean one thing only; what failed leaves nothing behind.
        expect(() => watch("full", 6n)).toThrow(/EEXIST/);
        expect(addresses(obj)).toBe(1);
        full.close();
        expect(addresses(obj)).toBe(0);
        for (let i = 0; i < 5; i++) watch("hit", 1n).close();
        expect(addresses(obj)).toBe(0);
        await round();
        expect(obj.bss.hits).toBe(3n);
      } finally {
        obj.close();
      }
    });

    it("raise the semaphore, too", async () => {
      const obj = loaded();
      try {
        const place = { binary: path, provider: "bpfkit", name: "watched", pid: child.pid! };
        const link = obj.program("on_usdt").attachUsdt(place);
        expect(await round()).toBe(1);
        expect([obj.bss.hits, obj.bss.argument_count]).toEqual([1n, 0]);
        link.close();
        expect(await round()).toBe(0);
      } finally {
        obj.close();
      }
    });

    it("take a process where files are loaded anywhere, and none where they have their place", async () => {
      const obj = loaded();
      const fixed = join(folder, "fixed");
      execFileSync(compiler!, ["-O1", "-no-pie", "-o", fixed, join(folder, "probed.c")]);
      try {
        const usdt = obj.program("on_usdt");
        const everywhere = { provider: "bpfkit", name: "hit" };
        expect(() => usdt.attachUsdt({ binary: path, ...everywhere })).toThrow(UnsupportedError);
        expect(() => usdt.attachUsdt({ binary: path, ...everywhere })).toThrow(/of one process.*give its pid/s);
        expect(() => usdt.attachUsdt({ binary: path, ...everywhere, pid: 0 })).toThrow("does not run");
        expect(() => usdt.attachUsdt({ binary: path, ...everywhere, pid: 0x7fff_fff0 })).toThrow("may have ended");
        expect(addresses(obj)).toBe(0);
        usdt.attachUsdt({ binary: fixed, ...everywhere, cookie: 7n });
        expect(spawnSync(fixed, { input: "xxx" }).status).toBe(0);
        expect([obj.bss.hits, obj.bss.cookie_sum]).toEqual([6n, 42n]);
        expect(values(obj, 1)).toEqual([1234n]);
      } finally {
        obj.close();
      }
    });
  });
});
