// Invalidated instructions have a meaning that the verifier cannot know: it only sees calls of impossible functions.
// Here the log says what they stood for (libbpf.md 3.9, "Log fix-ups").

import { CORE_POISON_CALL } from "../core-reloc/index.js";
import type { ExternSpec, MapSpec } from "../object/index.js";
import { KFUNC_POISON_BASE } from "./resolve-externs.js";
import { MAP_POISON_BASE } from "./resolve-maps.js";

/** Where the meanings come from. */
export interface PoisonMeanings {
  /** The CO-RE relocation that invalidated an instruction. */
  readonly coreAt: (insnIndex: number) => string | undefined;
  readonly maps: readonly MapSpec[];
  readonly externs: readonly ExternSpec[];
}

/** `7: (85) call unknown#195896080`, which older kernels spell `call <invalid>#…`, followed by the line with the reason. */
const poisonedCall = /^(\d+): \(85\) call [^\s#]*#(\d+)$/;

/** The fixed log and, when an instruction was recognised, what it means. */
export function fixLog(log: string, meanings: PoisonMeanings): { log: string; meaning: string | undefined } {
  const lines = log.split("\n");
  // What stopped the verifier stands at the end; earlier calls were only looked at.
  for (let i = lines.length - 1; i >= Math.max(0, lines.length - 11); i--) {
    const match = poisonedCall.exec(lines[i]!);
    if (match === null) continue;
    const [, index, call] = match;
    const meaning = meaningOf(Number(index), Number(call), meanings);
    if (meaning === undefined) continue;
    const fixed = [`${index}: <${meaning.what}>`, meaning.text];
    // The kernel's own reason ("invalid func unknown#…") would only mislead.
    const replaced = /^(invalid|unknown) func/.test(lines[i + 1] ?? "") ? 2 : 1;
    lines.splice(i, replaced, ...fixed);
    return { log: lines.join("\n"), meaning: meaning.text };
  }
  return { log, meaning: undefined };
}

function meaningOf(index: number, call: number, meanings: PoisonMeanings): { what: string; text: string } | undefined {
  if (call === CORE_POISON_CALL) {
    const relocation = meanings.coreAt(index) ?? "of an instruction that was moved";
    return {
      what: "invalid CO-RE relocation",
      text: `failed to resolve CO-RE relocation ${relocation}: this kernel's types have nothing that matches`,
    };
  }
  const extern = meanings.externs[call - KFUNC_POISON_BASE];
  if (extern !== undefined) {
    return { what: "invalid kfunc call", text: `kfunc ${extern.name} is referenced but wasn't resolved` };
  }
  const map = meanings.maps[call - MAP_POISON_BASE];
  if (map === undefined) return undefined;
  return { what: "invalid BPF map reference", text: `BPF map ${map.name} is referenced but wasn't created` };
}
