// Lines of TypeScript or JavaScript with indentation, and comments that cannot be left.

import { commentText } from "./names.js";

/** Collects lines. */
export class Writer {
  readonly #lines: string[] = [];
  #depth = 0;

  /** Adds lines at the present indentation; a text of several lines is indented as a whole. */
  line(...texts: readonly string[]): this {
    const indent = "  ".repeat(this.#depth);
    for (const text of texts) {
      for (const line of text.split("\n")) this.#lines.push(line === "" ? "" : indent + line);
    }
    return this;
  }

  /** `open`, what `body` writes one step deeper, `close`. */
  block(open: string, close: string, body: () => void): this {
    this.line(open);
    this.#depth++;
    body();
    this.#depth--;
    return this.line(close);
  }

  /** A documentation comment of one line or several. */
  doc(...texts: readonly string[]): this {
    return this.line(docComment(texts));
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

/** A documentation comment. */
export function docComment(texts: readonly string[]): string {
  const lines = texts.map(commentText);
  return lines.length === 1
    ? `/** ${lines[0]} */`
    : `/**\n${lines.map((line) => ` * ${line}`.trimEnd()).join("\n")}\n */`;
}

/** A property that is read as a `type` and set to an `input`. */
export function accessorLines(property: string, type: string, input: string): string[] {
  if (input === type) return [`${property}: ${type};`];
  return [`get ${property}(): ${type};`, `set ${property}(value: ${input});`];
}

/** Indents every line but the first, for a text of several lines inside another. */
export function indentRest(text: string): string {
  return text.replace(/\n(?!\n|$)/g, "\n  ");
}
