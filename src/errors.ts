// Every error that bpfkit throws on purpose. One base class carries what failed and where; the sub-classes say which
// floor of the house it came from. `code` is stable and meant for programs, `message` and `hint` for people.

/** The stable codes of {@link BpfkitError.code}, with what each means. */
export const errorCodes = {
  ELF_INVALID: "the file is not an ELF object that BPF tools produce, or its structure is damaged",
  ELF_TRUNCATED: "the ELF file ends before a part that it announces",
  ELF_UNSUPPORTED: "the ELF file is intact, but for another machine, class or purpose",
  BTF_INVALID: "the type information is damaged",
  BTF_MISSING: "type information is needed for this and absent",
  BTF_TYPE_NOT_FOUND: "no type of that name (and kind)",
  OBJECT_INVALID: "the BPF object contradicts itself or the rules of its sections",
  OBJECT_UNSUPPORTED: "the BPF object uses something that bpfkit does not handle",
  CORE_INVALID: "a CO-RE record is malformed, ambiguous or disagrees with the code",
  NOT_FOUND: "no program, map or variable of that name",
  STATE: "the call does not fit the present state (closed, already loaded, not yet loaded)",
  ARGUMENT: "an argument has the wrong type or is out of range",
  VALUE: "a value does not fit its BTF type",
  SYSCALL: "the kernel refused a system call",
  VERIFIER: "the kernel's verifier refused a program",
  ATTACH: "a program could not be attached",
  UNSUPPORTED: "this kernel or this platform lacks a needed feature",
  COMPILE: "BPF C could not be compiled: clang refused it, or there is no clang",
  FFI: "the foreign function layer (koffi) cannot be used here",
} as const;

/** A stable error code; the table `errorCodes` explains each. */
export type BpfkitErrorCode = keyof typeof errorCodes;

/** Where an error happened. All fields are optional; what is known is named in the message. */
export interface ErrorLocation {
  /** Path or name of the object file. */
  file?: string | undefined;
  /** ELF section name. */
  section?: string | undefined;
  /** Byte offset inside `section`, or inside the file when no section is named. */
  offset?: number | undefined;
  /** Program (or sub-program) name. */
  program?: string | undefined;
  /** Map name. */
  map?: string | undefined;
}

/** Everything an error can be made from besides its code and message. */
export interface ErrorDetails extends ErrorLocation {
  /** What a user can do about it, as one sentence. */
  hint?: string | undefined;
  cause?: unknown;
}

const brand = Symbol.for("bpfkit.error");

/**
 * Base class of all errors that bpfkit throws on purpose.
 *
 * `message` is composed from the location, the text and the hint; the parts stay available as fields.
 */
export class BpfkitError extends Error {
  readonly code: BpfkitErrorCode;
  /** The text without location and hint. */
  readonly reason: string;
  readonly hint: string | undefined;
  /** Filled in on the way up: inner floors know offsets, outer ones know file names. */
  readonly location: Readonly<ErrorLocation>;

