// Names of C as names of TypeScript. An object's names are input from strangers: whatever they are, they end up as
// identifiers, or quoted, and never as code.

/** Words that cannot name a variable or a type of a module, and global names that generated code uses. */
const reserved: ReadonlySet<string> = new Set(
  (
    "arguments as asserts async await break case catch class const continue debugger default delete do else enum eval " +
    "export extends false finally for function if implements import in infer instanceof interface is keyof let module " +
    "namespace new null out override package private protected public readonly return satisfies set get static super " +
    "switch this throw true try type typeof unique using var void while with yield abstract declare accessor global " +
    "any unknown never number bigint boolean string symbol object undefined intrinsic " +
    "Array BigInt Infinity NaN Object Promise Record Symbol URL Uint8Array globalThis __proto__ constructor"
  ).split(" "),
);

/** `text` as an identifier: characters that cannot be in one become `_`, and reserved words get one appended. */
export function identifier(text: string): string {
  const plain = text.replace(/[^A-Za-z0-9_$]/g, "_").replace(/^(?=[0-9])|^$/, "_");
  return reserved.has(plain) ? `${plain}_` : plain;
}

/** The name of a class made from an object's: `my-tool.v2` → `MyToolV2`. */
export function pascalCase(text: string): string {
  const words = text.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return identifier(words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join(""));
}

/** A property's name where it is declared: itself, or quoted. */
export function propertyName(name: string): string {
  return /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name) ? name : quote(name);
}

/** The same in an object literal, where `__proto__` is no property unless it is computed. */
export function literalKey(name: string): string {
  return name === "__proto__" ? '["__proto__"]' : propertyName(name);
}

/** A string literal. */
export function quote(text: string): string {
  return JSON.stringify(text).replace(/[\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16)}`);
}

/** Text for a comment: one line, and nothing that ends the comment. */
export function commentText(text: string): string {
  return text.replace(/\*\//g, "* /").replace(/[\p{Cc}\u2028\u2029]/gu, "?");
}

/** Gives out names, each once. */
export class Names {
  readonly #taken: Set<string>;

  constructor(taken: Iterable<string> = []) {
    this.#taken = new Set(taken);
  }

  /** `wanted`, or when it is taken `wanted_2` and so on. */
  take(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.#taken.has(name); i++) name = `${wanted}_${i}`;
    this.#taken.add(name);
    return name;
  }
}
