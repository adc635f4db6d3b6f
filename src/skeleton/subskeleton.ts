// The base class of generated subskeletons: a library's part of an object that belongs to somebody else.

import type { BpfObject } from "../loader/index.js";
import { bindMaps, bindPrograms, bindStructOps } from "./bindings.js";
import { checkLayout, type SkeletonLayout } from "./check.js";

/**
 * What generated subskeletons are: the maps, programs and variables of a library, found by name in an object into which it
 * was linked. The object is its owner's to load, attach and close.
 *
 * libbpf: `bpf_object__open_subskeleton`.
 */
export abstract class Subskeleton<Maps extends object, Progs extends object, StructOps extends object = object> {
  /** The object that this is a part of. */
  readonly object: BpfObject;
  readonly maps: Maps;
  readonly progs: Progs;
  readonly struct_ops: StructOps;

  /** @throws ObjectError when the object lacks something, or has it in another form */
  protected constructor(layout: SkeletonLayout, object: BpfObject) {
    checkLayout(layout, object);
    this.object = object;
    this.maps = bindMaps(layout, object);
    this.progs = bindPrograms(layout, object);
    this.struct_ops = bindStructOps(layout, object);
  }

  /** The variables of a data section, of which the library's are declared. */
  protected section<T>(name: string): T {
    return this.object.globals(name) as T;
  }
}
