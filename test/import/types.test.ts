// The types that an import writes are those that TypeScript finds for it, with the oldest and the newest compiler.

import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rollupPlugin } from "../../src/import/plugin.js";
import { compilers, compilerVersion, Project } from "../skeleton/typescript.js";

let project: Project;
const context = { addWatchFile() {}, warn() {}, emitFile: () => "" };
beforeAll(() => {
  project = new Project();
  const object = join(project.folder, "minimal.bpf.o");
  cpSync("fixtures/minimal.bpf.o", object);
  rollupPlugin().load.call(context, object);
  mkdirSync(join(project.folder, "typed"));
  cpSync("fixtures/events.bpf.o", join(project.folder, "typed/events.bpf.o"));
  project.write("typed/package.json", '{ "type": "module", "bpfkit": { "types": ["event"] } }');
  rollupPlugin().load.call(context, join(project.folder, "typed/events.bpf.o"));
  project.write(
    "typed/good.ts",
    `import { RingBuffer } from "bpfkit";
     import Skeleton, { type event } from "./events.bpf.o";
     export const pids = async function* (): AsyncGenerator<number> {
       for await (const { pid } of new RingBuffer<event>(Skeleton.open().maps.events, { type: "event" })) yield pid;
     };`,
  );
  project.write(
    "good.ts",
    `import Skeleton, { MinimalBpf } from "./minimal.bpf.o";
     const skeleton: MinimalBpf = Skeleton.open();
     skeleton.rodata.target_pid = 1;
     export const count: bigint | undefined = skeleton.maps.syscall_count.get(1);`,
  );
  project.write(
    "bad.ts",
    `import Skeleton from "./minimal.bpf.o";
     const skeleton = Skeleton.open();
     skeleton.rodata.target_pit = 1;
     skeleton.maps.syscal_count.get(1);
     skeleton.rodata.target_pid = "1";`,
  );
  project.write("none.ts", 'import Skeleton from "./other.bpf.o";\nSkeleton.open();');
  project.write(
    "config.ts",
    `import { type EsbuildPlugin, esbuildPlugin, rollupPlugin, vitePlugin } from "bpfkit/plugin";
     import "bpfkit/register";
     export const all: { name: string }[] = [rollupPlugin(), vitePlugin({ cflags: ["-Iinclude"], types: ["event"] })];
     export const one: EsbuildPlugin = esbuildPlugin({ declarations: false });`,
  );
});
afterAll(() => project.remove());

// A compiler takes some seconds on a free machine, and more than a minute on a busy one.
describe.each(compilers)("%s", { timeout: 300_000 }, (compiler) => {
  const options = { allowArbitraryExtensions: true };

  it(`${compilerVersion(compiler)} accepts what is right`, async () => {
    expect(await project.check(compiler, ["good.ts", "typed/good.ts", "config.ts"], options)).toEqual([]);
  });

  it("refuses misspelt names and wrong types", async () => {
    const complaints = await project.check(compiler, ["bad.ts"], options);
    expect(complaints.map(({ file, line }) => `${file}:${line}`)).toEqual(["bad.ts:3", "bad.ts:4", "bad.ts:5"]);
    expect(complaints[0]?.text).toContain("Did you mean 'target_pid'?");
  });

  it("knows no object that was not imported yet, and none without the option", async () => {
    expect((await project.check(compiler, ["none.ts"], options))[0]?.text).toContain("TS2307");
    expect((await project.check(compiler, ["good.ts"]))[0]?.text).toContain("allowArbitraryExtensions");
  });
});
