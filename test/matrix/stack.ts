// Stack frames of bundled tests turned back into places in the sources, outside the guest: a guest does not load the
// maps, which would cost more than the tests.

import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { projectRoot } from "./bundle-paths.js";

const maps = new Map<string, SourceMap | undefined>();

/** The text with frames in sources instead of bundles, paths below the checkout, and no frames of the test framework. */
export function readableError(text: string): string {
  return text
    .split("\n")
    .map((line) => line.replace(/file:\/\/\S+?\.mjs:\d+:\d+/, place))
    .filter((line) => !/^\s+at (.*(node_modules|node:internal)\/|.*<anonymous>)/.test(line))
    .join("\n")
    .replaceAll(`${projectRoot}/`, "")
    .replaceAll(/[^\s'"]*\/run\/tests\.\w+\//g, "");
}

function place(frame: string): string {
  const [, url, line, column] = /^(.*):(\d+):(\d+)$/.exec(frame) ?? [];
  if (url === undefined) return frame;
  const path = fileURLToPath(url);
  const entry = mapOf(path)?.findEntry(Number(line) - 1, Number(column) - 1);
  if (entry === undefined || !("originalSource" in entry)) return frame;
  const source = relative(projectRoot, resolve(path, "..", entry.originalSource));
  return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
}

function mapOf(path: string): SourceMap | undefined {
  if (!maps.has(path)) {
    let map: SourceMap | undefined;
    try {
      map = new SourceMap(JSON.parse(readFileSync(`${path}.map`, "utf8")));
    } catch {
      map = undefined;
    }
    maps.set(path, map);
  }
  return maps.get(path);
}
