// Kernel symbols that an object refers to: variables and functions with a type are found in the kernel's type
// information, symbols without one in its list of symbols (libbpf.md 3.5).

import { type Btf, essentialName } from "../btf/index.js";
import { typesAreCompatible } from "../core-reloc/index.js";
import { BtfError, UnsupportedError } from "../errors.js";
import { loadKernelBtf, type ModuleBtf, type ModuleBtfs, readKernelSymbols } from "../kernel/index.js";
import { log } from "../log.js";
import type { ExternSpec, KsymFunctionSpec, KsymVariableSpec } from "../object/index.js";

type KsymSpec = KsymVariableSpec | KsymFunctionSpec;

/** Where the running kernel has a symbol. */
export type KernelSymbol =
  | { readonly kind: "address"; readonly address: bigint }
  | {
      readonly kind: "type";
      /** In the BTF of vmlinux or of a module. */
      readonly typeId: number;
      /** Descriptor of the module's BTF; 0 for vmlinux. */
      readonly btfFd: number;
      /** Functions: where in `fdArray` that descriptor is; 0 for vmlinux. */
      readonly fdIndex: number;
    };

/** What was found. Weak symbols that this kernel does not have are missing. */
export interface KernelSymbolTable {
  readonly symbols: ReadonlyMap<ExternSpec, KernelSymbol>;
  /** Descriptors of the modules whose functions are called, from index 1 on; undefined when there are none. */
  readonly fdArray: Int32Array | undefined;
}

/** The types of kernel modules. */
type ModuleSource = Pick<ModuleBtfs, "list">;

/** The offset field of a call, which holds the index, has 15 bits to spare. */
const MAX_FDS = 0x7fff;

/**
 * Finds the kernel symbols among `externs`. Nothing is read unless there is one.
 *
 * libbpf: second half of `bpf_object__resolve_externs`.
 * @throws UnsupportedError for a strong symbol that the kernel lacks or has in another form, BtfError
 */
export function findKernelSymbols(
  externs: readonly ExternSpec[],
  local: Btf | undefined,
  modules: ModuleSource,
): KernelSymbolTable {
  const symbols = new Map<ExternSpec, KernelSymbol>();
  const ksyms = externs.filter((extern) => extern.kind !== "kconfig");
  const isUntyped = (extern: KsymSpec): boolean => extern.kind === "ksymVariable" && extern.valueTypeId === 0;
  const untyped = ksyms.filter(isUntyped);
  const typed = ksyms.filter((extern) => !isUntyped(extern));

  const addresses = untyped.length === 0 ? undefined : findAddresses(untyped);
  for (const extern of untyped) {
    const address = addresses?.get(extern.name);
    if (address !== undefined) symbols.set(extern, { kind: "address", address });
  }
  const search = new TypedSearch(local, modules);
  for (const extern of typed) {
    const symbol = search.find(extern);
    if (symbol !== undefined) symbols.set(extern, symbol);
  }
  for (const extern of ksyms) {
    if (symbols.has(extern)) continue;
    if (!extern.weak) throw missing(extern);
    const declaredOtherwise = ksyms.some((other) => symbols.has(other) && isSameFunction(other, extern));
    if (search.mismatched.has(extern) && !declaredOtherwise) {
      log.warn(`weak extern ${extern.name} counts as missing: this kernel has it with another declaration`);
    } else log.debug(() => `weak extern ${extern.name}: this kernel does not have it`);
  }
  return { symbols, fdArray: search.fdArray };
}

/** Declarations of one function, which flavors tell apart. */
function isSameFunction(a: KsymSpec, b: KsymSpec): boolean {
  return a.kind === "ksymFunction" && b.kind === a.kind && essentialName(a.name) === essentialName(b.name);
}

function findAddresses(externs: readonly KsymSpec[]): ReadonlyMap<string, bigint> {
  let found: ReturnType<typeof readKernelSymbols>;
  try {
    found = readKernelSymbols(externs.map(({ name }) => name));
  } catch (cause) {
    throw new UnsupportedError(`the addresses of kernel symbols such as ${externs[0]!.name} cannot be read`, {
      section: ".ksyms",
      cause,
      hint: "/proc/kallsyms has them where the kernel was built with CONFIG_KALLSYMS",
    });
  }
  const strong = externs.find(({ name, weak }) => !weak && found.addresses.has(name));
  if (found.hidden && strong !== undefined) {
    throw new UnsupportedError(`the kernel hides the address of ${strong.name}`, {
      section: ".ksyms",
      hint: "it shows addresses to processes with CAP_SYSLOG, unless kernel.kptr_restrict is 2",
    });
  }
  if (found.hidden)
    log.warn("the kernel hides the addresses of its symbols: weak externs are 0 although it may have them");
  for (const [name, addresses] of found.addresses) {
    if (addresses.length === 1) continue;
    const list = addresses.map((address) => `0x${address.toString(16)}`).join(", ");
    throw new UnsupportedError(`the kernel has several symbols ${name}: ${list}`, { section: ".ksyms" });
  }
  return new Map([...found.addresses].map(([name, addresses]) => [name, addresses[0]!]));
}

