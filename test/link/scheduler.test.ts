// A scheduler by a link: it schedules every task of a virtual machine as long as the link lasts.

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { UnsupportedError } from "../../src/index.js";
import { eventually, loadError, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

const state = (): string => readFileSync("/sys/kernel/sched_ext/state", "utf8").trim();
const nothing = (): void => undefined;

kernelDescribe("sched_ext", { needs: ["virtual_machine", "sched_ext", "struct_ops_link", "array_mmap"] }, () => {
  it("schedules until the link is closed, and can be registered again", async () => {
    await withLoaded("scheduler", nothing, async (obj) => {
      expect(state()).toBe("disabled");
      for (const round of [1n, 2n]) {
        const [link] = obj.attach();
        expect([link!.kind, link!.target]).toEqual(["struct_ops", "struct_ops scheduler"]);
        expect([state(), obj.bss.inits]).toEqual(["enabled", round]);
        expect(readFileSync("/sys/kernel/sched_ext/root/ops", "utf8").trim()).toBe("bpfkit_queue");
        const before = obj.bss.enqueued as bigint;
        expect(await eventually(() => (obj.bss.enqueued as bigint) > before + 20n)).toBe(true);
        expect(link!.info()).toMatchObject({ kind: "struct_ops", mapId: expect.any(Number) });
        expect([state(), obj.bss.ends]).toEqual(["enabled", round - 1n]);
        link!.close();
        expect(await eventually(() => state() === "disabled" && obj.bss.ends === round)).toBe(true);
        expect(obj.bss.reason).toMatch(/^unregistered/);
      }
      const after = obj.bss.enqueued;
      await new Promise((done) => setTimeout(done, 100));
      expect(obj.bss.enqueued).toBe(after);
    });
  });

  it("says that it is busy when there is a scheduler already", async () => {
    await withLoaded("scheduler", nothing, async (first) => {
      const link = first.map("scheduler").attachStructOps();
      await withLoaded("scheduler", nothing, (second) => {
        expect(() => second.map("scheduler").attachStructOps()).toThrow(
          /cannot attach to struct_ops scheduler: .*EBUSY/,
        );
      });
      link.close();
      expect(await eventually(() => state() === "disabled")).toBe(true);
    });
  });
});

kernelIt(
  "a scheduler on a kernel without any is an error that says so",
  { needs: ["virtual_machine", "struct_ops"] },
  () => {
    const error = loadError("scheduler", nothing);
    if (error === undefined) return;
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(String(error)).toMatch(/sched_ext_ops/);
  },
);
