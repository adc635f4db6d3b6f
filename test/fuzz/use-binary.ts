// Everything that can be asked of a user program's file: functions, probes with their arguments, members of archives.

import {
  BinaryFunctions,
  parseUsdtArguments,
  type RangeSource,
  readUsdtProbes,
  USDT_SPEC_SIZE,
  usdtSpec,
  zipMember,
} from "../../src/elf/index.js";
import { attempt, insist } from "./target.js";

/** Insists that only what is in the file is read, and not ever so often. */
function sourceOf(bytes: Uint8Array): RangeSource {
  let budget = 64 * bytes.length + (1 << 20);
  return {
    size: bytes.length,
    read(offset, length) {
      const inside = offset >= 0 && length >= 0 && Number.isSafeInteger(offset) && offset + length <= bytes.length;
      insist(inside, () => `reads ${length} bytes at ${offset} of ${bytes.length}`);
      budget -= length;
      insist(budget >= 0, () => `reads more than 64 times ${bytes.length} bytes`);
      return bytes.slice(offset, offset + length);
    },
  };
}

/** Names that seeds have. */
const names = ["first", "wait", "wait@@NEW_2", "größe", "x"];

/** Reads functions and probes of an executable. */
export function useBinary(bytes: Uint8Array): void {
  const functions = attempt(() => new BinaryFunctions(sourceOf(bytes)));
  if (functions !== undefined) {
    const offsets = [
      ...(attempt(() => functions.find(names)) ?? []),
      ...(attempt(() => functions.matching("*")) ?? []).map(({ offset }) => offset),
    ];
    for (const offset of offsets) if (offset !== undefined) insistOnPlace(offset, bytes);
  }
  const found = attempt(() => readUsdtProbes(sourceOf(bytes)));
  for (const { offset, semaphore, provider, name, args } of found?.probes ?? []) {
    insistOnPlace(offset, bytes);
    if (semaphore !== undefined) insistOnPlace(semaphore, bytes);
    insist(provider !== "" && name !== "", () => "a probe without a name");
    useArguments(args, found!.machine);
  }
}

function insistOnPlace(offset: number, { length }: Uint8Array): void {
  insist(Number.isSafeInteger(offset) && offset >= 0 && offset < length, () => `a place at ${offset} of ${length}`);
}

/** Reads the arguments of a probe. */
export function useArguments(text: string, machine: number): void {
  const args = attempt(() => parseUsdtArguments(text, machine));
  if (args === undefined) return;
  insist(args.length <= 12, () => `${args.length} arguments`);
  for (const { size, register, index = 0, shift = 0 } of args) {
    insist([1, 2, 4, 8].includes(size) && shift <= 3, () => `an argument of ${size} bytes, shifted by ${shift}`);
    insist(register >= 0 && register < 512 && index >= 0 && index < 512, () => `a register at ${register}, ${index}`);
  }
  insist(usdtSpec(args, -1n).length === USDT_SPEC_SIZE, () => "a record of another size");
}

/** Looks for members of an archive. */
export function useArchive(bytes: Uint8Array): void {
  for (const name of ["lib/a.so", "b", ""]) {
    const member = attempt(() => zipMember(sourceOf(bytes), name));
    if (member === undefined) continue;
    const { offset, size } = member;
    insist(offset >= 0 && size >= 0 && offset + size <= bytes.length, () => `a member of ${size} bytes at ${offset}`);
  }
}
