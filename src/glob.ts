// Patterns of names with `*` (any characters) and `?` (one), as section names have them (libbpf.md 2.3). Pure.

/** True when the pattern has a wildcard. */
export function isGlob(pattern: string): boolean {
  return /[*?]/.test(pattern);
}

/** True when all of `text` matches; in time proportional to the product of the lengths at worst. */
export function matchesGlob(text: string, pattern: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let index = 0;
  while (at < text.length) {
    const wanted = pattern[index];
    if (wanted === "*") {
      star = index++;
      resume = at;
    } else if (wanted !== undefined && (wanted === "?" || wanted === text[at])) {
      index++;
      at++;
    } else if (star >= 0) {
      // The last star takes one character more.
      index = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[index] === "*") index++;
  return index === pattern.length;
}