/** Looks in vmlinux, then in the modules. */
class TypedSearch {
  readonly #local: Btf | undefined;
  readonly #modules: ModuleSource;
  /** Modules whose functions are called; the index in the array is one higher. */
  readonly #called: ModuleBtf[] = [];
  /** Weak functions that the kernel has in another form than declared. */
  readonly mismatched = new Set<KsymSpec>();

  constructor(local: Btf | undefined, modules: ModuleSource) {
    this.#local = local;
    this.#modules = modules;
  }

  get fdArray(): Int32Array | undefined {
    if (this.#called.length === 0) return undefined;
    return Int32Array.from([0, ...this.#called.map((module) => descriptorOf(module))]);
  }

  find(extern: KsymSpec): KernelSymbol | undefined {
    const isFunction = extern.kind === "ksymFunction";
    // Several declarations of one function tell themselves apart by a flavor.
    const name = isFunction ? essentialName(extern.name) : extern.name;
    const kernel = loadKernelBtf(`extern ${extern.name}`);
    let home: { readonly btf: Btf; readonly module?: ModuleBtf } = { btf: kernel };
    let typeId = kernel.findByName(name, isFunction ? "func" : "var");
    if (typeId === undefined) {
      for (const module of this.#modules.list()) {
        typeId = module.btf.findByName(name, isFunction ? "func" : "var");
        home = { btf: module.btf, module };
        if (typeId !== undefined) break;
      }
    }
    if (typeId === undefined) return undefined;
    const { btf, module } = home;
    if (!this.#isCompatible(extern, btf, typeId)) {
      // So that a function can be declared in the form of every kernel; which one is there, the program finds out.
      if (isFunction && extern.weak) {
        this.mismatched.add(extern);
        return undefined;
      }
      throw incompatible(extern);
    }
    const btfFd = module === undefined ? 0 : descriptorOf(module);
    return { kind: "type", typeId, btfFd, fdIndex: module === undefined || !isFunction ? 0 : this.#indexOf(module) };
  }

  #isCompatible(extern: KsymSpec, btf: Btf, typeId: number): boolean {
    if (this.#local === undefined) throw new BtfError("BTF_MISSING", `the type of extern ${extern.name} is not known`);
    const symbol = btf.type(typeId);
    if (symbol.kind !== "func" && symbol.kind !== "var") return false;
    return extern.kind === "ksymFunction"
      ? typesAreCompatible(this.#local, extern.protoTypeId, btf, symbol.type)
      : typesAreCompatible(this.#local, extern.valueTypeId, btf, btf.resolve(symbol.type));
  }

  #indexOf(module: ModuleBtf): number {
    const known = this.#called.indexOf(module);
    if (known >= 0) return known + 1;
    if (this.#called.length + 1 >= MAX_FDS) {
      throw new UnsupportedError(`functions of more than ${MAX_FDS - 1} modules are called`, { section: ".ksyms" });
    }
    return this.#called.push(module);
  }
}

function descriptorOf({ name, fd }: ModuleBtf): number {
  if (fd !== undefined) return fd.number;
  throw new UnsupportedError(`the types of module ${name} cannot be opened`, {
    section: ".ksyms",
    hint: "this needs CAP_SYS_ADMIN",
  });
}

function missing(extern: KsymSpec): UnsupportedError {
  const what = extern.kind === "ksymFunction" ? "function" : extern.valueTypeId === 0 ? "symbol" : "variable";
  const where = what === "symbol" ? "" : " among its types";
  return new UnsupportedError(`this kernel has no ${what} ${extern.name}${where}`, {
    section: ".ksyms",
    hint: "a program that can do without declares it __weak and tests it with bpf_ksym_exists()",
  });
}

function incompatible(extern: KsymSpec): UnsupportedError {
  const [what, differs] =
    extern.kind === "ksymFunction" ? ["function", "another prototype"] : ["variable", "another type"];
  return new UnsupportedError(`this kernel's ${what} ${extern.name} has ${differs} than the object declares`, {
    section: ".ksyms",
  });
}
