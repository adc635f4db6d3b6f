// Programs on perf events that the user chooses.

import { expect, it } from "vitest";
import type { BpfObject } from "../../src/index.js";
import { PerfSoftware, PerfType, perfEventEnable, perfEventOpen } from "../../src/syscall/index.js";
import { eventually, only, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

/** These programs, without the map of sockets, which kernels may lack. */
const edit =
  (...names: string[]) =>
  (obj: BpfObject): void => {
    only(...names)(obj);
    obj.map("sockets").autocreate = false;
  };

/** Uses the processor for a while. */
function compute(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) Math.sqrt(Math.random());
}

/** How many samples there were when the processor was used for a while. */
function samplesAfter(obj: BpfObject, milliseconds: number): bigint {
  compute(milliseconds);
  return obj.bss.sample_runs as bigint;
}

kernelDescribe("perf events", { needs: ["perf_event", "array_mmap"] }, () => {
  it("sample every CPU by frequency, until they are detached", async () => {
    await withLoaded("hooks", edit("on_sample"), async (obj) => {
      const link = obj.program("on_sample").attachPerfEvent({ event: "cpu-clock", frequency: 500 });
      expect(await eventually(() => samplesAfter(obj, 20) > 5n)).toBe(true);
      link.close();
      const stopped = obj.bss.sample_runs;
      compute(50);
      expect(obj.bss.sample_runs).toBe(stopped);
    });
  });

  it("sample one process on one CPU by period", async () => {
    await withLoaded("hooks", edit("on_sample"), async (obj) => {
      const spec = { event: "page-faults", period: 1, pid: 0 } as const;
      const link = obj.program("on_sample").attachPerfEvent(spec);
      expect(link.target).toBe("perf event page-faults");
      const touch = (): bigint => {
        new Uint8Array(64 << 20).fill(1);
        return obj.bss.sample_runs as bigint;
      };
      expect(await eventually(() => touch() > 100n)).toBe(true);
    });
  });

  kernelIt(
    "are those of a descriptor that the user opened; the cookie arrives",
    { needs: ["perf_link", "bpf_cookie"] },
    async () => {
      await withLoaded("hooks", edit("on_sample_cookie"), async (obj) => {
        using event = perfEventOpen({
          type: PerfType.SOFTWARE,
          config: PerfSoftware.TASK_CLOCK,
          samplePeriod: 1_000_000,
          pid: 0,
          disabled: true,
        });
        const program = obj.program("on_sample_cookie");
        const link = program.attachPerfEvent(event, { cookie: 0x1234_5678_9abcn, dontEnable: true });
        // Before Linux 6.6 the kernel does not tell which event it is.
        const info = link.info();
        expect(info).toMatchObject({ kind: "perf_event", event: { kind: expect.stringMatching(/^(event|unknown)$/) } });
        if (info.kind === "perf_event" && info.event.kind === "event") expect(info.event.config).toBe(1n);
        compute(20);
        expect(obj.bss.sample_runs).toBe(0n);
        perfEventEnable(event);
        expect(await eventually(() => samplesAfter(obj, 5) > 2n)).toBe(true);
        expect(obj.bss.last_cookie).toBe(0x1234_5678_9abcn);
        link.close();
        const stopped = obj.bss.sample_runs;
        compute(20);
        expect(obj.bss.sample_runs).toBe(stopped);
      });
    },
  );

  it("can be attached without a kernel link, which takes no cookie", async () => {
    await withLoaded("hooks", edit("on_sample"), async (obj) => {
      const program = obj.program("on_sample");
      const spec = { event: "cpu-clock", frequency: 500 } as const;
      expect(() => program.attachPerfEvent(spec, { ioctl: true, cookie: 1n })).toThrow("get no cookie");
      const link = program.attachPerfEvent(spec, { ioctl: true });
      expect(() => link.info()).toThrow("the kernel has no link for it");
      expect(await eventually(() => samplesAfter(obj, 20) > 5n)).toBe(true);
      link.close();
      const stopped = obj.bss.sample_runs;
      compute(50);
      expect(obj.bss.sample_runs).toBe(stopped);
    });
  });

  it("refuse what cannot be sampled", async () => {
    await withLoaded("hooks", edit("on_sample"), (obj) => {
      const program = obj.program("on_sample");
      expect(() => program.attachPerfEvent({ event: "cpu-clock" })).toThrow("either frequency or period");
      expect(() => program.attachPerfEvent({ event: "clock" as "cpu-clock", frequency: 1 })).toThrow(
        "no perf event clock",
      );
      const nothing = { event: { type: 4711, config: 0 }, frequency: 1 };
      expect(() => program.attachPerfEvent(nothing)).toThrow("this machine cannot count it");
    });
  });
});
