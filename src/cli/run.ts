// `bpfkit` as a function: a command line in, output and an exit status out.

import { readFileSync } from "node:fs";
import { BpfkitError } from "../errors.js";
import { setLogger } from "../log.js";
import { find, type Parsed, parse } from "./arguments.js";
import { type Command, type Invocation, type Io, type JsonStyle, type Noun, UsageError } from "./command.js";
import { gen } from "./gen.js";
import { commandHelp, mainHelp, nounHelp } from "./help.js";

/** What the command knows; abbreviations mean the first that fits. */
const nouns: readonly Noun[] = [gen];

/** What a noun does without a command, where it has one of these. */
const defaultCommands = ["show", "list"];

/**
 * Runs one command line.
 *
 * @param args without the interpreter and the script
 * @returns exit status: 0, 1 when something failed, 2 when the command line makes no sense
 */
export async function runCommandLine(args: readonly string[], io: Io): Promise<number> {
  const json = jsonStyle(args);
  try {
    await run(args, io, json);
    return 0;
  } catch (error) {
    report(error, io, json, args.includes("--debug") || args.includes("-d"));
    return error instanceof UsageError ? 2 : 1;
  }
}

async function run(args: readonly string[], io: Io, json: JsonStyle | undefined): Promise<void> {
  const [nounWord, commandWord] = leadingWords(args);
  if (nounWord === undefined) {
    const { values } = parse(args, []);
    if (values.version) printVersion(io, json);
    else if (values.help) io.stdout(mainHelp(nouns));
    else throw new UsageError("what shall be done?", "bpfkit --help lists the commands");
    return;
  }
  const isHelp =
    nounWord.length > 0 && "help".startsWith(nounWord) && !nouns.some(({ name }) => name.startsWith(nounWord));
  if (isHelp) {
    const [, ...topic] = parse(args, []).words;
    io.stdout(helpOn(topic));
    return;
  }
  if (nounWord === "version") {
    printVersion(io, json);
    return;
  }
  const noun = find(nounWord, nouns, "command");
  const command = commandOf(noun, commandWord);
  if (command === undefined) {
    const { values } = parse(args, []);
    if (!values.help && commandWord !== "help")
      throw new UsageError(`bpfkit ${noun.name}: which command?`, helpHint(noun));
    io.stdout(nounHelp(noun));
    return;
  }
  const parsed = withHint(
    () => parse(args, command.options ?? []),
    `bpfkit ${noun.name} ${command.name} --help lists them`,
  );
  if (parsed.values.help) {
    io.stdout(commandHelp(noun, command));
    return;
  }
  if (parsed.values.debug) setLogger((level, message) => io.stderr(`${level}: ${message}\n`));
  const words = commandWord === undefined ? parsed.words.slice(1) : parsed.words.slice(2);
  await command.run(invocationOf(parsed, words, io, json));
}

/** The first two words; before them there can only be options without values. */
function leadingWords(args: readonly string[]): string[] {
  return args.filter((arg) => !arg.startsWith("-")).slice(0, 2);
}

/** The command that a word means; that of a noun alone, if it has one; undefined for `help` and where there is none. */
function commandOf(noun: Noun, word: string | undefined): Command | undefined {
  if (word === undefined) return noun.commands.find(({ name }) => defaultCommands.includes(name));
  if (word === "help") return undefined;
  return withHint(() => find(word, noun.commands, `command bpfkit ${noun.name}`), helpHint(noun));
}

function helpOn([nounWord, commandWord]: readonly string[]): string {
  if (nounWord === undefined) return mainHelp(nouns);
  const noun = find(nounWord, nouns, "command");
  return commandWord === undefined ? nounHelp(noun) : commandHelp(noun, find(commandWord, noun.commands, "command"));
}

function helpHint(noun: Noun): string {
  return `bpfkit ${noun.name} --help lists them`;
}

function withHint<T>(body: () => T, hint: string): T {
  try {
    return body();
  } catch (error) {
    throw error instanceof UsageError && error.hint === undefined ? new UsageError(error.message, hint) : error;
  }
}

function invocationOf({ values }: Parsed, words: readonly string[], io: Io, json: JsonStyle | undefined): Invocation {
  return {
    words,
    has: (option) => values[option] !== undefined,
    values: (option) => (values[option] ?? []).map(String),
    json,
    io,
  };
}

/** Known before anything else: errors are told in JSON too. */
function jsonStyle(args: readonly string[]): JsonStyle | undefined {
  if (args.includes("-p") || args.includes("--pretty")) return "pretty";
  return args.includes("-j") || args.includes("--json") ? "compact" : undefined;
}

function printJson(value: unknown, io: Io, style: JsonStyle): void {
  io.stdout(`${JSON.stringify(value, undefined, style === "pretty" ? 2 : undefined)}\n`);
}

function printVersion(io: Io, json: JsonStyle | undefined): void {
  // Two folders up from src/cli as well as from dist/cli and dist/chunks.
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  if (json === undefined) io.stdout(`bpfkit ${version}\n`);
  else printJson({ version, node: process.versions.node }, io, json);
}

/** One line, as JSON where JSON was asked for. */
function report(error: unknown, io: Io, json: JsonStyle | undefined, debug: boolean): void {
  const isOurs = BpfkitError.isBpfkitError(error);
  const hint = isOurs || error instanceof UsageError ? error.hint : undefined;
  const text = error instanceof Error ? error.message : String(error);
  const isKnown = isOurs || error instanceof UsageError;
  if (json !== undefined) {
    printJson({ error: text, ...(isOurs && { code: error.code }), ...(hint !== undefined && { hint }) }, io, json);
    return;
  }
  // Messages of the library contain their hint.
  const withHint = isOurs || hint === undefined ? text : `${text} (${hint})`;
  io.stderr(`bpfkit: ${isKnown ? "" : "internal error: "}${withHint.replace(/\s*\n\s*/g, " ")}\n`);
  if ((debug || !isKnown) && error instanceof Error && error.stack !== undefined) io.stderr(`${error.stack}\n`);
}
