// Generated modules compile, in every variant, under the strictest settings and with the oldest supported TypeScript; and
// what is misspelt in code that uses them does not.

import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  generateDeclarations,
  generateSkeleton,
  generateSubskeleton,
  generateTypes,
} from "../../src/skeleton/index.js";
import { fixtureBytes, fixtureNames } from "../support/fixtures.js";
import { compilers, compilerVersion, Project } from "./typescript.js";

/** Objects that can be opened; those without BTF have no types. */
const names = fixtureNames().filter((name) => name !== "minimal.nobtf");
const typed = names.filter((name) => name !== "nobtf");

let project: Project;
beforeAll(() => {
  project = new Project();
});
afterAll(() => project.remove());

it("leaves what is not used to bundlers", async () => {
  project.write("globals.skel.ts", generateSkeleton(fixtureBytes("globals"), { name: "globals" }));
  const bundle = async (use: string): Promise<string> => {
    const { outputFiles } = await build({
      stdin: { contents: use, resolveDir: project.folder, loader: "ts" },
      bundle: true,
      write: false,
      format: "esm",
      external: ["bpfkit"],
      minifySyntax: true,
      legalComments: "none",
    });
    // The import of the package stays where it is external.
    return outputFiles[0]!.text.replace(/^(\/\/.*|import [^;]*;)\n/gm, "");
  };
  expect(await bundle('import { color } from "./globals.skel.ts"; console.log(color.COLOR_BLUE);')).toMatch(
    /^\s*var color = \{[^{}]*\};\s*console\.log\(color\.COLOR_BLUE\);\s*$/,
  );
  expect(await bundle('import { GlobalsBpf } from "./globals.skel.ts"; GlobalsBpf.open();')).toContain(
    "extends Skeleton",
  );
});

describe.each(compilers)("%s", (compiler) => {
  it("is the version that is meant", () => {
    expect(compilerVersion(compiler)).toMatch(compiler === "typescript" ? /^7\./ : /^5\.4\./);
  });

  it("accepts the skeletons, subskeletons, types and declarations of all fixtures", async () => {
    const files: string[] = [];
    const write = (file: string, text: string): void => {
      project.write(file, text);
      files.push(file);
    };
    for (const name of names) {
      const bytes = fixtureBytes(name);
      write(`${name}.skel.ts`, generateSkeleton(bytes, { name }));
      write(`${name}.external.ts`, generateSkeleton(bytes, { name, object: { external: `./${name}.bpf.o` } }));
      write(`${name}.sub.ts`, generateSubskeleton(bytes, { name }));
      write(`${name}.bpf.d.ts`, generateDeclarations(bytes, { name }));
    }
    for (const name of typed) write(`${name}.types.ts`, generateTypes(fixtureBytes(name), { source: name }));
    expect(await project.check(compiler, files)).toEqual([]);
  });

  it("refuses misspelt and mistyped use, line by line", async () => {
    project.write("events.skel.ts", generateSkeleton(fixtureBytes("events"), { name: "events", types: ["event"] }));
    project.write("globals.skel.ts", generateSkeleton(fixtureBytes("globals"), { name: "globals" }));
    project.write("maps.skel.ts", generateSkeleton(fixtureBytes("maps"), { name: "maps" }));
    project.write("access.skel.ts", generateSkeleton(fixtureBytes("map_access"), { name: "access" }));
    const good = `
import { RingBuffer } from "bpfkit";
import { AccessBpf } from "./access.skel.js";
import { EventsBpf, type event } from "./events.skel.js";
import { color, GlobalsBpf } from "./globals.skel.js";
import { MapsBpf } from "./maps.skel.js";
using events = EventsBpf.open();
using globals = GlobalsBpf.open({ name: "other" });
using maps = MapsBpf.open();
export const number: bigint = globals.data.data_u64;
globals.data.data_u64 += 1n;
globals.data.data_u64 = 5;
globals.data.data_color = color.COLOR_BLUE;
globals.rodata.ro_shape = { name: "square", corners: [{ x: 1 }], raw: 5 };
globals.rodata.ro_shape.layer = 5;
globals.data.data_array[2] = 5;
export const x: number | undefined = globals.rodata.ro_shape.corners[0]?.x;
export const traffic: bigint | undefined = maps.maps.flows.get({ source: 1, target: 2, port: 3, protocol: 6, padding: 0 })?.bytes;
export const pid = (event: event): number => event.pid;
events.links.report_exec = undefined;
export const ring: AsyncIterable<event> = new RingBuffer<event>(events.maps.events, { type: "event" });
export const seen: boolean = AccessBpf.open().maps.seen.push(5).has(5);
`;
    const bad = `
globals.data.data_u46 = 5;                         // no such variable
export const text: string = globals.data.data_u64; // bigint
globals.data.data_u32 = "5";                       // number
globals.rodata.ro_shape = { nome: "square" };      // no such member
globals.rodata.ro_shape.layer = true;              // number
globals.data.data_color = color.COLOR_BLEU;        // no such enumerator
maps.maps.flow;                                    // no such map
maps.maps.flows.get(5);                            // a struct
maps.maps.waiting.get(5);                          // a queue has no keys
maps.progs.touch_map;                              // no such program
events.links.report_exek = undefined;                  // no such link
export const b = (event: event) => event.pidd;     // no such member
EventsBpf.open({ nome: "other" });                 // no such option
new EventsBpf();                                   // open() makes them
`;
    project.write("use.ts", good + bad.slice(1));
    const errors = await project.check(compiler, ["use.ts"]);
    const first = good.split("\n").length;
    const lines = bad
      .trim()
      .split("\n")
      .map((_, index) => first + index);
    expect([...new Set(errors.map(({ file, line }) => `${file}:${line}`))]).toEqual(
      lines.map((line) => `use.ts:${line}`),
    );
  });
});
