// Section names of the user's own: what programs in them are, and what is done with them when an object is opened, loaded
// and attached. Handlers are given to open(), so that two users of the library in one process cannot meet.

import { ArgumentError, withLocation } from "../errors.js";
import type { BpfLink } from "../link/index.js";
import {
  AttachType,
  type AttachTypeName,
  numberOf,
  type ProgramSpec,
  ProgramType,
  type ProgramTypeName,
  type SectionDefinition,
} from "../object/index.js";
import type { BpfProgram } from "./bpf-program.js";

/**
 * What a section name means that bpfkit does not know. The names that it knows are matched first.
 *
 * libbpf: `libbpf_register_prog_handler`; its cookie is what the functions close over.
 */
export interface SectionHandler {
  /**
   * The names: `"x"` this name, `"x+"` this name alone or followed by `/…` (which then is the program's `attachTarget`),
   * `"x/"` only with something behind the slash. Without it the handler takes every name that no other one takes; there
   * can be one such.
   */
  readonly section?: string | undefined;
  /** `"unspec"` leaves the type to `setup`. */
  readonly type: ProgramTypeName | number;
  readonly expectedAttachType?: AttachTypeName | number | undefined;
  /** Called by open() once all programs and maps are there, in the order of the programs. */
  readonly setup?: ((program: BpfProgram) => void) | undefined;
  /**
   * Called before the program is loaded, when it is relocated and the maps exist: its `insns` and settings may be changed.
   * Called for clones as well.
   */
  readonly prepare?: ((program: BpfProgram) => void) | undefined;
  /** Called by `prog.attach()` and `obj.attach()`; undefined when there is nothing to attach to by itself. */
  readonly attach?: (program: BpfProgram) => BpfLink | undefined;
}

const known: Readonly<Record<keyof SectionHandler, "string" | "function" | "name">> = {
  section: "string",
  type: "name",
  expectedAttachType: "name",
  setup: "function",
  prepare: "function",
  attach: "function",
};

/** The handlers of one object. */
export class SectionHandlers {
  readonly #byName: readonly SectionDefinition[];
  readonly #fallback: SectionDefinition | undefined;
  readonly #handlers: ReadonlyMap<SectionDefinition, SectionHandler>;

  /** @throws ArgumentError */
  constructor(handlers: readonly SectionHandler[] = []) {
    if (!Array.isArray(handlers)) throw new ArgumentError("the option sectionHandlers must be an array");
    this.#handlers = new Map(handlers.map((handler) => [definitionOf(handler), handler]));
    const definitions = [...this.#handlers.keys()];
    const [fallback, another] = definitions.filter(({ pattern }) => pattern === "");
    if (another !== undefined) throw new ArgumentError("only one of sectionHandlers can be without a section");
    this.#fallback = fallback;
    this.#byName = definitions.filter((definition) => definition !== fallback);
  }

  /** Makes of a program whose section nothing is known about what a handler says, if one takes it. */
  claim(program: ProgramSpec): void {
    if (program.definition !== undefined) return;
    const { sectionName } = program;
    const definition = this.#byName.find(({ pattern }) => matches(pattern, sectionName)) ?? this.#fallback;
    if (definition === undefined) return;
    program.definition = definition;
    program.type = definition.programType;
    program.expectedAttachType = definition.expectedAttachType;
    const slash = definition.pattern === "" ? sectionName.indexOf("/") : definition.pattern.replace(/[+/]$/, "").length;
    program.attachTarget = slash < 0 || slash >= sectionName.length ? undefined : sectionName.slice(slash + 1);
  }

  /** How the handler of a program attaches it, if it has one. */
  attacher(program: ProgramSpec): ((program: BpfProgram) => BpfLink | undefined) | undefined {
    const handler = this.of(program);
    return handler && ((program) => handler.attach?.(program));
  }

  /** The handler of a program; undefined once its type was changed, as for sections that bpfkit knows. */
  of({ definition }: ProgramSpec): SectionHandler | undefined {
    return definition && this.#handlers.get(definition);
  }
}

function matches(pattern: string, name: string): boolean {
  if (pattern.endsWith("/")) return name.startsWith(pattern) && name.length > pattern.length;
  if (!pattern.endsWith("+")) return name === pattern;
  const prefix = pattern.slice(0, -1);
  return name === prefix || name.startsWith(`${prefix}/`);
}

function definitionOf(handler: SectionHandler): SectionDefinition {
  const where = `section handler ${JSON.stringify(handler?.section ?? "")}`;
  for (const [key, value] of Object.entries(handler ?? {})) {
    const wanted = Object.hasOwn(known, key) ? known[key as keyof SectionHandler] : undefined;
    if (wanted === undefined) throw new ArgumentError(`${where} has no property ${key}`);
    if (wanted !== "name" && value !== undefined && typeof value !== wanted) {
      throw new ArgumentError(`${where}: ${key} must be a ${wanted}`);
    }
  }
  const { section = "", type, expectedAttachType } = handler ?? {};
  if (section === "+" || section === "/" || section.startsWith("?") || handler?.section === "") {
    throw new ArgumentError(`${where}: a section is "name", "name+" or "name/"`);
  }
  return withLocation(section === "" ? {} : { section }, () => ({
    pattern: section,
    programType: numberOf(type, ProgramType, "program type"),
    expectedAttachType: expectedAttachType === undefined ? 0 : numberOf(expectedAttachType, AttachType, "attach type"),
    flags: [],
    autoAttach: null,
  }));
}
