// Maps of every type that has no test of its own, each by what a program does with it (fixtures map_types, inode and
// new_maps). Together with the tests of maps, slots, rings, arenas and struct_ops: every type there is (libbpf.md 1.11).

import { closeSync, openSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { type BpfObject, setLogger } from "../../src/index.js";
import {
  MappedRegion,
  mapInfo,
  PerfSoftware,
  PerfType,
  pageSize,
  perfEventEnable,
  perfEventOpen,
  possibleCpuCount,
  progTestRun,
} from "../../src/syscall/index.js";
import { call, struct } from "../support/features/calls.js";
import { fixturePath, runFilter, runSyscall, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";
import { bindTo, loopbackAddress, withLoopback } from "../support/tcp.js";

/** Leaves these programs and maps; the rest may not exist on this kernel. */
function only(programs: readonly string[], maps: readonly string[]): (obj: BpfObject) => void {
  return (obj) => {
    for (const program of obj.programs) program.autoload = programs.includes(program.name);
    for (const map of obj.maps) map.autocreate = map.isInternal || maps.includes(map.name);
  };
}

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** The directory of the control group this process is in. */
function ownGroup(): string {
  const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync("/proc/mounts", "utf8"))![1]!;
  return mount + /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))![1]!;
}

kernelDescribe("maps of tracing programs", { needs: ["raw_tracepoint", "array_mmap"] }, () => {
  kernelIt("take events of programs (perf_event_array)", { needs: ["perf_event"] }, async () => {
    await withLoaded("map_types", only(["write_event"], ["perf_events"]), (obj) => {
      const events = obj.map("perf_events");
      expect(mapInfo(events.fd)).toMatchObject({ maxEntries: possibleCpuCount(), btfKeyTypeId: 0 });
      runSyscall(obj, "write_event");
      expect(obj.data.output_result).toBe(-2); // ENOENT: no event on this CPU yet
      const open = Array.from({ length: possibleCpuCount() }, (_, cpu) => {
        const config = PerfSoftware.BPF_OUTPUT;
        const event = perfEventOpen({ type: PerfType.SOFTWARE, config, samplePeriod: 1, sampleType: 1 << 10, cpu });
        perfEventEnable(event);
        events.raw.set(u32(cpu), u32(event.number));
        return event;
      });
      try {
        const size = pageSize();
        const regions = open.map((event) => MappedRegion.map(event, { length: 2 * size, writable: true }));
        runSyscall(obj, "write_event");
        expect(obj.data.output_result).toBe(0);
        const samples = regions.map(({ bytes }) =>
          Buffer.from(bytes.subarray(size)).indexOf("8877665544332211", "hex"),
        );
        expect(samples.filter((at) => at >= 0)).toHaveLength(1);
        for (const region of regions) region.close();
      } finally {
        for (const event of open) event.close();
      }
    });
  });

  it("keep stacks of the kernel (stack_trace)", async () => {
    await withLoaded("map_types", only(["sample_stack"], ["stacks"]), (obj) => {
      runSyscall(obj, "sample_stack");
      const id = obj.data.stack_id as number;
      expect(id).toBeGreaterThanOrEqual(0);
      const frames = new BigUint64Array(obj.map("stacks").raw.get(u32(id))!.buffer);
      const used = frames.indexOf(0n);
      expect(used).toBeGreaterThan(2);
      // Addresses of the kernel.
      expect(frames.subarray(0, used).every((address) => address >> 63n === 1n)).toBe(true);
      expect(obj.map("stacks").raw.get(u32((id + 1) % 16))).toBeUndefined();
    });
  });

  kernelIt("hold control groups (cgroup_array)", { needs: ["cgroup"] }, async () => {
    await withLoaded("map_types", only(["look_up_group"], ["groups"]), (obj) => {
      const directory = openSync(ownGroup(), "r");
      try {
        obj.map("groups").raw.set(u32(0), u32(directory));
      } finally {
        closeSync(directory);
      }
      runSyscall(obj, "look_up_group");
      expect(obj.bss.in_group).toEqual([1, -11]); // EAGAIN: nothing there
    });
  });

  it("forget what was used least, per CPU (lru_percpu_hash)", async () => {
    await withLoaded("map_types", only(["count_hits"], ["recent_hits"]), (obj) => {
      const hits = obj.map("recent_hits");
      const zeros = new Array(possibleCpuCount()).fill(0n);
      hits.set(7, zeros);
      for (let round = 0; round < 3; round++) runSyscall(obj, "count_hits");
      expect((hits.get(7) as bigint[]).reduce((sum, value) => sum + value)).toBe(3n);
      for (let key = 1000; key < 3000; key++) hits.set(key, zeros);
      expect([...hits.keys()].length).toBeLessThanOrEqual(64);
      expect(hits.has(2999)).toBe(true);
    });
  });

  it("are created without type information where the kernel refuses it", async () => {
    const warnings: string[] = [];
    const before = setLogger((_, text) => void warnings.push(text));
    try {
      await withLoaded("map_types", only(["count_locked"], ["locked_values"]), (obj) => {
        const values = obj.map("locked_values");
        expect(mapInfo(values.fd)).toMatchObject({ btfId: 0, btfKeyTypeId: 0, btfValueTypeId: 0 });
        values.raw.set(u32(7), new Uint8Array(8));
        runSyscall(obj, "count_locked");
        runSyscall(obj, "count_locked");
        expect([...values.raw.get(u32(7))!]).toEqual([0, 0, 0, 0, 2, 0, 0, 0]);
      });
    } finally {
      setLogger(before);
    }
    expect(warnings.join()).toMatch(/map locked_values: the kernel refused its type information/);
  });
});

