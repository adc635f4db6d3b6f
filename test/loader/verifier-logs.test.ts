// Who gets how much of the verifier's log: by program, by object, and when the first buffer is too small (libbpf.md 3.9).
// Logs of refused programs are in refused.test.ts.

import { expect, it } from "vitest";
import { runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

kernelDescribe("the verifier's log of accepted programs", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("is not written without a level", async () => {
    await withLoaded(
      "logs",
      () => {},
      (obj) => expect(obj.programs.map(({ verifierLog }) => verifierLog)).toEqual([undefined, undefined]),
    );
  });

  it("has a level by program, else the object's", async () => {
    await withLoaded(
      "logs",
      (obj) => {
        obj.program("talkative").logLevel = 4;
        expect(obj.program("quiet").logLevel).toBeUndefined();
      },
      (obj) => {
        const [talkative, quiet] = ["talkative", "quiet"].map((name) => obj.program(name).verifierLog!);
        // Linux 7 has a line more.
        expect(talkative).toMatch(/^([a-z][^\n]*\n){0,4}processed \d+ insns/);
        expect(talkative).not.toContain("R1");
        expect(quiet).toMatch(/0: \(b[47]\) [rw]0 = 2/);
        expect(() => {
          obj.program("quiet").logLevel = 0;
        }).toThrow(/logLevel cannot be changed after load/);
      },
      { logLevel: 2 },
    );
    await withLoaded(
      "logs",
      (obj) => {
        obj.program("quiet").logLevel = 0;
      },
      (obj) => {
        expect(obj.program("quiet").verifierLog).toBeUndefined();
        expect(obj.program("talkative").verifierLog).toMatch(/processed \d+ insns/);
      },
      { logLevel: 1 },
    );
  });

  it("gets the room that it needs", async () => {
    await withLoaded(
      "logs",
      (obj) => {
        obj.program("talkative").logLevel = 2;
      },
      (obj) => {
        const log = obj.program("talkative").verifierLog!;
        expect(log.length).toBeGreaterThan(1 << 20);
        expect(log).toMatch(/^(func#0|0: )/);
        expect(log).toMatch(/\nprocessed \d+ insns .*\n$/);
        expect(runFilter(obj, "talkative")).toBe(1);
        expect(obj.bss.sum).not.toBe(0n);
      },
    );
  });
});