  constructor(code: BpfkitErrorCode, reason: string, details: ErrorDetails = {}) {
    super(reason, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.reason = reason;
    this.hint = details.hint;
    const { file, section, offset, program, map } = details;
    this.location = { file, section, offset, program, map };
    this.message = compose(this.location, reason, details.hint);
    Object.defineProperty(this, brand, { value: true });
  }

  /** True for errors of any copy of bpfkit in the process (where `instanceof` would miss a second copy's). */
  static isBpfkitError(value: unknown): value is BpfkitError {
    return typeof value === "object" && value !== null && brand in value;
  }
}

function compose(location: ErrorLocation, reason: string, hint: string | undefined): string {
  const where: string[] = [];
  if (location.file !== undefined) where.push(location.file);
  if (location.section !== undefined) where.push(`section ${location.section}`);
  if (location.program !== undefined) where.push(`program ${location.program}`);
  if (location.map !== undefined) where.push(location.map === "" ? "map without a name" : `map ${location.map}`);
  if (location.offset !== undefined) where.push(`offset 0x${location.offset.toString(16)}`);
  return `${where.length > 0 ? `${where.join(", ")}: ` : ""}${reason}${hint === undefined ? "" : ` (${hint})`}`;
}

/** Malformed or unsupported ELF input: `ELF_INVALID`, `ELF_TRUNCATED` or `ELF_UNSUPPORTED`. */
export class ElfError extends BpfkitError {}

/** Malformed or missing type information: `BTF_INVALID`, `BTF_MISSING` or `BTF_TYPE_NOT_FOUND`. */
export class BtfError extends BpfkitError {}

/** A BPF object whose sections, maps, symbols or relocations break the rules: `OBJECT_INVALID`, `OBJECT_UNSUPPORTED`. */
export class ObjectError extends BpfkitError {}

/** A CO-RE relocation that cannot be applied at all: `CORE_INVALID`. (One that merely finds no match poisons.) */
export class CoreRelocationError extends BpfkitError {}

/** A value that does not fit its BTF type: `VALUE`. The reason names the path of the field. */
export class ValueError extends BpfkitError {}

/** A call that does not fit the state of its object (closed, loaded, not loaded): `STATE`. */
export class StateError extends BpfkitError {
  constructor(reason: string, details?: ErrorDetails) {
    super("STATE", reason, details);
  }
}

/** A name that does not exist: `NOT_FOUND`. The reason lists near or all names. */
export class NotFoundError extends BpfkitError {
  constructor(reason: string, details?: ErrorDetails) {
    super("NOT_FOUND", reason, details);
  }
}

/** A wrong argument: `ARGUMENT`. Thrown before anything is done. */
export class ArgumentError extends BpfkitError {
  constructor(reason: string, details?: ErrorDetails) {
    super("ARGUMENT", reason, details);
  }
}

/** A feature that this kernel, this platform or this build lacks: `UNSUPPORTED` or `FFI`. */
export class UnsupportedError extends BpfkitError {
  constructor(reason: string, details?: ErrorDetails & { code?: "UNSUPPORTED" | "FFI" }) {
    super(details?.code ?? "UNSUPPORTED", reason, details);
  }
}

/** Details of a {@link SystemCallError}. */
export interface SystemCallErrorDetails extends ErrorDetails {
  /** What was being done, for example `bpf(BPF_MAP_CREATE)`. */
  operation: string;
  /** Positive errno. */
  errno: number;
  /** Name of the errno, for example `EPERM`. */
  errnoName: string;
  code?: BpfkitErrorCode;
  /** What the kernel wrote about it. */
  log?: string | undefined;
}

/** The kernel refused a system call: `SYSCALL`, or the more special `VERIFIER` and `ATTACH`. */
export class SystemCallError extends BpfkitError {
  readonly operation: string;
  /** Positive errno. */
  readonly errno: number;
  /** Name of the errno, for example `EPERM`. */
  readonly errnoName: string;
  /** What the kernel wrote about the refusal: the verifier's log, or since Linux 7.0 a word about a map; mostly undefined. */
  readonly log: string | undefined;

  constructor(reason: string, details: SystemCallErrorDetails) {
    super(details.code ?? "SYSCALL", reason, details);
    this.operation = details.operation;
    this.errno = details.errno;
    this.errnoName = details.errnoName;
    this.log = details.log;
  }
}

/**
 * Runs `body`; an error of bpfkit that passes through gets the parts of `location` that it does not know yet.
 * This is how an offset found deep inside BTF meets the file name that only the caller knows.
 */
export function withLocation<T>(location: ErrorLocation, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw addLocation(error, location);
  }
}

/** Adds to an error of bpfkit the parts of `location` that it does not know yet; returns any other value untouched. */
export function addLocation(error: unknown, location: ErrorLocation): unknown {
  if (!(error instanceof BpfkitError)) return error;
  const merged: ErrorLocation = { ...location };
  for (const [key, value] of Object.entries(error.location)) {
    if (value !== undefined) Object.assign(merged, { [key]: value });
  }
  Object.defineProperty(error, "location", { value: merged, enumerable: true });
  error.message = compose(merged, error.reason, error.hint);
  return error;
}
