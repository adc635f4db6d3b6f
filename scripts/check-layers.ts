// The law of the house (CONTRIBUTING.md "Layout"), checked: every import points to a lower floor, rooms talk through
// their index.ts, there are no circles, one room owns each native or foreign dependency, and the core stays pure.
// `npm run check:layers` runs it over src; test/house/layers.test.ts runs it too and shows that it can fail.
import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, posix, relative } from "node:path";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { parseSync } from "oxc-parser";

interface Room {
  /** A folder of src, or a file directly in it. */
  readonly name: string;
  /** Imports go to lower floors only. */
  readonly floor: number;
  /** Pure: bytes in, data out. No Node.js, no system call, no import of a room that is not pure. */
  readonly core: boolean;
}

/** The rooms, bottom up. A folder or file that is not in this table is refused: give it a floor first. */
export const rooms: readonly Room[] = [
  { name: "errors.ts", floor: 1, core: true },
  { name: "log.ts", floor: 1, core: true },
  { name: "near-names.ts", floor: 1, core: true },
  { name: "glob.ts", floor: 1, core: true },
  { name: "unknown-names.ts", floor: 2, core: true },
  { name: "elf", floor: 2, core: true },
  { name: "syscall", floor: 2, core: false },
  { name: "btf", floor: 3, core: true },
  { name: "insn", floor: 3, core: true },
  { name: "object", floor: 4, core: true },
  { name: "core-reloc", floor: 4, core: true },
  { name: "kernel", floor: 4, core: false },
  { name: "map", floor: 5, core: false },
  { name: "program", floor: 5, core: false },
  { name: "linker", floor: 5, core: true },
  { name: "generator", floor: 5, core: true },
  { name: "link", floor: 6, core: false },
  { name: "events", floor: 6, core: false },
  { name: "loader", floor: 7, core: false },
  { name: "index.ts", floor: 8, core: false },
  { name: "skeleton", floor: 8, core: false },
  { name: "cli", floor: 9, core: false },
  { name: "import", floor: 9, core: false },
];

/** The only packages that src may import, and the room that owns each. */
const packageOwners: ReadonlyMap<string, string> = new Map([
  ["koffi", "syscall"],
  ["elfy", "elf"],
]);

/** Names that exist in Node.js only; the core runs in browsers too. */
const nodeGlobals: ReadonlySet<string> = new Set([
  "Buffer",
  "process",
  "require",
  "global",
  "setImmediate",
  "__dirname",
  "__filename",
]);

/** One broken rule. */
export interface Violation {
  /** Path relative to src. */
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

interface Import {
  readonly specifier: string;
  readonly line: number;
  /** Costs something at run time as soon as the file is imported. */
  readonly eager: boolean;
}

interface SourceFacts {
  readonly imports: readonly Import[];
  readonly nodeGlobals: readonly { readonly name: string; readonly line: number }[];
  /** Set when the file cannot be parsed. */
  readonly error: string | undefined;
}

type AstNode = { readonly type: string; readonly start: number; readonly [key: string]: unknown };

function isNode(value: unknown): value is AstNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

/** Keys of a node under which an identifier is a mere member name (`x.process`, `{ process: 1 }`), not a variable. */
function memberNameKey(node: AstNode): string | undefined {
  if (node.computed === true) return undefined;
  if (node.type === "MemberExpression") return "property";
  if (node.type === "TSQualifiedName") return "right";
  return "key" in node ? "key" : undefined;
}

/** The specifier that a node imports, whatever the syntax: import, export from, import(), require(), type import(). */
function importOf(node: AstNode): { specifier: unknown; eager: boolean } | undefined {
  switch (node.type) {
    case "ImportDeclaration":
      return { specifier: node.source, eager: node.importKind !== "type" };
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
      return isNode(node.source) ? { specifier: node.source, eager: node.exportKind !== "type" } : undefined;
    case "ImportExpression":
    case "TSImportType":
      return { specifier: node.source ?? node.argument, eager: false };
    case "CallExpression": {
      // Any function called require, however it was made.
      const callee = node.callee;
      const isRequire = isNode(callee) && callee.type === "Identifier" && /require$/i.test(String(callee.name));
      return isRequire && Array.isArray(node.arguments) ? { specifier: node.arguments[0], eager: false } : undefined;
    }
    default:
      return undefined;
  }
}

function readSource(path: string, text: string): SourceFacts {
  const parsed = parseSync(path, text, { sourceType: "module" });
  const fatal = parsed.errors.find((error) => error.severity === "Error");
  const lineAt = (offset: number): number => text.slice(0, offset).split("\n").length;
  const imports: Import[] = [];
  const globals: { name: string; line: number }[] = [];

  const visit = (node: AstNode): void => {
    const found = importOf(node);
    if (found !== undefined && isNode(found.specifier) && typeof found.specifier.value === "string") {
      imports.push({ specifier: found.specifier.value, line: lineAt(node.start), eager: found.eager });
    }
    if (node.type === "Identifier" && nodeGlobals.has(String(node.name))) {
      globals.push({ name: String(node.name), line: lineAt(node.start) });
    }
    const skipped = memberNameKey(node);
    for (const [key, value] of Object.entries(node)) {
      if (key === skipped) continue;
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child);
    }
  };
  visit(parsed.program as unknown as AstNode);
  return { imports, nodeGlobals: globals, error: fatal?.message };
}

