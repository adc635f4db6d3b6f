// Tables of callbacks registered with a subsystem of the kernel: TCP congestion control, schedulers, queueing
// disciplines (libbpf.md 1.5).

import { BpfkitError, SystemCallError, UnsupportedError } from "../errors.js";
import { log } from "../log.js";
import { AttachType, MapFlag } from "../object/index.js";
import { Errno, type FileDescriptor, linkCreate, linkUpdate, mapDelete, mapUpdate } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";

/** A struct_ops map as attaching needs it. */
export interface StructOpsTable {
  readonly name: string;
  readonly file: string;
  /** BPF_F_*: those with LINK make links. */
  readonly flags: number;
  readonly descriptor: FileDescriptor;
  /** What registers the callbacks, in the kernel's layout. @throws StateError, UnsupportedError */
  readonly structOpsValue: Uint8Array;
  duplicateFd(): FileDescriptor;
}

/** The registration of a struct_ops map. */
export class StructOpsLink extends BpfLink {
  readonly #link: FileDescriptor | undefined;

  /** @internal */
  constructor(map: StructOpsTable, link: FileDescriptor | undefined, others: readonly FileDescriptor[]) {
    super({
      kind: "struct_ops",
      program: map.name,
      target: `struct_ops ${map.name}`,
      link,
      others,
      detach: link === undefined ? () => unregister(map.name, others[0]!) : undefined,
    });
    this.#link = link;
  }

  /**
   * Puts another struct_ops map of the same kind (and, for TCP congestion control, the same name) in the place of the
   * present one, without a moment in between. Linux 6.4. libbpf: `bpf_link__update_map`.
   *
   * @throws UnsupportedError when the link's map is not of section `.struct_ops.link`, StateError after close or while the
   *   map is not loaded, SystemCallError with code `ATTACH`
   */
  updateMap(map: StructOpsTable): void {
    void this.fd;
    const link = this.#link;
    if (link === undefined) {
      throw new UnsupportedError("callbacks without a link cannot be replaced", {
        map: this.program,
        hint: 'put the variable into SEC(".struct_ops.link")',
      });
    }
    explainAttach({ name: map.name, file: map.file }, this.target, () => {
      write(map);
      linkUpdate({ link, program: map.descriptor });
    });
  }
}

/**
 * Registers the callbacks of a struct_ops map. Linux 5.6; links 6.4. libbpf: `bpf_map__attach_struct_ops`.
 *
 * @throws SystemCallError with code `ATTACH`
 */
export function attachStructOps(map: StructOpsTable): StructOpsLink {
  return explainAttach(
    { name: map.name, file: map.file },
    `struct_ops ${map.name}`,
    () => {
      write(map);
      // Without a link the registration lives in the map's only element; the link then is a descriptor of the map.
      if ((map.flags & MapFlag.LINK) === 0) return new StructOpsLink(map, undefined, [map.duplicateFd()]);
      const link = linkCreate({ program: map.descriptor, attachType: AttachType.struct_ops });
      return new StructOpsLink(map, link, []);
    },
    { hints: { EEXIST: "something of the same name is registered already" }, since: "5.6" },
  );
}

/** Element 0 holds the callbacks. A map with links takes its value once and refuses it, unchanged, ever after. */
function write(map: StructOpsTable): void {
  try {
    mapUpdate({ map: map.descriptor, key: new Uint8Array(4), value: map.structOpsValue });
  } catch (error) {
    const known = (map.flags & MapFlag.LINK) !== 0 && error instanceof SystemCallError && error.errno === Errno.EBUSY;
    if (!known) throw error;
  }
}

function unregister(name: string, map: FileDescriptor): void {
  try {
    mapDelete({ map, key: new Uint8Array(4) });
  } catch (error) {
    if (!BpfkitError.isBpfkitError(error)) throw error;
    log.warn(`struct_ops ${name} could not be unregistered: ${error.message}`);
  }
}