kernelDescribe("maps that XDP programs redirect to", { needs: ["xdp_link", "array_mmap"] }, () => {
  const [DROP, REDIRECT] = [1, 4];

  it.each<[string, string, string, (obj: BpfObject) => void]>([
    ["CPUs (cpumap)", "to_cpu", "cpus", (obj) => obj.map("cpus").raw.set(u32(1), cpuEntry())],
    [
      "devices by any number (devmap_hash)",
      "to_device",
      "device_table",
      (obj) => obj.map("device_table").raw.set(u32(0x12345678), deviceEntry(1)),
    ],
  ])("hold %s", async (_, program, map, fill) => {
    await withLoaded("map_types", only([program], [map]), (obj) => {
      const run = () => progTestRun({ program: obj.program(program).fd, data: new Uint8Array(64) }).returnValue;
      expect(run()).toBe(DROP);
      fill(obj);
      expect(run()).toBe(REDIRECT);
    });
  });

  /** struct bpf_cpumap_val: queue size, program. */
  const cpuEntry = () => new Uint8Array(Uint32Array.of(8, 0).buffer);
  /** struct bpf_devmap_val: index of the device, program. */
  const deviceEntry = (index: number) => new Uint8Array(Uint32Array.of(index, 0).buffer);

  kernelIt("hold sockets of family XDP (xskmap)", { needs: ["af_xdp"] }, async () => {
    await withLoaded("map_types", only(["to_socket"], ["xdp_sockets"]), (obj) => {
      const run = () => progTestRun({ program: obj.program("to_socket").fd, data: new Uint8Array(64) }).returnValue;
      expect(run()).toBe(DROP);
      const [AF_XDP, SOCK_RAW] = [44, 3];
      withLoopback((own) => {
        const socket = own(call("socket", AF_XDP, SOCK_RAW, 0));
        // Linux 7 wants the socket to be able to receive.
        const [SOL_XDP, XDP_RX_RING] = [283, 2];
        call("setsockopt", socket, SOL_XDP, XDP_RX_RING, u32(64), 4);
        obj.map("xdp_sockets").raw.set(u32(1), u32(socket));
        expect(run()).toBe(REDIRECT);
      });
    });
  });
});

