// What a loader told about one object, in one form for both sides.

/** One program of the object. */
export interface ProgramReport {
  readonly name: string;
  /** Why it did not load; undefined when it did. */
  readonly error?: string;
}

/** One run of a loader over one object. */
export interface LoaderReport {
  readonly opened: boolean;
  /** The whole object, or with --each every single program. */
  readonly loaded: boolean;
  readonly error?: string;
  readonly programs: readonly ProgramReport[];
}

/** The output of oracle-load (../shared/oracle/oracle-load.c). */
interface OracleOutput {
  readonly open_err: number;
  readonly load_err?: number;
  readonly msg?: string;
  readonly programs?: readonly { readonly name: string }[];
  readonly each?: readonly { readonly prog: string; readonly err: number; readonly msg?: string }[];
}

/** Reads what oracle-load printed. @throws Error when it is not JSON: the loader died */
export function readOracleReport(text: string): LoaderReport {
  const output = JSON.parse(text) as OracleOutput;
  if (output.open_err !== 0) {
    return { opened: false, loaded: false, error: why(output.open_err, output.msg), programs: [] };
  }
  if (output.each !== undefined) {
    const programs = output.each.map(({ prog, err, msg }) => ({
      name: prog,
      ...(err === 0 ? {} : { error: why(err, msg) }),
    }));
    return { opened: true, loaded: output.each.every(({ err }) => err === 0), programs };
  }
  const error = output.load_err === 0 ? undefined : why(output.load_err ?? -1, output.msg);
  const programs = (output.programs ?? []).map(({ name }) => ({ name, ...(error === undefined ? {} : { error }) }));
  return { opened: true, loaded: error === undefined, ...(error === undefined ? {} : { error }), programs };
}

/** The first message says why; those after it say what failed in consequence. */
function why(code: number, messages = ""): string {
  const first = messages.split("\n").find((line) => line.trim() !== "");
  return first === undefined ? `error ${code}` : `${first.replace(/^libbpf: /, "")} (${code})`;
}
