// Writes the generated parts of README.md: the tables of error codes and of kernel features, the tried bundlers. `--check` only compares (for CI and tests).

import { readFileSync, writeFileSync } from "node:fs";
import { errorCodes } from "../src/errors.js";
import { features } from "../src/index.js";
import { bundlerSets } from "../test/import/bundler-versions.js";

/** The generated parts by name; each stands between `<!-- NAME:begin … -->` and `<!-- NAME:end -->`. */
const parts: Readonly<Record<string, () => string>> = {
  errors: () =>
    [
      "| code | meaning |",
      "|---|---|",
      ...Object.entries(errorCodes).map(([code, text]) => `| \`${code}\` | ${text} |`),
    ].join("\n"),
  features: () =>
    [
      "| feature | what | since Linux |",
      "|---|---|---|",
      ...features.list.map(({ name, what, since }) => `| \`${name}\` | ${what} | ${since} |`),
    ].join("\n"),
  bundlers: () =>
    `The plugins are tried with esbuild ${versions("esbuild")}, Rollup ${versions("rollup")}, Rolldown 1, and Vite ${versions("vite")},
also in watch mode (\`npm run test:bundlers\`).`,
};

/** "5, 6 and 7" */
const versions = (name: "esbuild" | "rollup" | "vite"): string => {
  const all = [...new Set(bundlerSets.map((set) => set[name]))];
  return [all.slice(0, -1).join(", "), all.at(-1)].filter(Boolean).join(" and ");
};

/** The text with all generated parts made anew. */
function generate(text: string): string {
  return Object.entries(parts).reduce((result, [name, make]) => {
    const marked = new RegExp(`(<!-- ${name}:begin[^>]*-->\\n)[\\s\\S]*?(<!-- ${name}:end -->)`);
    if (!marked.test(result)) throw new Error(`README.md has no place for the part ${name}`);
    return result.replace(marked, (_, begin: string, end: string) => `${begin}${make()}\n${end}`);
  }, text);
}

const text = readFileSync("README.md", "utf8");
const wanted = generate(text);
if (process.argv.includes("--check")) {
  if (text !== wanted) {
    console.error("README.md is out of date: run npm run docs");
    process.exitCode = 1;
  }
} else {
  writeFileSync("README.md", wanted);
}