kernelDescribe("maps of sockets", { needs: ["sk_lookup", "array_mmap"] }, () => {
  const [AF_INET, STREAM, DGRAM, SOL_SOCKET] = [2, 1, 2, 1];
  const portOf = (address: Uint8Array) => new DataView(address.buffer).getUint16(2, false);

  it("give programs the sockets and their storage (sockmap, sockhash, sk_storage)", async () => {
    await withLoaded("map_types", only(["find_sockets"], ["sockets", "named_sockets", "socket_hits"]), (obj) => {
      withLoopback((own) => {
        const [first, second] = [0, 1].map(() => {
          const socket = own(call("socket", AF_INET, STREAM, 0));
          const address = loopbackAddress();
          bindTo(socket, address);
          call("listen", socket, 1);
          return { socket, port: portOf(address) };
        }) as [{ socket: number; port: number }, { socket: number; port: number }];
        runFilter(obj, "find_sockets");
        expect([obj.bss.array_port, obj.bss.hash_port]).toEqual([0, 0]);
        obj.map("sockets").set(1, BigInt(first.socket));
        obj.map("named_sockets").set("named", BigInt(second.socket));
        for (let round = 0; round < 3; round++) runFilter(obj, "find_sockets");
        expect([obj.bss.array_port, obj.bss.hash_port]).toEqual([first.port, second.port]);
        const hits = obj.map("socket_hits");
        expect([hits.get(first.socket), hits.get(second.socket)]).toEqual([3n, 30n]);
        expect(hits.delete(first.socket)).toBe(true);
        expect(hits.get(first.socket)).toBeUndefined();
      });
    });
  });

  it("are chosen from by programs (reuseport_sockarray)", async () => {
    await withLoaded("map_types", only(["choose"], ["listeners"]), (obj) => {
      withLoopback((own) => {
        const [SO_REUSEPORT, SO_RCVTIMEO, SO_ATTACH_REUSEPORT_EBPF] = [15, 20, 52];
        const fiveSeconds = new Uint8Array(BigInt64Array.of(5n, 0n).buffer);
        const number = (value: number) => struct(4, [[0, "u32", value]]);
        const address = loopbackAddress();
        const sockets = [0, 1].map((slot) => {
          const socket = own(call("socket", AF_INET, DGRAM, 0));
          call("setsockopt", socket, SOL_SOCKET, SO_REUSEPORT, number(1), 4);
          bindTo(socket, address);
          obj.map("listeners").set(slot, BigInt(socket));
          return socket;
        });
        call("setsockopt", sockets[0]!, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, number(obj.program("choose").fd), 4);
        for (const slot of [1, 0, 1]) {
          obj.bss.chosen = slot;
          // From a new socket each time: another sender, which the kernel alone would spread over both.
          const sender = own(call("socket", AF_INET, DGRAM, 0));
          call("sendto", sender, Uint8Array.of(slot), 1, 0, address, 16);
          // Waits for five seconds: a busy kernel delivers later.
          const received = new Uint8Array(1).fill(9);
          call("setsockopt", sockets[slot]!, SOL_SOCKET, SO_RCVTIMEO, fiveSeconds, 16);
          expect(call("recvfrom", sockets[slot]!, received, 1, 0, 0, 0)).toBe(1);
          expect(received[0]).toBe(slot);
        }
      });
    });
  });
});

