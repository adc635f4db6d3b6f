// Type information of a kernel out of a file: raw BTF, or the section .BTF of an ELF file of any size (a kernel image, a
// BPF object).

import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { Btf, type BtfParseOptions } from "../btf/index.js";
import { isElf, type RangeSource, readSectionTable } from "../elf/index.js";
import { BtfError, withLocation } from "../errors.js";

/** Sections that only files have whose types build on those of vmlinux. */
const splitMarks = [".BTF.base", ".gnu.linkonce.this_module"];

/**
 * Raw BTF, or that of an ELF file.
 *
 * libbpf: `btf__parse`.
 * @throws BtfError, ElfError; BtfError `BTF_MISSING` for ELF files without types, and for kernel modules
 */
function readBtf(source: RangeSource, options: BtfParseOptions = {}): Btf {
  const start = source.read(0, Math.min(4, source.size));
  if (!isElf(start)) return Btf.parse(source.read(0, source.size), options);
  const elf = readSectionTable(source);
  if (splitMarks.some((name) => elf.has(name))) {
    throw new BtfError("BTF_MISSING", "the file is a kernel module, whose types build on those of the kernel", {
      section: ".BTF",
      hint: "pass the BTF of the kernel itself (vmlinux)",
    });
  }
  const bytes = elf.read(".BTF");
  if (bytes === undefined) throw new BtfError("BTF_MISSING", "the file has no type information (no section .BTF)");
  return withLocation({ section: ".BTF" }, () => Btf.parse(bytes, options));
}

/** {@link readBtf} from bytes. */
export function readBtfBytes(bytes: Uint8Array): Btf {
  return readBtf(bytesSource(bytes));
}

function bytesSource(bytes: Uint8Array): RangeSource {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/**
 * {@link readBtf} from a file, of which only what is needed is read.
 *
 * @throws also errors of `node:fs`
 */
export function readBtfFile(path: string, options: BtfParseOptions = {}): Btf {
  const fd = openSync(path, "r");
  try {
    const read = (offset: number, length: number): Uint8Array => {
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const count = readSync(fd, bytes, filled, length - filled, offset + filled);
        if (count === 0) throw new BtfError("BTF_INVALID", "the file ended while it was read", { offset });
        filled += count;
      }
      return bytes;
    };
    const stat = fstatSync(fd);
    // Pipes and the like can only be read to their end.
    const whole = stat.isFile() ? undefined : new Uint8Array(readFileSync(fd));
    const source = whole === undefined ? { size: stat.size, read } : bytesSource(whole);
    return withLocation({ file: path }, () => readBtf(source, options));
  } finally {
    closeSync(fd);
  }
}
