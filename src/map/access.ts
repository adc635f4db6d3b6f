// Which elements a map has by its type, how its keys and values are coded, and what is said where a type has no such thing.

import type { AnyInput, BtfCodec, BtfValue } from "../btf/index.js";
import { SystemCallError, UnsupportedError, withLocation } from "../errors.js";
import { Errno, possibleCpuCount } from "../syscall/index.js";
import { type ElementSource, Elements } from "./elements.js";
import type { MappedMap } from "./mapped-map.js";
import { bytesCodec, descriptorCodec, fdCodec, perCpuCodec, typedCodec } from "./value-codec.js";

/** One CPU's value of a per-CPU map whose values are `V`. */
export type CpuValue<V> = V extends readonly (infer E extends BtfValue)[] ? E : BtfValue;

/** What one CPU's value is written as, when those of all are written as `VI`. */
export type CpuInput<VI> = VI extends readonly (infer E)[] ? E : AnyInput;

/** Does what Linux 7.0 can; before that, it answers EINVAL to flags that it does not know. */
export function unlessOld<R>(now: () => R, old: () => R): R {
  try {
    return now();
  } catch (error) {
    if (error instanceof SystemCallError && error.errno === Errno.EINVAL) return old();
    throw error;
  }
}

/** The ways to the elements of one map. Made when they are first asked for, since sizes and types may change until load. */
export class MapAccess<K extends BtfValue, V extends BtfValue> {
  readonly #map: MappedMap & ElementSource;
  #elements: Elements<K, V> | undefined;
  #ofOneCpu: Elements<K, CpuValue<V>> | undefined;

  constructor(map: MappedMap & ElementSource) {
    this.#map = map;
  }

  /** Forgets the codecs. */
  reset(): void {
    this.#elements = undefined;
    this.#ofOneCpu = undefined;
  }

  /** @throws StateError while the map is not loaded */
  elements(): Elements<K, V> {
    this.#elements ??= withLocation(this.#map.where, () => this.#make());
    return this.#elements;
  }

  /** The elements by key. @param use for messages @throws UnsupportedError where there are no keys */
  keyed(use: string): Elements<K, V> {
    const { rule, type, where } = this.#map;
    if (rule.keyless !== undefined) {
      const hint = rule.keyless === "queue" ? "use push(), pop() and peek()" : "use push() and has()";
      throw new UnsupportedError(`maps of type ${type} have no keys to ${use} by`, { ...where, hint });
    }
    if (rule.unreadable === true) {
      const hint = rule.ring === true ? "read it with a RingBuffer" : undefined;
      throw new UnsupportedError(`maps of type ${type} have no elements`, { ...where, hint });
    }
    return this.elements();
  }

  /** The elements of a map whose keys the kernel lists. @throws UnsupportedError */
  listed(): Elements<K, V> {
    const { rule, type, where } = this.#map;
    if (rule.unlisted === undefined) return this.keyed("iterate");
    throw new UnsupportedError(`the kernel does not list the elements of a ${type}`, { ...where, hint: rule.unlisted });
  }

  /** The elements of a queue, a stack, or to push to a bloom filter. @throws UnsupportedError */
  keyless(use: string): Elements<Uint8Array, V> {
    const { rule, type, where } = this.#map;
    if (rule.keyless === undefined) {
      throw new UnsupportedError(`maps of type ${type} have keys: ${use}() is for queues and stacks`, where);
    }
    if (rule.keyless === "filter" && use !== "push") {
      throw new UnsupportedError(`maps of type ${type} give nothing back`, { ...where, hint: "use has()" });
    }
    return this.elements() as unknown as Elements<Uint8Array, V>;
  }

  /** The elements with values of one CPU. @throws UnsupportedError where there are none */
  ofOneCpu(): Elements<K, CpuValue<V>> {
    if (this.#ofOneCpu === undefined) {
      const { rule, type, where } = this.#map;
      if (rule.perCpu !== true) throw new UnsupportedError(`a map of type ${type} has no values per CPU`, where);
      this.#ofOneCpu = new Elements(this.#map, this.elements().key, this.#oneValue());
    }
    return this.#ofOneCpu;
  }

  #make(): Elements<K, V> {
    const { spec, btf, rule, int64 } = this.#map;
    // Says what is wrong before load and after close.
    void this.#map.descriptor;
    const { keySize, keyTypeId } = spec;
    const key = keySize === 0 ? bytesCodec(0, "key") : typedCodec(btf, keyTypeId, keySize, "key", int64);
    return new Elements(this.#map, rule.keyIsFd === true ? fdCodec(key) : key, this.#value());
  }

  #value(): BtfCodec {
    const { holds, perCpu, valueIsFd } = this.#map.rule;
    if (holds !== undefined) return descriptorCodec;
    const one = this.#oneValue();
    if (valueIsFd === true) return fdCodec(one);
    return perCpu === true ? perCpuCodec(one, possibleCpuCount()) : one;
  }

  #oneValue(): BtfCodec {
    const { spec, btf, int64 } = this.#map;
    return typedCodec(btf, spec.valueTypeId, spec.valueSize, "value", int64);
  }
}
