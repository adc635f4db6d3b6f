// Memory that the kernel reads or writes by address. The one hazard (typescript.md 1.2): an address does not keep its
// array alive, and the optimiser may drop a local variable before the call that uses the address has returned.

import { ArgumentError } from "../errors.js";
import { ffi } from "./ffi.js";

/** Memory to point to: a view of any buffer, or an address that the caller keeps valid. */
export type Memory = ArrayBufferView | bigint;

/** Owners of memory in use by calls under way. A global set: nothing that optimises a function can see it unused. */
const inUse = new Set<object>();

/** Runs `body` while everything in `owners` stays alive. */
export function alive<T>(owners: object, body: () => T): T {
  inUse.add(owners);
  try {
    return body();
  } finally {
    inUse.delete(owners);
  }
}

/** The same until a promise is settled. */
export async function aliveUntil<T>(owners: object, body: () => Promise<T>): Promise<T> {
  inUse.add(owners);
  try {
    return await body();
  } finally {
    inUse.delete(owners);
  }
}

/** Address of a piece of memory; 0 for none and for empty views. */
export function addressOf(memory: Memory | undefined): bigint {
  if (memory === undefined) return 0n;
  if (typeof memory === "bigint") return memory;
  return memory.byteLength === 0 ? 0n : ffi().address(memory);
}

const encoder = new TextEncoder();

/**
 * UTF-8 bytes of `text` with the terminating NUL.
 *
 * @throws ArgumentError when `text` contains a NUL, which would silently shorten it.
 */
export function cString(text: string, what: string): Uint8Array {
  if (text.includes("\0")) throw new ArgumentError(`${what} contains a NUL character: ${JSON.stringify(text)}`);
  return encoder.encode(`${text}\0`);
}

const decoder = new TextDecoder();

/** The text up to the first NUL, or to the end. */
export function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
