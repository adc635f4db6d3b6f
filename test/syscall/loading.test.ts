// koffi is loaded at the first call, and what goes wrong then is said in one sentence.

import { describe, expect, it } from "vitest";
import { runModule } from "./process.js";

const loaded = `Object.keys((await import("node:module")).default._cache ?? {}).some((path) => path.includes("koffi"))`;

describe("loading", () => {
  it("imports without koffi, and loads it at the first call", () => {
    const { output, status } = runModule(`
      const s = await import("./src/syscall/index.ts");
      await import("./src/events/watcher.ts");
      console.log("before", ${loaded});
      s.memlockLimit();
      console.log("after", ${loaded});
    `);
    expect(output).toContain("before false");
    expect(output).toContain("after true");
    expect(status).toBe(0);
  });

  it("names --allow-addons under the permission model", () => {
    const model = Number(process.versions.node.split(".")[0]) >= 24 ? "--permission" : "--experimental-permission";
    const { output } = runModule(
      `
      const s = await import("./src/syscall/index.ts");
      try { s.memlockLimit(); } catch (error) { console.log(error.name, error.code, error.hint); }
    `,
      [model, "--allow-fs-read=*", "--allow-fs-write=*", "--allow-worker", "--allow-child-process"],
    );
    expect(output).toContain("UnsupportedError FFI add --allow-addons");
  });
});
