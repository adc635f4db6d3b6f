// Help texts, made from the tables of commands.

import { type Command, commonOptions, type Noun, type Option } from "./command.js";

/** Two columns, the first as wide as it has to be. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

function optionRow({ name, short, value, summary, multiple }: Option): [string, string] {
  const dashes = short === undefined ? `    --${name}` : `-${short}, --${name}`;
  return [`${dashes}${value === undefined ? "" : ` ${value}`}`, `${summary}${multiple ? " (may be repeated)" : ""}`];
}

/** `bpfkit --help`. */
export function mainHelp(nouns: readonly Noun[]): string {
  return lines(
    "usage: bpfkit [OPTIONS] NOUN COMMAND [ARGUMENTS]",
    "",
    ...columns(
      nouns.map(({ name, commands, summary }) => [`${name} ${commands.map((each) => each.name).join("|")}`, summary]),
    ),
    ...columns([["help [NOUN [COMMAND]]", "what you read, or more about one of these"]]),
    "",
    "Words may be abbreviated. Exit status: 0, 1 when something failed, 2 when the command line makes no sense.",
    "",
    ...columns(commonOptions.map(optionRow)),
  );
}

/** `bpfkit NOUN --help`. */
export function nounHelp({ name, summary, commands }: Noun): string {
  return lines(
    `bpfkit ${name}: ${summary}`,
    "",
    ...columns(commands.map((command) => [`bpfkit ${name} ${command.name} ${command.usage}`, command.summary])),
    "",
    ...columns(commonOptions.map(optionRow)),
  );
}

/** `bpfkit NOUN COMMAND --help`. */
export function commandHelp(noun: Noun, { name, usage, summary, details = [], options = [] }: Command): string {
  return lines(
    `usage: bpfkit ${noun.name} ${name} ${usage}`,
    "",
    summary,
    ...(details.length === 0 ? [] : ["", ...details]),
    "",
    ...columns([...options, ...commonOptions].map(optionRow)),
  );
}

function lines(...texts: readonly string[]): string {
  return `${texts.map((text) => text.trimEnd()).join("\n")}\n`;
}
