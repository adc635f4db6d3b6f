// What a command of `bpfkit` is: tables that the parser reads, help is printed from, and one function that does the work.

/** Where a command writes. */
export interface Io {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** An option of a command line. */
export interface Option {
  /** Without dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** What the option takes, for help; undefined for one that is on or off. */
  readonly value?: string;
  /** May be given several times. */
  readonly multiple?: true;
  readonly summary: string;
}

/** A command line, taken apart. */
export interface Invocation {
  /** Words that are no options. */
  readonly words: readonly string[];
  /** True when an option without a value was given. */
  readonly has: (option: string) => boolean;
  /** Values of an option, in order. */
  readonly values: (option: string) => readonly string[];
  readonly json: JsonStyle | undefined;
  readonly io: Io;
}

/** JSON in one line, or indented. */
export type JsonStyle = "compact" | "pretty";

/** The last word of a command: `skeleton` of `gen skeleton`. */
export interface Command {
  readonly name: string;
  /** What comes after the name: `FILE [name NAME]`. */
  readonly usage: string;
  /** One line. */
  readonly summary: string;
  /** More for `--help`, as lines. */
  readonly details?: readonly string[];
  readonly options?: readonly Option[];
  /** @throws BpfkitError, which becomes one line and the exit status 1; UsageError, which becomes status 2 */
  readonly run: (invocation: Invocation) => void | Promise<void>;
}

/** The first word: `gen`. */
export interface Noun {
  readonly name: string;
  readonly summary: string;
  /** Abbreviations mean the first that fits. */
  readonly commands: readonly Command[];
}

/** The options of all commands. */
export const commonOptions: readonly Option[] = [
  { name: "json", short: "j", summary: "print JSON, in one line" },
  { name: "pretty", short: "p", summary: "print JSON, indented" },
  { name: "debug", short: "d", summary: "tell what is going on, on stderr" },
  { name: "version", short: "V", summary: "print the version" },
  { name: "help", short: "h", summary: "print this" },
];

/** The command line makes no sense. */
export class UsageError extends Error {
  /** What to do about it. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}
