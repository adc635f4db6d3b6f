// What our own fixtures have to hold at least one program for, as a table: each row with the fixtures, the names in them
// that it is about, and the tests that load them. rows.test.ts keeps it true.

/** One thing that objects may contain. */
export interface Row {
  readonly what: string;
  /** Fixture → names of programs, maps, externs or types that it has for this row. */
  readonly fixtures: Readonly<Record<string, readonly string[]>>;
  /** Tests below test/, without `.test.ts`. */
  readonly tests: readonly string[];
}

/** Maps: every type, by libbpf's name, and the fixture's map of it. */
export const mapTypeRows: Readonly<Record<string, readonly [fixture: string, map: string, test: string]>> = {
  hash: ["maps", "flows", "map/elements"],
  array: ["maps", "counters", "map/elements"],
  prog_array: ["slots", "calls", "loader/slots"],
  perf_event_array: ["map_types", "perf_events", "loader/map-types"],
  percpu_hash: ["maps", "percpu_hits", "map/elements"],
  percpu_array: ["maps", "percpu_traffic", "map/elements"],
  stack_trace: ["map_types", "stacks", "loader/map-types"],
  cgroup_array: ["map_types", "groups", "loader/map-types"],
  lru_hash: ["maps", "recent", "map/elements"],
  lru_percpu_hash: ["map_types", "recent_hits", "loader/map-types"],
  lpm_trie: ["maps", "routes", "map/elements"],
  array_of_maps: ["slots", "outer_array", "loader/slots"],
  hash_of_maps: ["slots", "outer_hash", "loader/slots"],
  devmap: ["pinned", "devices", "loader/pins"],
  sockmap: ["map_types", "sockets", "loader/map-types"],
  cpumap: ["map_types", "cpus", "loader/map-types"],
  xskmap: ["map_types", "xdp_sockets", "loader/map-types"],
  sockhash: ["map_types", "named_sockets", "loader/map-types"],
  cgroup_storage: ["map_types", "group_hits", "loader/map-types"],
  reuseport_sockarray: ["map_types", "listeners", "loader/map-types"],
  percpu_cgroup_storage: ["map_types", "group_cpu_hits", "loader/map-types"],
  queue: ["maps", "waiting", "map/elements"],
  stack: ["maps", "undo", "map/elements"],
  sk_storage: ["map_types", "socket_hits", "loader/map-types"],
  devmap_hash: ["map_types", "device_table", "loader/map-types"],
  struct_ops: ["struct_ops", "plain", "loader/struct-ops"],
  ringbuf: ["maps", "ring", "events/ring-buffer"],
  inode_storage: ["inode", "opens", "loader/map-types"],
  task_storage: ["map_types", "task_hits", "loader/map-types"],
  bloom_filter: ["slots", "seen", "loader/slots"],
  user_ringbuf: ["map_types", "commands", "loader/map-types"],
  cgrp_storage: ["map_types", "own_group_hits", "loader/map-types"],
  arena: ["arena", "arena", "loader/arena"],
  insn_array: ["new_maps", "places", "loader/map-types"],
  rhash: ["new_maps", "growing", "loader/map-types"],
};

