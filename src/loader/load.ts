// From a prepared object to a loaded one (libbpf.md 3.2 steps 12 to 14). What needs the verifier is handed out as the
// steps of a generator, so that load() can wait for it off the event loop and loadSync() in place.

import type { ProgramSpec } from "../object/index.js";
import type { LoadSteps } from "../program/index.js";
import { loadProgramOf } from "./load-program.js";
import { fillProgramSlots } from "./map-slots.js";
import type { LoadContext, PreparedObject } from "./prepare.js";
import { fillStructOps } from "./struct-ops.js";

/** Loads the programs and completes the maps that refer to them. Throws at the first failure. */
export function* loadPrepared(prepared: PreparedObject): LoadSteps<void> {
  const { context, structOps, opened } = prepared;
  for (const [program, ready] of prepared.programs) {
    // It may have been switched off since.
    if (!program.autoload) continue;
    context.handlers.of(program.spec)?.prepare?.(program);
    yield* loadProgramOf(prepared, program, ready);
  }
  for (const map of context.maps) {
    const table = structOps.tables.get(map.spec);
    if (table !== undefined) fillStructOps(map, table, (wanted) => fdOf(context, wanted));
  }
  for (const program of context.programs) program.seal("loaded");
  fillProgramSlots(context.maps, context.programs);
  opened.complete();
}

function fdOf({ programs }: LoadContext, wanted: ProgramSpec): number {
  return programs.find(({ spec }) => spec === wanted)!.fd;
}
