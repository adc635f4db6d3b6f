// What a process is told that may not use BPF: everything that the object needs, by the first refusal.

import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { fixturePath } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";
import { moduleArguments } from "../support/script.js";

/** The error of loading a fixture without any capability. */
function refusal(fixture: string): string {
  const source = `
    import { BpfObject } from "./src/index.ts";
    const obj = BpfObject.open(${JSON.stringify(fixturePath(fixture))});
    try {
      obj.loadSync();
      console.log("loaded");
    } catch (error) {
      console.log(error.name, error.code, error.message);
    }
    obj.close();
  `;
  const without = ["--inh-caps=-all", "--bounding-set=-all", process.execPath];
  const child = spawnSync("setpriv", [...without, ...moduleArguments(source)], {
    encoding: "utf8",
    timeout: 60_000,
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  return child.stdout + child.stderr;
}

kernelDescribe("loading without capabilities", { needs: ["bpf"] }, () => {
  it("names all that the object's programs need", { timeout: 120_000 }, () => {
    expect(refusal("minimal")).toMatch(
      /^SystemCallError (SYSCALL|VERIFIER) .*EPERM.*lacks CAP_BPF and CAP_PERFMON \(or CAP_SYS_ADMIN\); run it as root/,
    );
  });
});