const roomNameOf = (file: string): string => file.split("/", 1)[0] ?? file;
const roomOf = (file: string): Room | undefined => rooms.find((room) => room.name === roomNameOf(file));

/** What is wrong with one import of `file`, or undefined. */
function judgeImport(file: string, room: Room, found: Import): string | undefined {
  const { specifier } = found;
  if (!specifier.startsWith(".")) {
    if (isBuiltin(specifier)) return room.core ? `the core is pure, it cannot import ${specifier}` : undefined;
    const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
    const owner = packageOwners.get(name);
    if (owner === undefined) return `src depends on ${[...packageOwners.keys()].join(" and ")} only, not on ${name}`;
    if (owner !== room.name) return `only src/${owner} imports ${name}`;
    if (name === "koffi" && found.eager) return "koffi is loaded at the first system call, not by an import";
    return undefined;
  }
  if (!specifier.endsWith(".js")) return `${specifier}: relative imports end in .js`;
  const target = posix.join(posix.dirname(file), specifier).replace(/\.js$/, ".ts");
  if (target.startsWith("..")) return `${specifier} leads out of src`;
  const targetRoom = roomOf(target);
  if (targetRoom === undefined) return `${specifier} is in no room of the house`;
  if (targetRoom === room) return undefined;
  if (targetRoom.floor >= room.floor) {
    return `${room.name} (floor ${room.floor}) imports ${targetRoom.name} (floor ${targetRoom.floor}): arrows point down`;
  }
  if (room.core && !targetRoom.core) return `the core is pure, it cannot import ${targetRoom.name}`;
  if (target.includes("/") && target !== `${targetRoom.name}/index.ts`) {
    return `${specifier}: other rooms are entered through ${targetRoom.name}/index.js`;
  }
  return undefined;
}

/** The first circle of imports found from each file, as paths; each circle once. */
function findCircles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const circles: string[][] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      circles.push([...path.slice(start), file]);
      return;
    }
    if (finished.has(file)) return;
    path.push(file);
    for (const next of graph.get(file) ?? []) visit(next);
    path.pop();
    finished.add(file);
  };
  for (const file of graph.keys()) visit(file);
  return circles;
}

/**
 * Checks a set of sources, path relative to src → text. An empty result means the house stands.
 * Type-only imports count like others: a circle of types is a circle.
 */
export function checkLayers(sources: ReadonlyMap<string, string>): Violation[] {
  const violations: Violation[] = [];
  const graph = new Map<string, string[]>();
  for (const [file, text] of sources) {
    const room = roomOf(file);
    if (room === undefined) {
      violations.push({ file, line: 1, message: `src/${roomNameOf(file)} is in no room of the house` });
      continue;
    }
    const facts = readSource(file, text);
    if (facts.error !== undefined) violations.push({ file, line: 1, message: `does not parse: ${facts.error}` });
    for (const found of facts.imports) {
      const message = judgeImport(file, room, found);
      if (message !== undefined) violations.push({ file, line: found.line, message });
    }
    if (room.core) {
      for (const { name, line } of facts.nodeGlobals) {
        violations.push({ file, line, message: `the core is pure, it cannot use ${name}` });
      }
    }
    const targets = facts.imports
      .filter((found) => found.specifier.startsWith("."))
      .map((found) => posix.join(posix.dirname(file), found.specifier).replace(/\.js$/, ".ts"));
    graph.set(file, [...new Set(targets)]);
  }
  for (const circle of findCircles(graph)) {
    violations.push({ file: circle[0] ?? "", line: 1, message: `circle of imports: ${circle.join(" → ")}` });
  }
  return violations;
}

/** All TypeScript sources under a folder, path relative to it (with `/`) → text. Declaration files are left out. */
export function readSources(folder: string): Map<string, string> {
  const sources = new Map<string, string>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".ts") || entry.name.endsWith(".d.ts")) continue;
    const path = join(entry.parentPath, entry.name);
    sources.set(relative(folder, path).replaceAll("\\", "/"), readFileSync(path, "utf8"));
  }
  return sources;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const sources = readSources(fileURLToPath(new URL("../src", import.meta.url)));
  const violations = checkLayers(sources);
  for (const { file, line, message } of violations) console.error(`src/${file}:${line}: ${message}`);
  if (violations.length > 0) process.exit(1);
  console.log(`layers: ${sources.size} files, every arrow points down`);
}
