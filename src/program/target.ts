// Functions of loaded BPF programs as targets of other programs: their BTF ids (libbpf.md 1.2, 1.5).

import { Btf } from "../btf/index.js";
import { ArgumentError, NotFoundError, SystemCallError, UnsupportedError } from "../errors.js";
import { nearNames } from "../near-names.js";
import { btfInfo, Errno, type FdLike, openById, progInfo } from "../syscall/index.js";

/** A loaded program: one of an object, anything with its descriptor, or the descriptor itself, which stays the caller's. */
export type ProgramTarget = { readonly fd: number } | number;

/** @throws ArgumentError, StateError while a program of an object is not loaded */
export function descriptorNumber(target: ProgramTarget): number {
  const fd: unknown = typeof target === "object" && target !== null ? target.fd : target;
  if (typeof fd === "number") return fd;
  throw new ArgumentError("the target program must be a loaded BpfProgram or a file descriptor");
}

/**
 * The BTF id of a function of a loaded program, in the program's own BTF.
 *
 * libbpf: `libbpf_find_prog_btf_id` (internal).
 * @throws NotFoundError naming near functions, UnsupportedError for a program without BTF, SystemCallError (CAP_SYS_ADMIN)
 */
export function programFunctionId(program: FdLike, name: string): number {
  const { btfId, id: programId, name: programName } = progInfo(program);
  const which = `program ${programName === "" ? `with id ${programId}` : programName}`;
  if (btfId === 0) {
    throw new UnsupportedError(`the target ${which} has no type information`, {
      hint: "its functions can be found by name only when it was compiled with -g and loaded with its BTF",
    });
  }
  const btf = Btf.parse(programBytes(btfId), { trusted: true });
  const id = btf.findByName(name, "func");
  if (id !== undefined) return id;
  const functions = [...btf.names("func")];
  throw new NotFoundError(`the target ${which} has no function ${name}${nearNames(name, functions)}`);
}

function programBytes(btfId: number): Uint8Array {
  try {
    using btf = openById("btf", btfId);
    return btfInfo(btf, { bytes: true }).bytes!;
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== Errno.EPERM) throw error;
    throw new UnsupportedError("the types of the target program cannot be opened", {
      hint: "this needs CAP_SYS_ADMIN",
      cause: error,
    });
  }
}
