// The room's public names, also `bpfkit/syscall`: one typed function per bpf() command and what goes with it. Low level:
// sizes are checked and memory is kept alive, but nothing is looked up, converted or retried that the caller did not ask for.

export {
  type AttachPoint,
  type ProgAttachOptions,
  type ProgDetachOptions,
  type ProgQueryOptions,
  type ProgQueryResult,
  progAttach,
  progDetach,
  progQuery,
  type RelativeOptions,
} from "./bpf-attach.js";
export { type BtfLoadOptions, type BtfLoadResult, btfLoad } from "./bpf-btf.js";
export type { LogOptions } from "./bpf-call.js";
export { type BtfInfo, btfInfo, type ProgInfo, type ProgInfoOptions, progInfo } from "./bpf-info.js";
export { type LinkDetails, type LinkInfo, linkInfo } from "./bpf-info-link.js";
export { type MapInfo, mapInfo } from "./bpf-info-map.js";
export { iterCreate, type LinkCreateOptions, linkCreate, linkDetach, linkUpdate } from "./bpf-link.js";
export {
  type MapCreateOptions,
  type MapElement,
  type MapLookupOptions,
  type MapUpdateOptions,
  mapCreate,
  mapDelete,
  mapFreeze,
  mapLookup,
  mapLookupAndDelete,
  mapNextKey,
  mapUpdate,
} from "./bpf-map.js";
export {
  type BatchPosition,
  type MapBatchOptions,
  type MapBatchReadOptions,
  type MapBatchReadResult,
  type MapBatchValuesOptions,
  mapDeleteBatch,
  mapDeletePresent,
  mapLookupAndDeleteBatch,
  mapLookupBatch,
  mapUpdateBatch,
} from "./bpf-map-batch.js";
export {
  enableStats,
  nextId,
  type ObjectKind,
  type ObjectPath,
  objectGet,
  objectIds,
  objectPin,
  openById,
  type TaskFdInfo,
  taskFdQuery,
  tokenCreate,
} from "./bpf-object.js";
export {
  type ProgLoadOptions,
  type ProgLoadResult,
  type ProgramMapOptions,
  type ProgramStream,
  progAssocStructOps,
  progBindMap,
  progLoad,
  progLoadAsync,
  progLoadCapabilities,
  progStreamRead,
  progTestRun,
  progTestRunAsync,
  type RecordTable,
  rawTracepointOpen,
  type TestRunOptions,
  type TestRunResult,
} from "./bpf-prog.js";
export {
  type Capability,
  effectiveCapabilities,
  isInUserNamespace,
  type Privileges,
  privilegeHint,
} from "./capabilities.js";
export { Epoll, type EpollInterest } from "./epoll.js";
export { Errno, errnoName, errnoNumber, errnoText } from "./errno.js";
export { errnoOf, type FailureDetails, systemCallError } from "./failure.js";
export { type FdLike, FileDescriptor, fdNumber } from "./fd.js";
export { type PollHandle, pollHandle } from "./ffi.js";
export {
  eventFd,
  fileFailure,
  isBpfFs,
  makeDirectory,
  onlineCpus,
  possibleCpuCount,
  readFd,
  readFdToEnd,
  removeFile,
  writeFd,
} from "./files.js";
export { MapScratch } from "./map-scratch.js";
export { type MapShape, mapShape } from "./map-shape.js";
export { textOf } from "./memory.js";
export { MappedRegion, type MapRegionOptions, pageSize } from "./mmap.js";
export { listAt, mountAt, mountDetached, openDirectory, readFileAt, writeFileAt } from "./mount.js";
export { Netlink, type NetlinkRequest } from "./netlink.js";
export {
  attributesOf,
  joinBytes,
  type NetlinkMessage,
  netlinkAttribute,
  numberAttribute,
  structBytes,
  textAttribute,
} from "./netlink-message.js";
export {
  type PerfEventOptions,
  PerfSoftware,
  PerfType,
  perfEventDisable,
  perfEventEnable,
  perfEventOpen,
  perfEventSetBpf,
} from "./perf.js";
export { pidfdOpen } from "./pidfd.js";
export { btfNameErrno, commonAttrsErrno, uprobeSyscallErrno } from "./probes.js";
export { memlockLimit, type ResourceLimit, RLIM_INFINITY, setMemlockLimit } from "./rlimit.js";
export { detachFromSocket, interfaceIndex, type SocketHook, setSocketProgram } from "./sockets.js";
export { readTextFile } from "./text-file.js";
