// The few UAPI numbers that probes need. The full tables with names are the object room's, on the same floor as this one.

/** BPF_PROG_TYPE_* (UAPI linux/bpf.h). */
export const Program = {
  socketFilter: 1,
  kprobe: 2,
  tracepoint: 5,
  cgroupSock: 9,
  cgroupSockAddr: 18,
  lircMode2: 20,
  cgroupSockopt: 25,
  tracing: 26,
  structOps: 27,
  ext: 28,
  lsm: 29,
  skLookup: 30,
  syscall: 31,
  netfilter: 32,
} as const;

/** BPF attach types. */
export const Attach = {
  cgroupSockCreate: 2,
  cgroupInet4Connect: 10,
  lircMode2: 16,
  cgroupGetsockopt: 21,
  traceRawTp: 23,
  lsmMac: 27,
  skLookup: 36,
  perfEvent: 41,
  netfilter: 45,
  traceUprobeMulti: 48,
} as const;

/** BPF_MAP_TYPE_*. */
export const MapKind = { hash: 1, array: 2 } as const;

/** BPF_F_* of map creation and program load. */
export const NO_PREALLOC = 1 << 0;
export const MMAPABLE = 1 << 10;
export const SLEEPABLE = 1 << 4;
