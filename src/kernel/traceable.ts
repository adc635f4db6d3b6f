// The kernel functions that probes can be put on, by tracefs: some fifty thousand lines, once for each pattern.

import { UnsupportedError } from "../errors.js";
import { matchesGlob } from "../glob.js";
import { readKernelSymbols } from "./kallsyms.js";
import { withTraceFs } from "./tracefs.js";

/** A function that can be probed. */
interface TraceableFunction {
  readonly name: string;
  /** 0n where the kernel does not tell (before Linux 6.5). */
  readonly address: bigint;
}

/**
 * Traceable functions whose name matches a pattern with `*` and `?`. Linux 4.x with CONFIG_DYNAMIC_FTRACE; with
 * addresses 6.5.
 *
 * @throws UnsupportedError where there is no such list
 */
export function traceableFunctions(pattern: string): TraceableFunction[] {
  return withTraceFs((files) => {
    const withAddresses = files.read("available_filter_functions_addrs");
    if (withAddresses !== undefined) return parseTraceable(withAddresses, pattern, true);
    const names = files.read("available_filter_functions");
    if (names === undefined) {
      throw new UnsupportedError("the kernel does not list the functions that can be traced", {
        hint: "it was built without CONFIG_DYNAMIC_FTRACE; name the functions instead of a pattern",
      });
    }
    return knownOnce(parseTraceable(names, pattern, false));
  });
}

/** What the kernel prints; anything else before a name is no line of its. */
const isAddress = /^[0-9a-f]{1,16}$/i;

/** Lines `ADDRESS NAME [MODULE]` or `NAME [MODULE]`; skips others. */
export function parseTraceable(text: string, pattern: string, addresses: boolean): TraceableFunction[] {
  const found: TraceableFunction[] = [];
  for (const line of text.split("\n")) {
    const [first = "", second = ""] = line.split(" ", 2);
    const name = addresses ? second : first;
    if (name === "" || (addresses && !isAddress.test(first)) || !matchesGlob(name, pattern)) continue;
    found.push({ name, address: addresses ? BigInt(`0x${first}`) : 0n });
  }
  return found;
}

/**
 * Without addresses the kernel looks the names up itself, and refuses all when it finds one of them not at all; in
 * the list are names that its symbol table does not have.
 */
function knownOnce(functions: readonly TraceableFunction[]): TraceableFunction[] {
  const wanted = new Map(functions.map((each) => [each.name, each]));
  const { addresses } = readKernelSymbols(wanted.keys());
  return [...wanted.values()].filter(({ name }) => addresses.has(name));
}
