// What programs can be attached to, as a table: each hook with the entries of the SEC() table that mean it and the kernel
// tests that prove its effect. hooks.test.ts keeps it true; the matrix makes "hook × kernel" of docs/kernels.md from it.

/** One hook. */
export interface HookRow {
  readonly hook: string;
  /** Patterns of the SEC() table (src/object/sections.ts) that this row is about. */
  readonly sections: readonly string[];
  /**
   * Tests below test/ without `.test.ts`, each by suite and name as runs report them: the handler ran, with the right
   * arguments and its cookie, and no more once it was detached.
   */
  readonly tests: Readonly<Record<string, readonly string[]>>;
}

/** Hooks that a program is attached to by its section's name, or by one of the attach functions. */
export const hookRows: readonly HookRow[] = [
  // Tracing
  {
    hook: "tracepoint",
    sections: ["tp+", "tracepoint+"],
    tests: {
      "link/tracepoint": ["tracepoints > tp", "tracepoints > tracepoint, with a cookie"],
      "loader/minimal": [
        "minimal.bpf.o > counts system calls in a map and in mapped memory, and stops when it is closed",
      ],
    },
  },
  {
    hook: "tracepoint, sleepable",
    sections: ["tp.s+", "tracepoint.s+"],
    tests: { "link/tracepoint": ["sleepable tracepoints > tp.s", "sleepable tracepoints > tracepoint.s"] },
  },
  {
    hook: "raw tracepoint",
    sections: ["raw_tp+", "raw_tracepoint+"],
    tests: {
      "link/link": ["BpfLink > detaches when it is closed, once"],
      "link/tracepoint": ["tracepoints > raw_tp", "tracepoints > raw_tracepoint, with a cookie"],
    },
  },
  {
    hook: "raw tracepoint, sleepable",
    sections: ["raw_tp.s+", "raw_tracepoint.s+"],
    tests: { "link/tracepoint": ["sleepable tracepoints > raw_tp.s", "sleepable tracepoints > raw_tracepoint.s"] },
  },
  {
    hook: "raw tracepoint, writable",
    sections: ["raw_tp.w+", "raw_tracepoint.w+"],
    tests: { "link/trampolines": ["raw tracepoints that can be written > change what comes after them"] },
  },
  {
    hook: "raw tracepoint by BTF",
    sections: ["tp_btf+"],
    tests: {
      "link/tracepoint": ["tracepoints > tp_btf", "tracepoints > tp_btf, with a cookie"],
      "loader/programs": ["typed kernel pointers > are read by relocated loads whose width is adjusted"],
    },
  },
  {
    hook: "raw tracepoint by BTF, sleepable",
    sections: ["tp_btf.s+"],
    tests: { "link/tracepoint": ["sleepable tracepoints > tp_btf.s"] },
  },
  {
    hook: "kprobe, kretprobe",
    sections: ["kprobe+", "kretprobe+"],
    tests: {
      "link/kprobe": [
        "kprobes > run at entry and return of a function, until they are detached",
        "kprobes > run at an address",
        "kprobes > tell the cookie, and what the kernel knows of the link",
        "kprobes > can be attached by ioctl and by tracefs, which is left as it was",
      ],
    },
  },
  {
    hook: "system call by name",
    sections: ["ksyscall+", "kretsyscall+"],
    tests: { "link/kprobe": ["kprobes > run for system calls by name, with their arguments"] },
  },
  {
    hook: "kprobes on many functions",
    sections: ["kprobe.multi+", "kretprobe.multi+"],
    tests: {
      "link/kprobe": [
        "kprobes on many functions > run for all that a pattern matches",
        "kprobes on many functions > take names with a cookie each, or addresses",
      ],
    },
  },
  {
    hook: "kprobes on many functions, one event each",
    sections: [],
    tests: {
      "link/kprobe": [
        "kprobes on many functions, one event each > are one attachment, by pattern, names or addresses",
        "kprobes on many functions, one event each > have a cookie each",
      ],
    },
  },
  {
    hook: "kprobe session",
    sections: ["kprobe.session+"],
    tests: {
      "link/kprobe": ["kprobes on many functions > run at entry and return of a session, if the entry says so"],
    },
  },
  {
    hook: "uprobe, uretprobe",
    sections: ["uprobe+", "uretprobe+"],
    tests: {
      "link/uprobe": [
        "uprobes > run at entry and return of a function, until they are detached",
        "uprobes > see arguments, and run at offsets, of the file and of a function",
        "uprobes > tell the cookie, and what the kernel knows",
        "uprobes > can be attached by ioctl and by tracefs, which is left as it was",
      ],
    },
  },
  {
    hook: "uprobe, sleepable",
    sections: ["uprobe.s+", "uretprobe.s+"],
    tests: { "link/uprobe": ["sleepable uprobes > uprobe.s, uretprobe.s"] },
  },
  {
    hook: "uprobes on many places",
    sections: ["uprobe.multi+", "uretprobe.multi+"],
    tests: {
      "link/uprobe": [
        "uprobes on many functions > run for all that a pattern matches",
        "uprobes on many functions > take names or offsets with a cookie each",
      ],
    },
  },
  {
    hook: "uprobes on many places, sleepable",
    sections: ["uprobe.multi.s+", "uretprobe.multi.s+"],
    tests: { "link/uprobe": ["sleepable uprobes > uprobe.multi.s, uretprobe.multi.s"] },
  },
  {
    hook: "uprobe session",
    sections: ["uprobe.session+"],
    tests: {
      "link/uprobe": ["uprobes on many functions > run at entry and return of a session, if the entry says so"],
    },
  },
  {
    hook: "uprobe session, sleepable",
    sections: ["uprobe.session.s+"],
    tests: { "link/uprobe": ["sleepable uprobes > uprobe.session.s"] },
  },
  {
    hook: "USDT probe",
    sections: ["usdt+"],
    tests: {
      "link/usdt": [
        "with a C compiler > USDT probes > deliver arguments of every place, and the cookie, until they are detached",
        "with a C compiler > USDT probes > raise the semaphore while somebody watches",
      ],
    },
  },
  {
    hook: "USDT probe, sleepable",
    sections: ["usdt.s+"],
    tests: { "link/usdt": ["with a C compiler > USDT probes > let programs sleep"] },
  },
  {
    hook: "fentry, fexit",
    sections: ["fentry+", "fexit+"],
    tests: {
      "link/trampolines": [
        "fentry and fexit > run with arguments and result, until their link is closed",
        "fentry and fexit > go on by a pin after everything else is closed",
        "fentry and fexit > tell the cookie",
      ],
      "loader/attach-targets": [
        "a function of a program > is watched as it is entered and left",
        "a function of a module > is watched, whether the section names the module or not",
      ],
    },
  },
  {
    hook: "fentry, fexit, sleepable",
    sections: ["fentry.s+", "fexit.s+"],
    tests: {
      "link/trampolines": [
        "fentry and fexit > sleep to read memory of the process",
        "fentry and fexit > sleep behind a function, and in its place",
      ],
    },
  },
  {
    hook: "fmod_ret",
    sections: ["fmod_ret+"],
    tests: { "link/trampolines": ["fmod_ret > changes what a function returns, for as long as it is attached"] },
  },
  {
    hook: "fmod_ret, sleepable",
    sections: ["fmod_ret.s+"],
    tests: { "link/trampolines": ["fentry and fexit > sleep behind a function, and in its place"] },
  },
  {
    hook: "fsession",
    sections: ["fsession+"],
    tests: { "link/trampolines": ["fentry and fexit > are both in a session, which keeps a value"] },
  },
  {
    hook: "fsession, sleepable",
    sections: ["fsession.s+"],
    tests: { "link/trampolines": ["fentry and fexit > sleep in a session"] },
  },
  {
    hook: "fentry, fexit on many functions",
    sections: ["fentry.multi+", "fexit.multi+"],
    tests: {
      "link/tracing-multi": [
        "fentry.multi and fexit.multi > run for all that a pattern matches, with arguments and results",
        "fentry.multi and fexit.multi > take names or BTF ids with a cookie each",
        "fentry.multi and fexit.multi > run for functions of a module",
      ],
    },
  },
  {
    hook: "fentry, fexit on many functions, sleepable",
    sections: ["fentry.multi.s+", "fexit.multi.s+"],
    tests: { "link/tracing-multi": ["fentry.multi and fexit.multi > sleep where the function may"] },
  },
  {
    hook: "fsession on many functions",
    sections: ["fsession.multi+"],
    tests: { "link/tracing-multi": ["fentry.multi and fexit.multi > are both in a session, which keeps a value"] },
  },
  {
    hook: "fsession on many functions, sleepable",
    sections: ["fsession.multi.s+"],
    tests: { "link/tracing-multi": ["fentry.multi and fexit.multi > sleep where the function may"] },
  },
  {
    hook: "freplace",
    sections: ["freplace+"],
    tests: {
      "loader/attach-targets": [
        "a function of a program > is replaced until the link is closed",
        "a function of a program > is replaced in another program than the one it was loaded for",
      ],
    },
  },
  {
    hook: "LSM",
    sections: ["lsm+"],
    tests: {
      "link/trampolines": ["security hooks > refuse what the program refuses, until the link is closed"],
      "loader/map-types": ["storage > of inodes (inode_storage)"],
    },
  },
  {
    hook: "LSM, sleepable",
    sections: ["lsm.s+"],
    tests: { "link/trampolines": ["security hooks > sleep to read memory of the process"] },
  },
  {
    hook: "LSM of a control group",
    sections: ["lsm_cgroup+"],
    tests: { "link/trampolines": ["security hooks > of a control group refuse for its processes only"] },
  },
  {
    hook: "iterator",
    sections: ["iter+"],
    tests: {
      "link/iterator-kinds": [
        "iterators over > bpf_map",
        "iterators over > bpf_prog",
        "iterators over > bpf_link",
        "iterators over > task_file",
        "iterators over > task_vma",
        "iterators over > tcp",
        "iterators over > udp",
        "iterators over > netlink",
        "iterators over > unix",
        "iterators over > kmem_cache",
        "iterators over > sockmap",
        "iterators over > bpf_sk_storage_map",
      ],
      "link/iterators": [
        "iterators > attach by their section; every read runs them",
        "iterators > go through the elements of one map",
        "iterators > go through the tasks of one process",
        "iterators > go through control groups",
      ],
    },
  },
  {
    hook: "iterator, sleepable",
    sections: ["iter.s+"],
    tests: { "loader/program-forms": ["flags of sections > let programs sleep: iterators"] },
  },
  {
    hook: "perf event",
    sections: ["perf_event"],
    tests: {
      "link/perf-event": [
        "perf events > sample every CPU by frequency, until they are detached",
        "perf events > sample one process on one CPU by period",
        "perf events > are those of a descriptor that the user opened; the cookie arrives",
        "perf events > can be attached without a kernel link, which takes no cookie",
      ],
    },
  },

  // Network
  {
    hook: "XDP by link",
    sections: ["xdp"],
    tests: { "link/network": ["network hooks > xdp: by name and index, update, detach"] },
  },
  {
    hook: "XDP by netlink",
    sections: [],
    tests: {
      "link/netlink": [
        "XDP by netlink > attach, query, replace, detach",
        "XDP by netlink > what attaching falls back to where there are no links",
      ],
    },
  },
  {
    hook: "tcx",
    sections: ["tcx/ingress", "tcx/egress"],
    tests: { "link/network": ["network hooks > tcx: both directions, and order by anchors"] },
  },
  {
    hook: "tc by netlink",
    sections: ["tc", "classifier", "tc/ingress", "tc/egress"],
    tests: {
      "link/netlink": [
        "tc by netlink > a link: runs, is found, and takes filter and hook away",
        "tc by netlink > hooks and filters by hand",
      ],
      "link/socket-hooks": [
        "classifiers by netlink > tc/ingress",
        "classifiers by netlink > tc/egress",
        "classifiers by netlink > classifier",
      ],
    },
  },
  {
    hook: "netkit",
    sections: ["netkit/primary", "netkit/peer"],
    tests: { "link/network": ["network hooks > netkit: both devices of a pair, and order by anchors"] },
  },
  {
    hook: "netfilter",
    sections: ["netfilter"],
    tests: {
      "link/network": [
        "network hooks > netfilter: a hook of the packet filter",
        "network hooks > netfilter: IPv6, and whole packets",
      ],
    },
  },
  {
    hook: "socket lookup",
    sections: ["sk_lookup"],
    tests: {
      "link/socket-hooks": ["programs that choose sockets > sk_lookup"],
      "link/network": ["network hooks > netns: socket lookup"],
    },
  },
  {
    hook: "flow dissector",
    sections: ["flow_dissector"],
    tests: { "link/socket-hooks": ["flow dissectors > flow_dissector"] },
  },
  {
    hook: "sk_skb verdict without parser",
    sections: ["sk_skb/verdict", "sk_skb"],
    tests: {
      "link/socket-hooks": ["programs on sockets of a map > sk_skb/verdict", "programs on sockets of a map > sk_skb"],
    },
  },
  {
    hook: "sk_reuseport with migration",
    sections: ["sk_reuseport/migrate"],
    tests: { "link/socket-hooks": ["programs that choose sockets > sk_reuseport/migrate"] },
  },
  {
    hook: "XDP on packets of several buffers",
    sections: ["xdp.frags"],
    tests: {
      "loader/program-forms": ["flags of sections > let XDP see packets of several buffers (xdp.frags)"],
      "link/socket-hooks": ["XDP programs in maps > xdp.frags/devmap"],
    },
  },
  {
    hook: "sk_msg",
    sections: ["sk_msg"],
    tests: { "link/network": ["network hooks > sockmap: the sockets of a map"] },
  },
  {
    hook: "sk_skb stream parser and verdict",
    sections: ["sk_skb/stream_parser", "sk_skb/stream_verdict"],
    tests: {
      "link/socket-hooks": ["programs on sockets of a map > sk_skb/stream_parser, sk_skb/stream_verdict"],
      "link/network": ["network hooks > sockmap: the sockets of a map"],
    },
  },
  {
    hook: "socket filter",
    sections: ["socket"],
    tests: { "link/network": ["network hooks > socket: a filter"] },
  },
  {
    hook: "sk_reuseport",
    sections: ["sk_reuseport"],
    tests: {
      "link/network": ["network hooks > socket: a choice among the sockets of a port"],
      "loader/map-types": ["maps of sockets > are chosen from by programs (reuseport_sockarray)"],
    },
  },
  {
    hook: "infrared receiver (none here; test/link/lirc.test.ts answers for one)",
    sections: ["lirc_mode2"],
    tests: {},
  },

  // Control groups
  {
    hook: "control group: order, anchors, update",
    sections: [],
    tests: {
      "link/cgroup": [
        "control group hooks > run for the group and those below it, until they are detached",
        "control group hooks > stand beside each other, and can be replaced",
        "control group hooks > go before others by anchors",
        "control group hooks > take links and their ids as anchors, and the list's revision",
      ],
    },
  },
  {
    hook: "control group: packets",
    sections: ["cgroup_skb/ingress", "cgroup_skb/egress", "cgroup/skb"],
    tests: {
      "link/cgroup-hooks": [
        "hooks of control groups > cgroup_skb/ingress",
        "hooks of control groups > cgroup_skb/egress",
        "hooks of control groups > cgroup/skb",
        "hooks of control groups > cgroup/skb, of the other direction",
      ],
    },
  },
  {
    hook: "control group: sockets made and closed",
    sections: ["cgroup/sock", "cgroup/sock_create", "cgroup/sock_release"],
    tests: {
      "link/cgroup-hooks": [
        "hooks of control groups > cgroup/sock",
        "hooks of control groups > cgroup/sock_create",
        "hooks of control groups > cgroup/sock_release",
      ],
    },
  },
  {
    hook: "control group: bind",
    sections: ["cgroup/bind4", "cgroup/bind6", "cgroup/post_bind4", "cgroup/post_bind6"],
    tests: {
      "link/cgroup-hooks": [
        "hooks of control groups > cgroup/bind4",
        "hooks of control groups > cgroup/bind6",
        "hooks of control groups > cgroup/post_bind4",
        "hooks of control groups > cgroup/post_bind6",
      ],
    },
  },
  {
    hook: "control group: connect",
    sections: ["cgroup/connect4", "cgroup/connect6"],
    tests: {
      "link/cgroup-hooks": ["hooks of control groups > cgroup/connect4", "hooks of control groups > cgroup/connect6"],
    },
  },
  {
    hook: "control group: datagrams sent and received",
    sections: ["cgroup/sendmsg4", "cgroup/sendmsg6", "cgroup/recvmsg4", "cgroup/recvmsg6"],
    tests: {
      "link/cgroup-hooks": [
        "hooks of control groups > cgroup/sendmsg4",
        "hooks of control groups > cgroup/sendmsg6",
        "hooks of control groups > cgroup/recvmsg4",
        "hooks of control groups > cgroup/recvmsg6",
      ],
    },
  },
  {
    hook: "control group: names of sockets",
    sections: ["cgroup/getpeername4", "cgroup/getpeername6", "cgroup/getsockname4", "cgroup/getsockname6"],
    tests: {
      "link/cgroup-hooks": [
        "hooks of control groups > cgroup/getpeername4",
        "hooks of control groups > cgroup/getpeername6",
        "hooks of control groups > cgroup/getsockname4",
        "hooks of control groups > cgroup/getsockname6",
      ],
    },
  },
  {
    hook: "control group: sockets of family UNIX",
    sections: [
      "cgroup/connect_unix",
      "cgroup/sendmsg_unix",
      "cgroup/recvmsg_unix",
      "cgroup/getpeername_unix",
      "cgroup/getsockname_unix",
    ],
    tests: {
      "link/cgroup-hooks": [
        "hooks of control groups > cgroup/connect_unix",
        "hooks of control groups > cgroup/sendmsg_unix",
        "hooks of control groups > cgroup/recvmsg_unix",
        "hooks of control groups > cgroup/getpeername_unix",
        "hooks of control groups > cgroup/getsockname_unix",
      ],
    },
  },
  {
    hook: "control group: options of sockets",
    sections: ["cgroup/getsockopt", "cgroup/setsockopt"],
    tests: {
      "link/cgroup-hooks": [
        "hooks of control groups > cgroup/getsockopt",
        "hooks of control groups > cgroup/setsockopt",
      ],
    },
  },
  {
    hook: "control group: /proc/sys",
    sections: ["cgroup/sysctl"],
    tests: {
      "link/cgroup-hooks": ["hooks of control groups > cgroup/sysctl"],
    },
  },
  {
    hook: "control group: devices",
    sections: ["cgroup/dev"],
    tests: {
      "link/cgroup-hooks": ["hooks of control groups > cgroup/dev"],
    },
  },
  {
    hook: "control group: TCP events",
    sections: ["sockops"],
    tests: {
      "link/cgroup-hooks": ["hooks of control groups > sockops"],
    },
  },

  // Callbacks
  {
    hook: "struct_ops",
    sections: ["struct_ops+", "struct_ops.s+"],
    tests: {
      "loader/struct-ops": [
        "struct_ops without links > control the connections that ask for them, until they are detached",
        "struct_ops with links > are registered as long as the link, and replaced in place",
      ],
      "link/scheduler": ["sched_ext > schedules until the link is closed, and can be registered again"],
    },
  },
];

