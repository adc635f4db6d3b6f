// The base class of generated skeletons: an object with its names as properties. All typing is in the generated code; all
// work is BpfObject's.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ArgumentError, ObjectError, withLocation } from "../errors.js";
import type { BpfLink } from "../link/index.js";
import { BpfObject, type OpenOptions } from "../loader/index.js";
import { bindMaps, bindPrograms, bindStructOps, Links } from "./bindings.js";
import { checkLayout, type SkeletonLayout } from "./check.js";

/** Options of a skeleton's `open`: those of `BpfObject.open`, but for `int64`, and which object. */
export interface SkeletonOptions extends Omit<OpenOptions, "int64"> {
  /** Another build of the object than the one that the skeleton has: path, file URL or bytes. It is checked. */
  object?: string | URL | Uint8Array | undefined;
}

/**
 * What generated skeletons are: a BPF object whose maps, programs, links and variables are properties with types.
 *
 * libbpf: `bpf_object__open_skeleton` and its neighbours.
 */
export abstract class Skeleton<
  Maps extends object,
  Progs extends object,
  Links_ extends object,
  StructOps extends object = object,
> implements Disposable
{
  /** The object itself, for everything that needs no types. */
  readonly object: BpfObject;
  /** The maps; data sections without their dot. */
  readonly maps: Maps;
  /** The programs. */
  readonly progs: Progs;
  /** The members of struct_ops variables, settable until load. */
  readonly struct_ops: StructOps;
  readonly #links: Links<Links_>;

  /** @throws ObjectError when the object is not what the skeleton was generated from; what `BpfObject.open` throws */
  protected constructor(layout: SkeletonLayout, options: SkeletonOptions = {}) {
    const { object: source, ...rest } = options;
    this.object = BpfObject.open(source ?? ownObject(layout), {
      name: layout.name,
      ...rest,
      // The types say what integers are.
      int64: layout.int64 ?? "bigint",
    });
    checkLayout(layout, this.object);
    this.maps = bindMaps(layout, this.object);
    this.progs = bindPrograms(layout, this.object);
    this.struct_ops = bindStructOps(layout, this.object);
    this.#links = new Links(layout, this.object);
  }

  /**
   * What keeps programs and struct_ops tables attached: filled by {@link attach}, and by hand, as in
   * `skel.links.probe = skel.progs.probe.attachTracepoint(…)`. Closed by {@link detach} and {@link close}.
   */
  get links(): Links_ {
    return this.#links.properties;
  }

  /** The first half of {@link load}: maps are usable, programs can still be changed. libbpf: `bpf_object__prepare`. */
  prepare(): void {
    this.object.prepare();
  }

  /** Creates the maps and loads the programs, the verifier on another thread. libbpf: `NAME__load`. */
  load(): Promise<void> {
    return this.object.load();
  }

  /** {@link load} in place: blocks until the verifier is done. */
  loadSync(): void {
    this.object.loadSync();
  }

  /** Attaches every program whose section names its hook and that is not attached yet. libbpf: `NAME__attach`. */
  attach(): BpfLink[] {
    return this.object.attach();
  }

  /** Closes all links; programs can be attached again. libbpf: `NAME__detach`. */
  detach(): void {
    this.#links.close();
    this.object.detach();
  }

  /** Detaches, unmaps and closes everything. Idempotent. libbpf: `NAME__destroy`. */
  close(): void {
    this.#links.close();
    this.object.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The variables of a data section. */
  protected section<T>(name: string): T {
    return this.object.globals(name) as T;
  }

  /** The bytes of a skeleton's object, a copy. libbpf: `NAME__elf_bytes`. */
  protected static bytesOf(layout: SkeletonLayout): Uint8Array {
    const source = ownObject(layout);
    return new Uint8Array(
      source instanceof URL ? withLocation({ file: layout.name }, () => readFileSync(source)) : source,
    );
  }
}

/** Decoded once; nobody writes into these (opening copies what can be written). */
const decoded = new WeakMap<SkeletonLayout, Uint8Array>();

function ownObject(layout: SkeletonLayout): URL | Uint8Array {
  const { object } = layout;
  if (typeof object === "function") {
    const url = object();
    if (url.protocol === "file:" && !existsSync(url)) {
      throw new ObjectError("OBJECT_INVALID", "the file cannot be read: there is none", {
        file: fileURLToPath(url),
        hint: "it belongs to the module or bundle, and has to be moved along with it",
      });
    }
    return url;
  }
  if (object === undefined) throw new ArgumentError("this layout is a subskeleton's: it has no object");
  let bytes = decoded.get(layout);
  if (bytes === undefined) {
    bytes = new Uint8Array(Buffer.from(object, "base64"));
    decoded.set(layout, bytes);
  }
  return bytes;
}
