// Finds the exception callbacks of programs: `__exception_cb(name)` is a decl tag on the program (libbpf.md 3.7 point 5).

import { type Btf, BtfKind, BtfLinkage } from "../btf/index.js";
import { ObjectError } from "../errors.js";
import type { ObjectFunctions } from "./functions.js";

const TAG = "exception_callback:";

/**
 * Sets `exceptionCallback` of every program that carries the tag. A program with two tags gets none: the verifier has the
 * better message for that.
 *
 * @throws ObjectError when the tagged function is not global, or the callback is no global, visible function of `.text`
 */
export function assignExceptionCallbacks(btf: Btf, { programs, subprograms }: ObjectFunctions): void {
  const byName = new Map(programs.map((program) => [program.name, program]));
  const callbacks = new Map(subprograms.filter(({ isStatic }) => !isStatic).map((spec) => [spec.name, spec]));
  const tagged = new Set<string>();
  for (let id = btf.firstId; id < btf.typeCount; id++) {
    if (btf.kindOf(id) !== BtfKind.DeclTag) continue;
    const tag = btf.type(id);
    if (tag.kind !== "declTag" || tag.componentIndex !== -1 || !tag.name.startsWith(TAG)) continue;
    const func = btf.type(tag.type);
    if (func.kind !== "func" || func.linkage !== BtfLinkage.Global) {
      throw new ObjectError("OBJECT_INVALID", `the tag \`${tag.name}\` is not on a global function`);
    }
    const program = byName.get(func.name);
    if (program === undefined) continue;
    if (tagged.has(program.name)) {
      program.exceptionCallback = undefined;
      continue;
    }
    tagged.add(program.name);
    const callbackName = tag.name.slice(TAG.length);
    const callback = callbacks.get(callbackName);
    if (callback === undefined) {
      throw new ObjectError("OBJECT_INVALID", `no global function \`${callbackName}\` to be the exception callback`, {
        program: program.name,
        hint: "the callback may be neither static nor hidden, and has to lie in .text",
      });
    }
    program.exceptionCallback = callback;
  }
}
