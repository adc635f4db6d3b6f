// What the running kernel can do, for users: the kernel room's probes under libbpf's names.

import { ArgumentError } from "../errors.js";
import {
  type FeatureName,
  featureTable,
  kernelHas,
  probeHelper,
  probeMapType,
  probeProgramType,
} from "../kernel/index.js";
import { nearNames } from "../near-names.js";
import { checkU32, MapType, type MapTypeName, numberOf, ProgramType, type ProgramTypeName } from "../object/index.js";

/** A feature as {@link features} describes it. */
export interface FeatureDescription {
  readonly name: FeatureName;
  /** For people. */
  readonly what: string;
  /** First kernel that has it, where its configuration allows; distributions may have it earlier. */
  readonly since: string;
}

const names = Object.keys(featureTable) as FeatureName[];

/**
 * Asks the running kernel what it can do, by doing it: every answer comes from a system call, made at the first question
 * and remembered by this process. `true`: it can. `false`: it cannot. `undefined`: it cannot be told, mostly because
 * this process may not load anything (root, or CAP_BPF with CAP_PERFMON and CAP_NET_ADMIN).
 */
export const features = {
  /** All features that {@link has} knows. */
  list: names.map((name): FeatureDescription => {
    const { what, since } = featureTable[name];
    return { name, what, since };
  }) as readonly FeatureDescription[],

  /**
   * One of the features that loading and attaching depend on. libbpf: `kernel_supports` (internal).
   *
   * @throws ArgumentError for an unknown name
   */
  has(name: FeatureName): boolean | undefined {
    if (!Object.hasOwn(featureTable, name)) {
      throw new ArgumentError(`no feature ${JSON.stringify(name)}${nearNames(String(name), names)}`);
    }
    return kernelHas(name);
  },

  /**
   * Whether programs of a type can be loaded. libbpf: `libbpf_probe_bpf_prog_type`.
   *
   * @throws ArgumentError for an unknown name
   */
  programType(type: ProgramTypeName | number): boolean | undefined {
    return probeProgramType(typeNumber(type, ProgramType, "program type"));
  },

  /**
   * Whether maps of a type can be created. libbpf: `libbpf_probe_bpf_map_type`.
   *
   * @throws ArgumentError for an unknown name
   */
  mapType(type: MapTypeName | number): boolean | undefined {
    return probeMapType(typeNumber(type, MapType, "map type"));
  },

  /**
   * Whether programs of a type may call a helper, given by its number (`BPF_FUNC_*`). Always undefined for programs that
   * need a target to be loaded (tracing, lsm, struct_ops, ext). libbpf: `libbpf_probe_bpf_helper`.
   *
   * @throws ArgumentError for an unknown name
   */
  helper(type: ProgramTypeName | number, helper: number): boolean | undefined {
    if (checkU32(helper, "helper") > 0x7fff_ffff) throw new ArgumentError(`no helper has the number ${helper}`);
    return probeHelper(typeNumber(type, ProgramType, "program type"), helper);
  },
} as const;

function typeNumber(type: string | number, table: Readonly<Record<string, number>>, what: string): number {
  const number = numberOf(type, table, what);
  if (number === 0) throw new ArgumentError(`${what} "unspec" is none`);
  return number;
}
