// Members of zip archives that are stored without compression, as Android packages have their shared objects: they are
// mapped from within the archive, and probes count offsets from its beginning (libbpf.md 2.3).

import { ElfError, NotFoundError, UnsupportedError } from "../errors.js";
import { nearNames } from "../near-names.js";
import { ByteReader } from "./byte-reader.js";
import type { RangeSource } from "./ranged.js";

/** Records of the format (PKWARE APPNOTE 4.3): signature and size of the fixed part. */
const END = { signature: 0x0605_4b50, size: 22 };
const ENTRY = { signature: 0x0201_4b50, size: 46 };
const LOCAL = { signature: 0x0403_4b50, size: 30 };
/** What follows the last record: a comment of up to so many bytes. */
const MAX_COMMENT = 0xffff;
const MAX_DIRECTORY = 1 << 26;

/**
 * Where in an archive the contents of a member are.
 *
 * @throws NotFoundError naming near members, UnsupportedError for a compressed or encrypted one, ElfError for what is no
 *   archive
 */
export function zipMember(archive: RangeSource, name: string): { readonly offset: number; readonly size: number } {
  const directory = readDirectory(archive);
  const names: string[] = [];
  for (let at = 0; at + ENTRY.size <= directory.length && directory.u32(at) === ENTRY.signature; ) {
    const nameLength = directory.u16(at + 28);
    directory.need(at + ENTRY.size, nameLength);
    const member = new TextDecoder().decode(directory.bytes.subarray(at + ENTRY.size, at + ENTRY.size + nameLength));
    if (member === name) return contents(archive, directory, at, name);
    names.push(member);
    at += ENTRY.size + nameLength + directory.u16(at + 30) + directory.u16(at + 32);
  }
  throw new NotFoundError(`the archive has no member ${name}${nearNames(name, names)}`);
}

function readDirectory(archive: RangeSource): ByteReader {
  const length = Math.min(archive.size, END.size + MAX_COMMENT);
  const tail = new ByteReader(archive.read(archive.size - length, length), true);
  for (let at = length - END.size; at >= 0; at--) {
    if (tail.u32(at) !== END.signature) continue;
    const [size, offset] = [tail.u32(at + 12), tail.u32(at + 16)];
    if (size > MAX_DIRECTORY) throw new ElfError("ELF_UNSUPPORTED", `a directory of ${size} bytes in an archive`);
    return range(archive, offset, size);
  }
  throw new ElfError("ELF_INVALID", "not a zip archive", { offset: 0 });
}

function contents(
  archive: RangeSource,
  directory: ByteReader,
  at: number,
  name: string,
): { readonly offset: number; readonly size: number } {
  const [flags, method] = [directory.u16(at + 8), directory.u16(at + 10)];
  if (method !== 0 || (flags & 1) !== 0) {
    throw new UnsupportedError(`the member ${name} of the archive is ${method !== 0 ? "compressed" : "encrypted"}`, {
      hint: "only members that are stored as they are can be mapped and probed",
    });
  }
  const header = directory.u32(at + 42);
  const local = range(archive, header, LOCAL.size);
  if (local.u32(0) !== LOCAL.signature) {
    throw new ElfError("ELF_INVALID", `the archive's directory is wrong about ${name}`, { offset: header });
  }
  const offset = header + LOCAL.size + local.u16(26) + local.u16(28);
  const size = directory.u32(at + 24);
  if (offset + size > archive.size) {
    throw new ElfError("ELF_TRUNCATED", `the member ${name} ends beyond the archive`, { offset });
  }
  return { offset, size };
}

function range(archive: RangeSource, offset: number, size: number): ByteReader {
  if (offset + size > archive.size) {
    throw new ElfError("ELF_TRUNCATED", "a record of the archive lies beyond its end", { offset });
  }
  return new ByteReader(archive.read(offset, size), true);
}
