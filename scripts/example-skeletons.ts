// Writes examples/*.skel.ts from examples/*.bpf.o, as `bpfkit gen skeleton --external --int64 number` does; the last step of `npm run fixtures`.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { generateSkeleton } from "../src/skeleton/index.js";

const root = new URL("../", import.meta.url);

/** The skeletons of all examples that have an object of their own; paths are below the checkout. */
export function exampleSkeletons(): { readonly path: string; readonly text: string }[] {
  const names = readdirSync(new URL("examples/", root)).flatMap((file) => /^(.*)\.bpf\.c$/.exec(file)?.[1] ?? []);
  return names.map((name) => {
    // What the source keeps for user space's sake, as records are: `const struct event *unused`.
    const source = readFileSync(new URL(`examples/${name}.bpf.c`, root), "utf8");
    const types = [...source.matchAll(/^const struct (\w+) \*unused/gm)].map(([, type]) => type!);
    const text = generateSkeleton(new Uint8Array(readFileSync(new URL(`examples/${name}.bpf.o`, root))), {
      name,
      source: `${name}.bpf.o`,
      types,
      // Counts and times; addresses are longer than a number is exact.
      int64: name === "profile" ? "bigint" : "number",
      object: { external: `./${name}.bpf.o` },
    });
    return { path: `examples/${name}.skel.ts`, text };
  });
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, text } of exampleSkeletons()) writeFileSync(new URL(path, root), text);
}
