// The kernel takes no type information about things that are not there. Here extern declarations become definitions that
// it accepts: Kconfig externs the variables of a data section, kernel symbols integers that nobody reads
// (libbpf.md 3.1 step 5).

import {
  type Btf,
  type BtfDataSec,
  type BtfDataSecEntry,
  type BtfFunc,
  type BtfFuncProto,
  BtfLinkage,
  type BtfTypeInput,
  type BtfVar,
} from "../btf/index.js";
import { ObjectError } from "../errors.js";
import type { Externs } from "./externs.js";

/** Stands for functions in `.ksyms`, and names their parameters that have no name. */
const DUMMY_NAME = "dummy_ksym";
/** Bytes of the integer that stands for a kernel symbol. */
const DUMMY_SIZE = 4;

/** A type in the place of another one. */
export type ExternChange = BtfDataSec | BtfVar | BtfFunc | BtfFuncProto;

/** What changes in an object's BTF. */
export interface ExternTypes {
  readonly changes: readonly ExternChange[];
  /** A type behind the existing ones; its id is the BTF's `typeCount`. */
  readonly added: BtfTypeInput | undefined;
}

/**
 * The changes that make the object's externs acceptable to the kernel, the same as libbpf's.
 *
 * libbpf: second half of `bpf_object__collect_externs`.
 * @throws ObjectError when a declared extern has no symbol
 */
export function externTypes(btf: Btf, externs: Externs): ExternTypes {
  if (externs.specs.length === 0) return { changes: [], added: undefined };
  const kconfig = kconfigChanges(btf, externs);
  const ksyms = ksymChanges(btf, externs);
  return { changes: [...kconfig, ...ksyms.changes], added: ksyms.added };
}

function kconfigChanges(btf: Btf, externs: Externs): ExternChange[] {
  const datasec = datasecOf(btf, ".kconfig");
  if (datasec === undefined) return [];
  const variables: BtfVar[] = [];
  const entries = datasec.variables.map((entry): BtfDataSecEntry => {
    const variable = btf.type(entry.type) as BtfVar;
    const spec = externs.find(variable.name);
    if (spec?.kind !== "kconfig") throw noSymbol(variable.name, datasec);
    variables.push({ ...variable, linkage: BtfLinkage.Global });
    return { ...entry, offset: spec.offset };
  });
  entries.sort((a, b) => a.offset - b.offset);
  return [...variables, { ...datasec, size: externs.kconfigSize, variables: entries }];
}

function ksymChanges(btf: Btf, externs: Externs): ExternTypes {
  const datasec = datasecOf(btf, ".ksyms");
  if (datasec === undefined) return { changes: [], added: undefined };
  const dummyType = firstInt(btf);
  const dummyVariable = btf.typeCount;
  const changes: ExternChange[] = [];
  let hasFunctions = false;
  const entries = datasec.variables.map((entry, i): BtfDataSecEntry => {
    const type = btf.type(entry.type) as BtfVar | BtfFunc;
    if (externs.find(type.name) === undefined) throw noSymbol(type.name, datasec);
    const place = { offset: i * DUMMY_SIZE, size: DUMMY_SIZE };
    if (type.kind === "var") {
      changes.push({ ...type, type: dummyType, linkage: BtfLinkage.Global });
      return { type: entry.type, ...place };
    }
    hasFunctions = true;
    changes.push({ ...type, linkage: BtfLinkage.Global }, ...namedParameters(btf, type.type));
    return { type: dummyVariable, ...place };
  });
  changes.push({ ...datasec, size: entries.length * DUMMY_SIZE, variables: entries });
  const dummy = { kind: "var", name: DUMMY_NAME, type: dummyType, linkage: BtfLinkage.Global } as const;
  return { changes, added: hasFunctions ? dummy : undefined };
}

/** The prototype with names for all its parameters but `...`; nothing when they have names. */
function namedParameters(btf: Btf, protoId: number): BtfFuncProto[] {
  const proto = btf.type(protoId);
  if (proto.kind !== "funcProto" || proto.params.every(({ name, type }) => name !== "" || type === 0)) return [];
  const params = proto.params.map((param) =>
    param.name === "" && param.type !== 0 ? { ...param, name: DUMMY_NAME } : param,
  );
  return [{ ...proto, params }];
}

function datasecOf(btf: Btf, name: string): BtfDataSec | undefined {
  const id = btf.findByName(name, "datasec");
  const datasec = id === undefined ? undefined : btf.type(id);
  return datasec?.kind === "datasec" ? datasec : undefined;
}

/** The first integer of 32 bits; void when there is none, as in libbpf: then the kernel goes without these types. */
function firstInt(btf: Btf): number {
  for (let id = btf.firstId; id < btf.typeCount; id++) {
    const type = btf.type(id);
    if (type.kind === "int" && type.bits === 32) return id;
  }
  return 0;
}

function noSymbol(name: string, datasec: BtfDataSec): ObjectError {
  return new ObjectError("OBJECT_INVALID", `${name} is declared here, and no symbol refers to it`, {
    section: datasec.name,
  });
}
