// Records of .BTF.ext as the words they are: a large program has hundreds of thousands of them, of which most only pass
// through to the kernel. An object is made of a record when someone looks at it.

/** How records of one kind are read. The first word of each is the offset of its instruction. */
export interface RecordFormat<R> {
  /** Words of a record that are known; the file's may have more. */
  readonly width: number;
  /** The record whose words begin at index `at`. */
  readonly read: (words: Uint32Array, at: number) => R;
}

/** Records as read-only data, in the order of the file or, in a function, by offset. */
export class RecordList<R> implements Iterable<R> {
  /** {@link width} words of the host a record; the first is the offset of its instruction, in bytes. */
  readonly words: Uint32Array;
  readonly #format: RecordFormat<R>;

  constructor(words: Uint32Array, format: RecordFormat<R>) {
    this.words = words;
    this.#format = format;
  }

  /** Words of one record. */
  get width(): number {
    return this.#format.width;
  }

  /** Number of records. */
  get length(): number {
    return this.words.length / this.#format.width;
  }

  /** The record at `index`; undefined beyond the last. */
  at(index: number): R | undefined {
    const { width, read } = this.#format;
    return index >= 0 && index < this.length ? read(this.words, index * width) : undefined;
  }

  /** The last record at or before `offset`, in a list sorted by offset. */
  lastUpTo(offset: number): R | undefined {
    const { words, width } = this;
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[middle * width]! <= offset) low = middle + 1;
      else high = middle;
    }
    return this.at(low - 1);
  }

  /** Records `from` up to `to`, with `start` taken from their offsets: a copy. */
  slice(from: number, to: number, start: number): RecordList<R> {
    const { width } = this;
    const words = this.words.slice(from * width, to * width);
    for (let at = 0; at < words.length; at += width) words[at]! -= start;
    return new RecordList(words, this.#format);
  }

  /** These records and those of `others`; this list when there are no others. */
  concat(others: readonly RecordList<R>[]): RecordList<R> {
    if (others.length === 0) return this;
    const all = [this, ...others];
    const words = new Uint32Array(all.reduce((sum, list) => sum + list.words.length, 0));
    let at = 0;
    for (const list of all) {
      words.set(list.words, at);
      at += list.words.length;
    }
    return new RecordList(words, this.#format);
  }

  /** The same records by ascending offset, equal ones in their order; this list when that is how they are. */
  sorted(): RecordList<R> {
    const { words, width, length } = this;
    let at = width;
    while (at < words.length && words[at]! >= words[at - width]!) at += width;
    if (at >= words.length) return this;
    const order = Array.from({ length }, (_, index) => index * width).sort((a, b) => words[a]! - words[b]!);
    const copy = new Uint32Array(words.length);
    order.forEach((from, index) => {
      copy.set(words.subarray(from, from + width), index * width);
    });
    return new RecordList(copy, this.#format);
  }

  *[Symbol.iterator](): Iterator<R> {
    const { read, width } = this.#format;
    for (let at = 0; at < this.words.length; at += width) yield read(this.words, at);
  }
}
