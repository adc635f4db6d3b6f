// The words of encoding errors: what a value is, which member may have been meant, how a path is spelled.

/** A value in a few words, for `expected …, got …`. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined || typeof value === "boolean") return String(value);
  if (typeof value === "number") return `the number ${value}`;
  if (typeof value === "bigint") return `the bigint ${value}n`;
  if (typeof value === "string") {
    return `the string ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
  }
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (typeof value !== "object") return `a ${typeof value}`;
  const tag = Object.prototype.toString.call(value).slice("[object ".length, -1);
  return tag === "Object" ? "an object" : `an object (${tag})`;
}

/** A member access as it would be written in JavaScript. */
export function pathStep(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

const MAX_LISTED = 8;

/** `: did you mean a, b?`, or all names when there are few, or nothing. */
export function nearNames(name: string, names: ReadonlySet<string>): string {
  const near = [...names].filter((candidate) => isNear(name, candidate)).slice(0, MAX_LISTED);
  if (near.length > 0) return `; did you mean ${near.join(" or ")}?`;
  if (names.size === 0 || names.size > MAX_LISTED) return "";
  return ` (${[...names].join(", ")})`;
}

/** Equal but for case and underscores, or at most two edits apart (and not mostly different). */
function isNear(a: string, b: string): boolean {
  const plain = (text: string): string => text.toLowerCase().replaceAll("_", "");
  if (a === "" || b.length > 64 || Math.abs(a.length - b.length) > 2) return a !== "" && plain(a) === plain(b);
  return plain(a) === plain(b) || editDistance(a, b) <= Math.min(2, Math.floor(Math.max(a.length, b.length) / 3));
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}
