// Command lines taken apart: options anywhere, words abbreviated as in bpftool (the first in the table that begins so).

import { parseArgs } from "node:util";
import { nearNames } from "../near-names.js";
import { commonOptions, type Option, UsageError } from "./command.js";

/**
 * The entry that `word` means: that name, or the first of which it is the beginning.
 *
 * @throws UsageError naming near names
 */
export function find<T extends { readonly name: string }>(word: string, entries: readonly T[], what: string): T {
  const found = entries.find(({ name }) => name === word) ?? entries.find(({ name }) => name.startsWith(word));
  if (found !== undefined && word !== "") return found;
  const names = entries.map(({ name }) => name);
  throw new UsageError(`there is no ${what} ${JSON.stringify(word)}${nearNames(word, names)}`);
}

/** Options and words of an argument list. */
export interface Parsed {
  readonly words: string[];
  readonly values: Readonly<Record<string, readonly (string | boolean)[]>>;
}

/** @throws UsageError for unknown options, and values that are missing or not wanted */
export function parse(args: readonly string[], own: readonly Option[]): Parsed {
  const options = [...commonOptions, ...own];
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      options.map(({ name, short, value }) => [
        name,
        {
          type: value === undefined ? ("boolean" as const) : ("string" as const),
          ...(short !== undefined && { short }),
        },
      ]),
    ),
  });
  const words: string[] = [];
  const values: Record<string, (string | boolean)[]> = {};
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const option = options.find(({ name }) => name === token.name);
    if (option === undefined) {
      const names = options.map(({ name }) => `--${name}`);
      throw new UsageError(`there is no option ${token.rawName}${nearNames(token.rawName, names)}`);
    }
    if (option.value === undefined && token.value !== undefined)
      throw new UsageError(`${token.rawName} takes no value`);
    if (option.value !== undefined && token.value === undefined)
      throw new UsageError(`${token.rawName} needs ${option.value}`);
    values[option.name] ??= [];
    const list = values[option.name]!;
    if (option.value !== undefined && option.multiple !== true && list.length > 0) {
      throw new UsageError(`${token.rawName} was given twice`);
    }
    list.push(token.value ?? true);
  }
  return { words, values };
}

/**
 * Takes `keyword VALUE` pairs, abbreviated as in bpftool, from the end of a list of words: `minimal.bpf.o name N`.
 *
 * @returns the values by keyword
 * @throws UsageError for anything that is no such pair
 */
export function keywords<K extends string>(words: readonly string[], known: readonly K[]): Partial<Record<K, string>> {
  const result: Partial<Record<K, string>> = {};
  for (let i = 0; i < words.length; i += 2) {
    const { name } = find(
      words[i]!,
      known.map((keyword) => ({ name: keyword })),
      "keyword",
    );
    const value = words[i + 1];
    if (value === undefined) throw new UsageError(`${name} needs a value`);
    if (result[name] !== undefined) throw new UsageError(`${name} was given twice`);
    result[name] = value;
  }
  return result;
}