/** Everything else. */
export const rows: readonly Row[] = [
  // Maps
  {
    what: "inner definitions, initial map slots",
    fixtures: { slots: ["outer_array", "outer_hash"] },
    tests: ["loader/slots"],
  },
  { what: "program slots, tail calls", fixtures: { slots: ["calls", "dispatch"] }, tests: ["loader/slots"] },
  { what: "pinning by name, compatibility, race", fixtures: { pinned: ["visits"] }, tests: ["loader/pins"] },
  { what: "map_extra", fixtures: { slots: ["seen"] }, tests: ["loader/slots"] },
  { what: "definitions that are typedefs", fixtures: { slots: ["first", "second"] }, tests: ["loader/slots"] },
  { what: "per-CPU values", fixtures: { maps: ["percpu_hits"] }, tests: ["map/elements"] },
  {
    what: "sizes of rings",
    fixtures: { pinned: ["ring"], map_types: ["commands"] },
    tests: ["loader/pins", "loader/map-types"],
  },
  { what: "as many entries as CPUs", fixtures: { map_types: ["perf_events"] }, tests: ["loader/map-types"] },
  { what: "autocreate off", fixtures: { slots: ["outer_hash"] }, tests: ["loader/slots"] },
  { what: "reuse", fixtures: { pinned: ["visits"] }, tests: ["loader/pins"] },
  { what: "struct_ops", fixtures: { struct_ops: ["plain", "linked", "optional"] }, tests: ["loader/struct-ops"] },
  { what: "a scheduler", fixtures: { scheduler: ["scheduler", "enqueue"] }, tests: ["link/scheduler"] },
  { what: "arena with globals", fixtures: { arena: ["arena", "counter"] }, tests: ["loader/arena"] },
  { what: "jump tables", fixtures: { jump_tables: ["jump", "reversed"] }, tests: ["loader/program-forms"] },
  { what: "setting inner maps", fixtures: { slots: ["outer_array"] }, tests: ["loader/slots"] },
  { what: "created again without BTF", fixtures: { map_types: ["locked_values"] }, tests: ["loader/map-types"] },
  // Externs
  {
    what: "kconfig: text, file, weak, virtual",
    fixtures: { externs: ["CONFIG_HZ", "LINUX_KERNEL_VERSION", "CONFIG_BPFKIT_UNSET"] },
    tests: ["loader/externs"],
  },
  { what: "symbols without and with types", fixtures: { externs: ["runqueues"] }, tests: ["loader/externs"] },
  {
    what: "functions of vmlinux",
    fixtures: { externs: ["bpf_task_from_pid"], exceptions: ["bpf_throw"] },
    tests: ["loader/externs", "loader/program-forms"],
  },
  { what: "functions of modules, fd_array", fixtures: { externs: ["bpf_skb_ct_lookup"] }, tests: ["loader/externs"] },
  { what: "weak symbols, existence tests", fixtures: { externs: ["bpfkit_no_function"] }, tests: ["loader/externs"] },
  // Programs
  {
    what: "sub-programs, static and global",
    fixtures: { subprogs: ["call_static", "call_global"] },
    tests: ["loader/programs"],
  },
  {
    what: "sub-programs in other layouts",
    fixtures: { subprog_layouts: ["chain"], "subprog_layouts.v1": ["shared"], "subprog_layouts.v4": ["unshared"] },
    tests: ["loader/program-forms"],
  },
  {
    what: "attach targets in modules",
    fixtures: { modtarget: ["on_named", "on_found"] },
    tests: ["loader/attach-targets"],
  },
  {
    what: "attach targets in programs, freplace",
    fixtures: { freplace: ["new_verdict", "bare_verdict", "on_entry"] },
    tests: ["loader/attach-targets"],
  },
  {
    what: "attach targets of programs on many functions",
    fixtures: { tracing_multi: ["on_entries", "on_module", "on_chosen"] },
    tests: ["link/tracing-multi"],
  },
  {
    what: "sessions, security hooks of a control group",
    fixtures: { trampolines: ["on_session", "on_connect"] },
    tests: ["link/trampolines"],
  },
  { what: "weak functions that lost", fixtures: { overridden: ["kept"] }, tests: ["loader/program-forms"] },
  {
    what: "callbacks: for_each, loop",
    fixtures: { subprogs: ["call_each", "call_loop"] },
    tests: ["loader/programs", "loader/program-forms"],
  },
  { what: "callbacks: timers", fixtures: { timers: ["on_timer"] }, tests: ["loader/program-forms"] },
  {
    what: "exception callbacks",
    fixtures: { exceptions: ["throws", "on_exception"] },
    tests: ["loader/program-forms"],
  },
  { what: "optional sections, autoload off", fixtures: { sections: ["on_optional"] }, tests: ["loader/lifecycle"] },
  {
    what: "program flags, sleepable variants",
    fixtures: { variants: ["fragments", "sleepable_iterator", "sleepable_probe"] },
    tests: ["loader/program-forms"],
  },
  {
    what: "expected attach types",
    fixtures: { variants: ["in_devmap", "connect6", "getsockopt"] },
    tests: ["loader/program-forms"],
  },
  { what: "tagged contexts", fixtures: { argctx: ["sum"] }, tests: ["loader/arg-ctx"] },
  { what: "log levels and buffers", fixtures: { logs: ["talkative"] }, tests: ["loader/verifier-logs"] },
  {
    what: "poison explained: CO-RE, map",
    fixtures: { refused: ["missing_member", "uses_map"] },
    tests: ["loader/refused"],
  },
  { what: "poison explained: kernel function", fixtures: { externs: ["call_missing"] }, tests: ["loader/externs"] },
  // CO-RE
  {
    what: "every kind of relocation, against vmlinux",
    fixtures: { core: ["core_task", "core_facts", "core_direct"] },
    tests: ["loader/programs"],
  },
  { what: "module BTF", fixtures: { modules: ["look"] }, tests: ["loader/core-types"] },
  {
    what: "custom BTF: raw, in an object, parsed",
    fixtures: { layouts: ["read_record"], "layouts.types_moved": ["record"] },
    tests: ["loader/core-types"],
  },
  { what: "ambiguity", fixtures: { "layouts.types_ambiguous": ["one", "two"] }, tests: ["loader/core-types"] },
  {
    what: "size of memory accesses",
    fixtures: { core: ["core_direct"], layouts: ["read_record"] },
    tests: ["loader/programs", "loader/core-types"],
  },
  { what: "signed and unsigned bitfields", fixtures: { layouts: ["kind", "delta"] }, tests: ["loader/core-types"] },
  { what: "64-bit enumerations, type_matches", fixtures: { layouts: ["ask_types"] }, tests: ["loader/core-types"] },
];
