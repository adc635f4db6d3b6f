// Public names of the room `btf`: reading, writing and walking BPF type information, and values by their types.

export { Btf, type BtfParseOptions } from "./btf.js";
export { BtfBuilder, type BtfBuilderOptions } from "./builder.js";
export {
  type BtfCodec,
  type BtfTypeCodec,
  type BtfValue,
  type CodecOptions,
  compileCodec,
  unionBytes,
} from "./codec.js";
export { textHash, valueShape } from "./codec-shape.js";
export { setOwn } from "./codec-value.js";
export { arrayForm, memberBits } from "./conventions.js";
export type { BtfMemberInput, BtfTypeInput } from "./encode.js";
export {
  type BtfExt,
  type BtfExtSection,
  type CoreRelocationRecord,
  type FuncInfoRecord,
  type LineInfoRecord,
  NO_CORE_RELOCATIONS,
  NO_LINE_INFO,
  parseBtfExt,
} from "./ext.js";
export { formatJson, type JsonOptions, jsonLines } from "./format-json.js";
export { type FormatOptions, formatValue } from "./format-value.js";
export { type LiveCell, liveArray, liveCell } from "./live.js";
export { AtomicInteger, atomic } from "./live-atomic.js";
export { type LiveMemory, type LivePlace, type LiveState, liveStates, snapshot } from "./live-state.js";
export { typedArray, type Words, type WordsClass } from "./live-words.js";
export { essentialName } from "./name-index.js";
export { recordCodec } from "./record-codec.js";
export type { RecordList } from "./record-list.js";
export { BtfSubset } from "./subset.js";
export { findByCName } from "./type-name.js";
export * from "./types.js";
export type { AnyInput, Descriptor, HasDescriptor, Live, ValueInput } from "./value-types.js";
export { hostIsLittleEndian } from "./wire.js";
