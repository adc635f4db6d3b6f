// "Did you mean": names that resemble a misspelt one. Pure, beside errors.ts on the ground floor.

/** Text to append to "no such name": near names if there are any, else a few that exist, else nothing. */
export function nearNames(wanted: string, known: Iterable<string>): string {
  const names = [...known];
  const near = didYouMean(wanted, names);
  if (near !== "") return near;
  if (names.length === 0) return "; there are none";
  const shown = names.slice(0, 8).join(", ");
  return `; there are: ${shown}${names.length > 8 ? `, … (${names.length} in all)` : ""}`;
}

/** The same for lists too long to be shown (the kernel's functions): near names or nothing. */
export function didYouMean(wanted: string, known: Iterable<string>): string {
  const limit = Math.max(2, Math.floor(wanted.length / 3));
  const text = wanted.toLowerCase();
  const near: { readonly name: string; readonly distance: number }[] = [];
  for (const name of known) {
    const distance = editDistance(text, name.toLowerCase(), limit);
    if (distance <= limit) near.push({ name, distance });
  }
  if (near.length === 0) return "";
  const names = near.sort((a, b) => a.distance - b.distance).slice(0, 3);
  return `; did you mean ${names.map(({ name }) => name).join(" or ")}?`;
}

let rows: [Uint32Array, Uint32Array] = [new Uint32Array(64), new Uint32Array(64)];

/**
 * Levenshtein distance, or anything above `limit` once it is sure to exceed that. Only cells that near the diagonal count,
 * in two rows that are used again: the kernel has a hundred thousand names to compare with.
 */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  if (b.length >= rows[0].length) rows = [new Uint32Array(2 * b.length), new Uint32Array(2 * b.length)];
  let [previous, row] = rows;
  for (let j = 0; j <= b.length; j++) previous[j] = j;
  for (let i = 1; i <= a.length; i++) {
    const from = Math.max(1, i - limit);
    const to = Math.min(b.length, i + limit);
    row[from - 1] = from === 1 ? i : limit + 1;
    let least = row[from - 1]!;
    for (let j = from; j <= to; j++) {
      const substituted = previous[j - 1]! + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1);
      const above = j === i + limit ? limit + 1 : previous[j]! + 1;
      const distance = Math.min(substituted, above, row[j - 1]! + 1);
      row[j] = distance;
      if (distance < least) least = distance;
    }
    if (least > limit) return limit + 1;
    [previous, row] = [row, previous];
  }
  return previous[b.length]!;
}
