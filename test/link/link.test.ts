// Life of a link: closing, detaching, pinning, giving up, replacing the program; each by what the program still counts.

import { execFileSync } from "node:child_process";
import { closeSync } from "node:fs";
import { expect, it } from "vitest";
import { BpfLink, type BpfObject } from "../../src/index.js";
import { pinsIn, withBpfFs } from "../support/bpffs.js";
import { eventually, fixturePath, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";
import { runModule } from "../syscall/process.js";

/** Loads a counter of programs that are executed; gives how many it saw while `body` ran one. */
function withCounter(body: (obj: BpfObject, counts: () => number) => void | Promise<void>): Promise<void> {
  const nothing = (): void => undefined;
  return withLoaded("raw_tp", nothing, (obj) => {
    const counts = (): number => {
      const before = obj.bss.execs as bigint;
      for (let i = 0; i < 3; i++) execFileSync("/bin/true");
      return Number((obj.bss.execs as bigint) - before);
    };
    return body(obj, counts);
  });
}

kernelDescribe("BpfLink", { needs: ["raw_tracepoint", "array_mmap"] }, () => {
  it("detaches when it is closed, once", async () => {
    await withCounter((obj, counts) => {
      const link = obj.program("on_exec").attach();
      expect(counts()).toBeGreaterThanOrEqual(3);
      expect(link.attached).toBe(true);
      link.close();
      link.close();
      expect(counts()).toBe(0);
      expect(link.attached).toBe(false);
      expect(() => link.fd).toThrow("used after close()");
      expect(() => link.info()).toThrow("used after close()");
    });
  });

  it("tells what the kernel knows of it", async () => {
    await withCounter((obj) => {
      const link = obj.program("on_exec").attach();
      const info = link.info();
      expect(info).toMatchObject({ kind: "raw_tracepoint", tracepoint: "sched_process_exec" });
      using again = BpfLink.openById(info.id);
      expect(again.info()).toEqual(info);
      expect([again.kind, again.program, again.target]).toEqual([
        "raw_tracepoint",
        "on_exec",
        "raw tracepoint sched_process_exec",
      ]);
    });
  });

  it("stays attached by another descriptor of the same link", async () => {
    await withCounter((obj, counts) => {
      const link = obj.program("on_exec").attach();
      const again = BpfLink.openById(link.info().id);
      link.close();
      expect(counts()).toBeGreaterThanOrEqual(3);
      again.close();
      expect(counts()).toBe(0);
    });
  });

  it("outlives its object by a pin, and is found there", async () => {
    await withBpfFs(async (root) => {
      const path = `${root}/links/exec`;
      await withCounter(async (obj, counts) => {
        const link = obj.program("on_exec").attach();
        link.pin(path);
        expect(link.pinPath).toBe(path);
        expect(() => link.pin(`${root}/other`)).toThrow("is pinned at");
        link.close();
        expect(counts()).toBeGreaterThanOrEqual(3);

        const opened = BpfLink.openPinned(path);
        expect(opened.pinPath).toBe(path);
        opened.unpin();
        expect(pinsIn(`${root}/links`)).toEqual([]);
        expect(() => opened.unpin()).toThrow("is not pinned");
        expect(counts()).toBeGreaterThanOrEqual(3);
        opened.close();
        // The kernel gives the pin's share of the link back a moment after the pin is gone.
        expect(await eventually(() => counts() === 0)).toBe(true);
      });
    });
  });

  it("keeps the attachment when it is given up, until its descriptor goes", async () => {
    await withCounter((obj, counts) => {
      const link = obj.program("on_exec").attach();
      const again = BpfLink.openById(link.info().id);
      const kept = again.fd;
      try {
        again.disconnect();
        expect(again.attached).toBe(false);
        link.close();
        expect(counts()).toBeGreaterThanOrEqual(3);
      } finally {
        closeSync(kept);
      }
      expect(counts()).toBe(0);
    });
  });

  it("says that a raw tracepoint can neither be detached by force nor given another program", async () => {
    await withCounter((obj) => {
      const link = obj.program("on_exec").attach();
      expect(() => link.detach()).toThrow("ends with the last descriptor of its link only");
      expect(() => link.update(obj.program("on_exit"))).toThrow("links of kind raw_tracepoint take no other program");
      expect(link.attached).toBe(true);
    });
  });

  it("is detached with a warning when nothing refers to it any more", () => {
    const { output } = runModule(
      `
      import { execFileSync } from "node:child_process";
      import { BpfObject } from "./src/index.ts";
      import { attachRawTracepoint } from "./src/link/index.ts";
      import { setLogger } from "./src/log.ts";
      setLogger((level, message) => console.log(level, message));
      const obj = BpfObject.open(${JSON.stringify(fixturePath("raw_tp"))});
      obj.loadSync();
      const counts = () => {
        const before = obj.bss.execs;
        execFileSync("/bin/true");
        return obj.bss.execs - before;
      };
      // Not of the object, which would keep it.
      (() => void attachRawTracepoint(obj.program("on_exec"), "sched_process_exec"))();
      console.log("attached:", counts() > 0n);
      for (let i = 0; i < 50 && counts() > 0n; i++) {
        globalThis.gc();
        await new Promise((done) => setTimeout(done, 10));
      }
      console.log("afterwards:", counts());
      obj.close();
      `,
      ["--expose-gc"],
    );
    expect(output).toContain("attached: true");
    expect(output).toMatch(
      /warn.*the link of on_exec to raw tracepoint sched_process_exec was never closed; detaching/,
    );
    expect(output).toContain("afterwards: 0n");
  });

  it("opens no link where something else or nothing is pinned", async () => {
    await withBpfFs(async (root) => {
      await withCounter((obj) => {
        obj.maps[0]?.pin(`${root}/map`);
        expect(() => BpfLink.openPinned(`${root}/map`)).toThrow("map");
        expect(() => BpfLink.openPinned(`${root}/none`)).toThrow("none");
      });
    });
  });
});
