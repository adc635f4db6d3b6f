// The one place that calls elfy. elfy is written for Node's Buffer; the core must run without it, so elfy gets a
// Uint8Array that knows the few methods of Buffer that elfy calls. (elfy itself requires node's `assert` and `util`,
// which bundlers for browsers replace.)

import elfy, { type ElfyInput } from "elfy";
import { ElfError } from "../errors.js";
import type { ElfSection } from "./types.js";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Unlike Buffer's, these readers do not check their offset: the section table is validated before elfy sees it. */
class ElfyBytes extends Uint8Array<ArrayBuffer> implements ElfyInput {
  /** Buffer's `slice` shares memory, Uint8Array's copies. */
  override slice(start?: number, end?: number): ElfyBytes {
    return this.subarray(start, end) as ElfyBytes; // a subclass's subarrays are of the subclass
  }

  override toString(): string {
    return utf8.decode(this);
  }

  readUInt16LE(offset: number): number {
    return this[offset]! | (this[offset + 1]! << 8);
  }

  readUInt16BE(offset: number): number {
    return (this[offset]! << 8) | this[offset + 1]!;
  }

  readUInt32LE(offset: number): number {
    return (this.readUInt16LE(offset) | (this.readUInt16LE(offset + 2) << 16)) >>> 0;
  }

  readUInt32BE(offset: number): number {
    return ((this.readUInt16BE(offset) << 16) | this.readUInt16BE(offset + 2)) >>> 0;
  }
}

/**
 * The section table as elfy reads it. Only for bytes whose header, section table and names have been validated: left
 * alone with a crafted file elfy may work for minutes (typescript.md section 2).
 *
 * @throws ElfError `ELF_INVALID` for whatever elfy throws (Error, TypeError, RangeError, AssertionError)
 */
export function readSectionsWithElfy(
  bytes: Uint8Array<ArrayBuffer>,
): readonly Pick<ElfSection, "name" | "link" | "info">[] {
  try {
    return elfy.parse(new ElfyBytes(bytes.buffer, bytes.byteOffset, bytes.byteLength)).body.sections;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ElfError("ELF_INVALID", `the section table cannot be read: ${message}`, { cause });
  }
}
