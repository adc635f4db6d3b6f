// An imported object works with the kernel as any other: its program runs and changes its variables.

import { afterAll, beforeAll, expect, it } from "vitest";
import { ImportingProject } from "../import/project.js";
import { kernelDescribe } from "../support/needs.js";

kernelDescribe("an imported object", { needs: ["syscall_program"] }, () => {
  let project: ImportingProject;
  beforeAll(() => {
    project = new ImportingProject();
    project.addObject("globals");
  });
  afterAll(() => project.remove());

  it("is loaded, and its program runs", async () => {
    const { status, out, err } = await project.run(`
      import { progTestRun } from "bpfkit/syscall";
      import GlobalsBpf from "./globals.bpf.o";
      const skeleton = GlobalsBpf.open();
      skeleton.data.data_u64 = 10;
      skeleton.data_custom.custom_counter = 1n;
      await skeleton.load();
      console.log(skeleton.data.data_u64, skeleton.data_custom.custom_counter);
      progTestRun({ program: skeleton.progs.copy_globals.fd, context: new Uint8Array(0), contextOutSize: 0 });
      console.log(skeleton.data.data_u64, skeleton.data_custom.custom_counter);
      skeleton.close();`);
    expect({ status, out, err }).toEqual({ status: 0, out: "10n 1n\n11n 78n\n", err: "" });
  });
});