/** Sections whose programs are used by other means than attaching: whose, and the tests of that. */
export const unattachedRows: readonly HookRow[] = [
  {
    hook: "XDP in a map of devices",
    sections: ["xdp/devmap", "xdp.frags/devmap"],
    tests: { "link/socket-hooks": ["XDP programs in maps > xdp/devmap", "XDP programs in maps > xdp.frags/devmap"] },
  },
  {
    hook: "XDP in a map of CPUs",
    sections: ["xdp/cpumap", "xdp.frags/cpumap"],
    tests: { "link/socket-hooks": ["XDP programs in maps > xdp/cpumap", "XDP programs in maps > xdp.frags/cpumap"] },
  },
  { hook: "action of a tc filter", sections: ["action"], tests: {} },
  {
    hook: "route",
    sections: ["lwt_in", "lwt_out", "lwt_xmit"],
    tests: {
      "link/socket-hooks": [
        "programs of routes > lwt_in",
        "programs of routes > lwt_out",
        "programs of routes > lwt_xmit",
      ],
    },
  },
  { hook: "segment routing", sections: ["lwt_seg6local"], tests: {} },
  {
    hook: "run by a call (testRun)",
    sections: ["syscall"],
    tests: { "program/run": ["prog.testRun > syscall: the context comes back, the caller's stays"] },
  },
];
