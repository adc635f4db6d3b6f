// Programs on security hooks attach without complaint to a kernel that never calls them: that is told here.

import { UnsupportedError } from "../errors.js";
import { securityModules } from "../kernel/index.js";
import { ProgramType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";

/**
 * Refuses programs on security hooks where the kernel was started without BPF among its security modules, as far as can be
 * told. libbpf attaches them all the same, and they never run.
 *
 * @throws UnsupportedError with the parameter that the kernel has to be started with
 */
export function refuseIdleHooks(
  { spec, file, name: program }: ProgramHandle,
  active: () => readonly string[] | undefined = securityModules,
): void {
  if (spec.type !== ProgramType.lsm) return;
  const modules = active();
  if (modules === undefined || modules.includes("bpf")) return;
  throw new UnsupportedError(
    `programs on security hooks never run: the kernel was started without "bpf" among its security modules (${modules.join(",")})`,
    { file, program, hint: `start it with the parameter lsm=${[...modules, "bpf"].join(",")}` },
  );
}
