// Damage to texts: lines and words that move, repeat, grow or vanish, numbers that overflow, bytes that are no text.

import { LARGEST, mutateBlindly, pick } from "./mutate-bytes.js";
import type { Random } from "./target.js";

const odd = [
  ...["", " ", "\t", "\r", "\0", "\n", "=", "#", ":", ";", "@", '"', "'", "-", "0x", "-1", "0", "1e9", "NaN"],
  ...["18446744073709551616", "0xffffffffffffffffff", "9".repeat(40), "a".repeat(2000), "\ufeff", "\u2028", "é", "😀"],
  ...[
    "__proto__",
    "CONFIG_",
    "[mod]",
    "(85) call unknown#195896080",
    "; ",
    " @ a:1",
    "Suggestion:",
    "Verification failed: x",
  ],
];

/** A damaged copy of a text. */
export function mutateText(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  let result = bytes;
  for (let rounds = 1 + random(4); rounds > 0; rounds--) {
    result = random(4) === 0 ? mutateBlindly(result, random, other) : withOddLines(result, random, other);
  }
  return result.length > LARGEST ? bytes : result;
}

function withOddLines(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  const decoder = new TextDecoder();
  const lines = decoder.decode(bytes).split("\n");
  const at = random(lines.length);
  const words = lines[at]!.split(/([ \t=:#])/);
  switch (random(8)) {
    case 0:
      lines.splice(at, 1);
      break;
    case 1:
      lines.splice(at, 0, pick(decoder.decode(other).split("\n"), random));
      break;
    case 2:
      lines[at] = lines[at]!.repeat(pick([2, 10, 100], random));
      break;
    case 3:
      lines.splice(at, 0, pick(odd, random));
      break;
    case 4:
      words[random(words.length)] = "";
      lines[at] = words.join("");
      break;
    case 5:
      lines.splice(random(lines.length), 0, ...lines.splice(at, 1 + random(3)));
      break;
    default:
      words[random(words.length)] = pick(odd, random);
      lines[at] = words.join("");
  }
  return new TextEncoder().encode(lines.join("\n"));
}
