// The bytes of one data section through its life: an image before load, memory shared with the kernel afterwards (or a copy
// of the map's value, where the kernel cannot map arrays), nothing after close; and what may be done with them when.

import type { LiveMemory } from "../btf/index.js";
import { StateError, UnsupportedError } from "../errors.js";

/** A section that cannot be mapped: all of it is copied from and to the kernel. */
export interface SectionValue {
  /** Copies the kernel's bytes into the section's. */
  readonly read: (into: Uint8Array) => void;
  readonly write: (from: Uint8Array) => void;
}

/** What may be done with a section at the moment. */
type Access = "read-write" | "read-only" | "unknown" | "closed";

/** The memory of one data section. */
export class SectionMemory {
  readonly #section: string;
  #view: DataView;
  #access: Access = "read-write";
  /** The bytes are the kernel's, and stay where they are. */
  #bound = false;
  /** Where the bytes of the view come from, when it is no shared memory. */
  #value: SectionValue | undefined;

  constructor(section: string, image: Uint8Array) {
    this.#section = section;
    this.#view = viewOf(image);
  }

  /** Goes over to the memory that the loaded map shares with the kernel. */
  bind(memory: Uint8Array): void {
    this.#view = viewOf(memory);
    this.#bound = true;
  }

  /**
   * Has every access copy the whole section: for kernels that cannot map arrays. A write puts back all variables as they
   * were just before, so that one which a program changes in between is lost.
   */
  bindValue(value: SectionValue): void {
    this.#value = value;
  }

  /** Refuses everything until {@link freeze}: load() makes the values (.kconfig). */
  withhold(): void {
    this.#access = "unknown";
  }

  /** Refuses writes from now on: the kernel froze the map (.rodata and .kconfig after load). */
  freeze(): void {
    this.#access = "read-only";
  }

  /** Refuses everything from now on; called before the memory goes away. */
  close(): void {
    this.#access = "closed";
    this.#view = new DataView(new ArrayBuffer(0));
  }

  /** The memory as one variable, which errors name, sees it. */
  of(variable: string): LiveMemory {
    return new VariableMemory(this, variable);
  }

  /** The bytes as they are now, for `variable`. @throws StateError */
  view(variable: string): DataView {
    if (this.#access === "closed" || this.#access === "unknown") throw this.#accessError(variable);
    if (this.#value !== undefined) this.#value.read(bytesOf(this.#view));
    return this.#view;
  }

  /** @throws StateError */
  write(variable: string, offset: number, bytes: DataView): void {
    if (this.#access !== "read-write") throw this.#accessError(variable);
    const view = this.#view;
    const size = bytes.byteLength;
    this.#value?.read(bytesOf(view));
    // Running programs see a scalar change at once.
    if ((view.byteOffset + offset) % size !== 0) bytesOf(view).set(bytesOf(bytes), offset);
    else if (size === 8) view.setBigUint64(offset, bytes.getBigUint64(0));
    else if (size === 4) view.setUint32(offset, bytes.getUint32(0));
    else if (size === 2) view.setUint16(offset, bytes.getUint16(0));
    else bytesOf(view).set(bytesOf(bytes), offset);
    this.#value?.write(bytesOf(view));
  }

  /** @throws StateError, UnsupportedError */
  shared(variable: string, access: "read" | "write"): DataView {
    if (this.#access !== "read-write" && (access === "write" || this.#access !== "read-only")) {
      throw this.#accessError(variable);
    }
    if (this.#value === undefined) return this.#view;
    const reason = `no atomic access to ${variable}: this kernel cannot share the memory of maps`;
    throw new UnsupportedError(reason, { section: this.#section, hint: "Linux 5.5 can" });
  }

  /** @throws StateError, UnsupportedError */
  resident(variable: string): DataView {
    const view = this.shared(variable, "write");
    if (this.#bound) return view;
    throw new StateError(`${variable} moves into the kernel's memory when the object is loaded`, {
      section: this.#section,
      hint: "call load() first",
    });
  }

  #accessError(name: string): StateError {
    const section = this.#section;
    if (this.#access === "closed") return new StateError(`variable ${name} was used after close()`, { section });
    if (this.#access === "unknown") {
      const hint = "the option kconfig of open() sets values beforehand";
      return new StateError(`${name} gets its value by load()`, { section, hint });
    }
    const hint = section === ".kconfig" ? undefined : "set constants between open() and load()";
    return new StateError(`variable ${name} is read-only once the object is loaded`, { section, hint });
  }
}

class VariableMemory implements LiveMemory {
  readonly #section: SectionMemory;
  readonly #variable: string;

  constructor(section: SectionMemory, variable: string) {
    this.#section = section;
    this.#variable = variable;
  }

  view(): DataView {
    return this.#section.view(this.#variable);
  }

  write(offset: number, bytes: DataView): void {
    this.#section.write(this.#variable, offset, bytes);
  }

  shared(access: "read" | "write"): DataView {
    return this.#section.shared(this.#variable, access);
  }

  resident(): DataView {
    return this.#section.resident(this.#variable);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