kernelDescribe("storage", { needs: ["bpf", "array_mmap"] }, () => {
  kernelIt("of control groups, for their programs (cgroup_storage, both)", { needs: ["cgroup"] }, async () => {
    await withLoaded("map_types", only(["count_in_group"], ["group_hits", "group_cpu_hits"]), (obj) => {
      // A test run has storage of its own, for as long as it lasts.
      const run = { program: obj.program("count_in_group").fd, data: new Uint8Array(64), repeat: 3 };
      expect(progTestRun(run).returnValue).toBe(1);
      expect([obj.bss.seen_hits, obj.bss.seen_cpu_hits]).toEqual([3n, 300n]);
      progTestRun(run);
      expect(obj.bss.seen_hits).toBe(3n);
    });
  });

  const me = (obj: BpfObject): void => {
    obj.rodata.me = process.pid;
  };

  kernelIt("of tasks (task_storage)", { needs: ["task_storage", "tp_btf"] }, async () => {
    const edit = (obj: BpfObject): void => {
      only(["count_in_task"], ["task_hits"])(obj);
      me(obj);
    };
    await withLoaded("map_types", edit, (obj) => {
      obj.attach();
      for (let round = 0; round < 5; round++) call("getpgid", 0);
      obj.detach();
      const task = call("pidfd_open", process.pid, 0);
      try {
        // This is the main thread, if tests are not run in workers; its storage then counts at least those calls.
        expect(obj.map("task_hits").get(task)).toBeGreaterThan(4n);
      } finally {
        closeSync(task);
      }
    });
  });

  kernelIt("of control groups (cgrp_storage)", { needs: ["cgrp_storage", "tp_btf", "cgroup"] }, async () => {
    const edit = (obj: BpfObject): void => {
      only(["count_in_own_group"], ["own_group_hits"])(obj);
      me(obj);
    };
    await withLoaded("map_types", edit, (obj) => {
      obj.attach();
      for (let round = 0; round < 5; round++) call("getpgid", 0);
      obj.detach();
      const group = openSync(ownGroup(), "r");
      try {
        expect(obj.map("own_group_hits").get(group)).toBeGreaterThan(4n);
      } finally {
        closeSync(group);
      }
    });
  });

  kernelIt("of inodes (inode_storage)", { needs: ["lsm"] }, async () => {
    await withLoaded("inode", me, (obj) => {
      const path = fixturePath("inode");
      const file = openSync(path, "r");
      try {
        expect(obj.map("opens").get(file)).toBeUndefined();
        obj.attach();
        for (let round = 0; round < 4; round++) readFileSync(path);
        obj.detach();
        readFileSync(path);
        expect(obj.map("opens").get(file)).toBe(4n);
      } finally {
        closeSync(file);
      }
    });
  });
});

kernelDescribe("rings that user space writes to", { needs: ["user_ringbuf", "array_mmap"] }, () => {
  it("give programs what was written (user_ringbuf)", async () => {
    await withLoaded("map_types", only(["drain"], ["commands"]), (obj) => {
      const page = pageSize();
      const size = mapInfo(obj.map("commands").fd).maxEntries;
      expect(size).toBe(Math.max(8192, page)); // 5000, rounded up
      // The consumer's page is the kernel's; behind it the producer's, then the data.
      using ring = MappedRegion.map(obj.map("commands").fd, { offset: page, length: page + size, writable: true });
      const view = new DataView(ring.bytes.buffer, ring.bytes.byteOffset, ring.bytes.length);
      const values = [5n, 1000n, 37n];
      values.forEach((value, index) => {
        view.setUint32(page + 16 * index, 8, true); // length; the busy and discard bits are off
        view.setBigUint64(page + 16 * index + 8, value, true);
      });
      view.setBigUint64(0, BigInt(16 * values.length), true);
      expect(runFilter(obj, "drain")).toBe(3);
      expect(obj.bss.command_sum).toBe(1042n);
      expect(runFilter(obj, "drain")).toBe(0);
    });
  });
});

kernelDescribe("maps of Linux 7", { needs: ["socket_filter"] }, () => {
  kernelIt("hold places of instructions (insn_array)", { needs: ["insn_array"] }, async () => {
    await withLoaded("new_maps", only([], ["places"]), (obj) => {
      const places = obj.map("places");
      places.set(1, { original: 17, translated: 0, jitted: 0, padding: 0 });
      expect(places.get(1)).toMatchObject({ original: 17 });
      expect(places.get(0)).toMatchObject({ original: 0 });
      places.freeze();
      expect(() => places.set(0, { original: 1, translated: 0, jitted: 0, padding: 0 })).toThrow(/EPERM/);
    });
  });

  kernelIt("grow (rhash)", { needs: ["rhash"] }, async () => {
    await withLoaded("new_maps", only(["count"], ["growing"]), (obj) => {
      expect([1, 2, 3].map(() => runFilter(obj, "count"))).toEqual([1, 2, 3]);
      const growing = obj.map("growing");
      expect(growing.get(5)).toBe(3n);
      for (let key = 100; key < 600; key++) growing.set(key, BigInt(key));
      expect([...growing.keys()].length).toBe(501);
    });
  });
});
