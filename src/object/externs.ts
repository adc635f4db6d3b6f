// Undefined symbols that the running kernel is to supply: what the type information says about them (libbpf.md 3.1 step 5).

import type { Btf } from "../btf/index.js";
import { BtfError, ObjectError } from "../errors.js";
import type { ExternSectionName } from "./spec.js";

/** Where an extern is declared. */
export interface ExternDeclaration {
  readonly sectionName: ExternSectionName;
  /** BTF id of the VAR or FUNC. */
  readonly typeId: number;
  readonly isFunction: boolean;
}

const SECTIONS: readonly ExternSectionName[] = [".kconfig", ".ksyms"];

/** The declarations of an object's externs by name, read when the first one is asked for. */
export class Externs {
  readonly #btf: Btf | undefined;
  #byName: Map<string, ExternDeclaration> | undefined;

  constructor(btf: Btf | undefined) {
    this.#btf = btf;
  }

  /**
   * The declaration of `name`.
   *
   * @throws BtfError `BTF_MISSING` without type information; ObjectError when the symbol is not declared as an extern
   */
  declaration(name: string): ExternDeclaration {
    if (this.#btf === undefined) {
      throw new BtfError("BTF_MISSING", `the type of extern \`${name}\` is not known`, { hint: "compile with -g" });
    }
    this.#byName ??= declarations(this.#btf);
    const declaration = this.#byName.get(name);
    if (declaration !== undefined) return declaration;
    throw new ObjectError("OBJECT_INVALID", `\`${name}\` is not defined`, {
      hint: "declare it with __ksym or __kconfig if the kernel has it, or link the file that defines it",
    });
  }
}

function declarations(btf: Btf): Map<string, ExternDeclaration> {
  const byName = new Map<string, ExternDeclaration>();
  for (const sectionName of SECTIONS) {
    const id = btf.findByName(sectionName, "datasec");
    const datasec = id === undefined ? undefined : btf.type(id);
    if (datasec?.kind !== "datasec") continue;
    for (const { type: typeId } of datasec.variables) {
      const { kind, name } = btf.type(typeId);
      if (kind === "func" && sectionName === ".kconfig") {
        throw new ObjectError("OBJECT_INVALID", `function ${name} is declared __kconfig`, { section: sectionName });
      }
      byName.set(name, { sectionName, typeId, isFunction: kind === "func" });
    }
  }
  return byName;
}
