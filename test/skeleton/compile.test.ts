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
import { type Compiler, compilers, compilerVersion, Project } from "./typescript.js";

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

/** Compiles both together: each line of `bad` is an error, and no other line. */
async function expectOnlyBad(compiler: Compiler, good: string, bad: string): Promise<void> {
  project.write("use.ts", good + bad.slice(1));
  const errors = await project.check(compiler, ["use.ts"]);
  const first = good.split("\n").length;
  const lines = bad
    .trim()
    .split("\n")
    .map((_, index) => first + index);
  const texts = errors.map(({ text }) => text).join("\n");
  expect([...new Set(errors.map(({ file, line }) => `${file}:${line}`))], texts).toEqual(
    lines.map((line) => `use.ts:${line}`),
  );
}

// A compiler takes some seconds on a free machine, and more than a minute on a busy one.
describe.each(compilers)("%s", { timeout: 300_000 }, (compiler) => {
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
    project.write("numbers.skel.ts", generateSkeleton(fixtureBytes("globals"), { name: "globals", int64: "number" }));
    project.write("maps.skel.ts", generateSkeleton(fixtureBytes("maps"), { name: "maps" }));
    project.write("access.skel.ts", generateSkeleton(fixtureBytes("map_access"), { name: "access" }));
    const good = `
import { type BpfMap, type Descriptor, RingBuffer, typedArray } from "bpfkit";
import { AccessBpf, type guarded } from "./access.skel.js";
import { EventsBpf, type event } from "./events.skel.js";
import { color, GlobalsBpf } from "./globals.skel.js";
import { type flow, MapsBpf, type traffic as Traffic } from "./maps.skel.js";
using events = EventsBpf.open();
using globals = GlobalsBpf.open({ name: "other" });
import { GlobalsBpf as NumbersBpf } from "./numbers.skel.js";
using maps = MapsBpf.open();
const numbers = NumbersBpf.open();
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
const access = AccessBpf.open().maps;
export const seen: boolean = access.seen.push(5).has(5);
maps.maps.flows.set({ source: 1, target: 2 }, { packets: 1 }).set(new Uint8Array(16), new Uint8Array(16));
maps.maps.flows.setAll([[{ port: 1 }, { bytes: 5 }]]);
access.guards.set(1, { updates: 7 }, { lock: true });
access.tails.set(1, access.seen.name === "" ? 5 : AccessBpf.open().progs.tail);
access.by_key.set(9, access.by_key.createInner());
access.of_task.set({ fd: 5 }, { a: 1 });
access.of_task.delete(5);
export const ids: readonly (number | undefined)[] = [access.by_key.get(9), access.tails.get(1)];
export const anyMap: BpfMap = access.tails;
anyMap.set(1, { fd: 5 }).set("text", [{ a: 1 }]);
access.triples.live[3]!.a = 5;
access.words.live[1]! += 1n;
typedArray(access.words.live, BigUint64Array)[0] = 5n;
numbers.data.data_u64 += 1;
numbers.data.data_u64 = 5n;
export const raw: number = numbers.rodata.ro_shape.raw;
numbers.bss.bss_shape = { raw: 5n, corners: [{ x: 1 }] };

// What is read, exactly.
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const equal = <A, B>(_: Equal<A, B>): void => {};
equal<ReturnType<typeof access.tails.get>, number | undefined>(true);
equal<ReturnType<typeof access.guards.values>, Generator<guarded, void, undefined>>(true);
equal<ReturnType<typeof maps.maps.flows.entries>, Generator<[flow, Traffic], void, undefined>>(true);
equal<ReturnType<typeof access.recent_hits.get>, readonly bigint[] | undefined>(true);
equal<ReturnType<typeof access.recent_hits.getCpu>, bigint | undefined>(true);
equal<Parameters<typeof access.tails.set>[1], Descriptor>(true);
equal<Parameters<typeof access.of_task.get>[0], Descriptor | bigint>(true);
equal<ReturnType<typeof maps.maps.waiting.pop>, ReturnType<typeof maps.maps.waiting.peek>>(true);
equal<typeof globals.data.data_u64, bigint>(true);
equal<typeof numbers.data.data_u64, number>(true);
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
maps.maps.flows.set({ prot: 1 }, {});              // no such member
maps.maps.flows.set({ port: "a" }, {});            // number
access.tails.set(1, "tail");                       // a program
access.tails.set(1, 5n);                           // descriptors are numbers
access.triples.live[3]!.d = 5;                     // no such member
access.words.live[1] = 5;                          // bigint
numbers.data.data_u64 = "5";                       // number
NumbersBpf.open({ int64: "bigint" });              // no such option
maps.maps.waiting.get(5);                          // a queue has no keys
maps.progs.touch_map;                              // no such program
events.links.report_exek = undefined;                  // no such link
export const b = (event: event) => event.pidd;     // no such member
EventsBpf.open({ nome: "other" });                 // no such option
new EventsBpf();                                   // open() makes them
`;
    await expectOnlyBad(compiler, good, bad);
  });

  it("lets live views be set to all that they take, and to nothing else", async () => {
    project.write("views.skel.ts", generateSkeleton(fixtureBytes("views"), { name: "views" }));
    project.write("numbers.skel.ts", generateSkeleton(fixtureBytes("views"), { name: "views", int64: "number" }));
    // As JavaScript with declarations, as the plugins do.
    project.write("plain.skel.d.ts", generateDeclarations(fixtureBytes("views"), { name: "views" }));
    const good = `
import { type Live, snapshot, typedArray } from "bpfkit";
import { ViewsBpf as NumbersBpf } from "./numbers.skel.js";
import plain from "./plain.skel.js";
import { type config, type counter, type LiveConfig, type LiveCounter, mode, type span, ViewsBpf } from "./views.skel.js";
const { rodata, data, bss, kconfig } = ViewsBpf.open();
const numbers = NumbersBpf.open().data;
const { state } = data;

data.state = { label: "a", first: { span: { to: 1 } } };
state.first = { packets: 5, span: { from: 1 } };
state.first = {};
state.first = new Uint8Array(24);
state.first.packets = 5;
export const afterwards: bigint = state.first.packets;
state.first.packets = 0n;
state.first.packets += 1n;
state.first.span = { to: 7n };
state.first.span.from++;
state.limit = { burst: 1 };
state.limit.rate = 5;
state.rest = [{ packets: 1 }, { span: { from: 1 } }];
state.rest[0]!.span = { to: 1 };
state.rest[0]!.bytes = 1;
state.rest[1] = state.first;
state.rest[1] = { packets: 1n, bytes: 1n, span: { from: 1, to: 2 } };
Object.assign(state.rest[1], { packets: 1 });
state.word = { halves: { to: 1 } };
state.word.halves = { from: 1 };
state.range = { from: 1 };
state.cookie = 5;
state.label = new Uint8Array(3);
export const label: string = state.label;
state.mode = mode.MODE_ON;
state.strict = true;
rodata.settings.first = { bytes: 2 };
rodata.settings.limit = { burst: 2 };
data.state = rodata.settings;
data.state = snapshot(rodata.settings);
state.first = state.rest[0]!;
bss.unnamed = { times: [1, 2n] };
bss.unnamed.sent = { packets: 3 };
bss.unnamed.times = new BigUint64Array(3);
bss.unnamed.times[0]! += 1n;
typedArray(bss.unnamed.times, BigUint64Array)[0] = 1n;
numbers.state.first = { packets: 5n };
numbers.state.first.packets = 5;
numbers.state.first.packets += 1;
numbers.state.first.packets = 5n;
plain.open().data.state.first = { packets: 5 };
export const view: Live<config> = state;
export const plainly: config = snapshot(state);

// What is read, exactly.
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const equal = <A, B>(_: Equal<A, B>): void => {};
equal<typeof state, LiveConfig>(true);
equal<typeof state.first, LiveCounter>(true);
equal<typeof state.first.packets, bigint>(true);
equal<typeof state.first.span, Live<span>>(true);
equal<typeof state.rest, LiveCounter[]>(true);
equal<typeof state.label, string>(true);
equal<typeof state.limit.rate, bigint>(true);
equal<typeof bss.unnamed.times, bigint[]>(true);
equal<typeof numbers.state.first.packets, number>(true);
equal<counter["packets"], bigint>(true);
export const hz: number = kconfig.CONFIG_HZ;
`;
    const bad = `
state.firts = {};                                  // no such member
state.first = { pakets: 1n };                      // no such member
state.first = { packets: "1" };                    // bigint
state.first = { span: { form: 1 } };               // no such member, deeper
state.first = 5;                                   // a struct
state.first = undefined;                           // a struct
state.first = [1n, 2n];                            // a struct
state.first.packets = "5";                         // bigint
state.first.pakets = 1n;                           // no such member
export const five: number = state.first.packets;   // bigint
state.limit = { bust: 1 };                         // no such member
state.limit.rate = true;                           // bigint
state.rest = [{ pakets: 1 }];                      // no such member
state.rest = { 0: { packets: 1n } };               // an array
state.rest[0]!.span = { t: 1 };                    // no such member
state.rest[0] = { packets: 1n };                   // elements: whole values only
state.word = { hole: 1n };                         // no such member
state.label = 5;                                   // text
state.mode = mode.MODE_ONN;                        // no such enumerator
state.strict = "yes";                              // boolean
rodata.settings.first = { byte: 2 };               // no such member
bss.unnamed.sent = { packet: 3 };                  // no such member
bss.unnamed.times = [true];                        // bigint
bss.unnamed = { time: [] };                        // no such member
numbers.state.first.packets = "5";                 // number
plain.open().data.state.first = { pakets: 5 };     // no such member
snapshot(kconfig).CONFIG_HZ = 1;                   // read-only
kconfig.CONFIG_HZ = 100;                           // read-only
`;
    await expectOnlyBad(compiler, good, bad);
  });
});
