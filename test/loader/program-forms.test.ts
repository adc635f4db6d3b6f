// Programs in all their forms, each by what it does: functions in every place the compiler puts them, callbacks that the
// kernel calls later, exceptions, jump tables, and what a section's name adds to the type (fixtures subprog_layouts,
// overridden, timers, exceptions, jump_tables, variants).

import { expect, it } from "vitest";
import { type BpfMap, type BpfObject, VerifierError } from "../../src/index.js";
import { AttachType } from "../../src/object/index.js";
import { ffi } from "../../src/syscall/ffi.js";
import { iterCreate, linkCreate, progInfo, progTestRun, readFdToEnd } from "../../src/syscall/index.js";
import { eventually, runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

function only(...names: string[]): (obj: BpfObject) => void {
  return (obj) => {
    for (const program of obj.programs) program.autoload = names.includes(program.name);
  };
}

const all = (): void => {};

/** struct bpf_devmap_val, struct bpf_cpumap_val: a device or a queue size, and a program. */
function entry(first: number, program: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(first, program).buffer);
}

/** Runs a program on an empty packet with this mark (struct __sk_buff). */
function runMarked(obj: BpfObject, program: string, mark: number): number {
  const context = new Uint8Array(192);
  new DataView(context.buffer).setUint32(8, mark, true);
  return progTestRun({ program: obj.program(program).fd, data: new Uint8Array(64), context }).returnValue;
}

kernelDescribe("functions of a program", { needs: ["xdp_link", "array_mmap"] }, () => {
  const f = "f".charCodeAt(0);
  const b = "b".charCodeAt(0);

  it.each([
    ["as compiled by default", "subprog_layouts"],
    ["without 32-bit arithmetic (-mcpu=v1)", "subprog_layouts.v1"],
  ] as const)("are found wherever they are, %s", async (_, fixture) => {
    // for_each and callbacks by address came with 5.13
    await withLoaded(fixture, only("chain", "shared", "unshared"), (obj) => {
      expect(runFilter(obj, "chain")).toBe(2 + f);
      // third(3) + letter(0): 3 + "k" + "b"
      expect(runFilter(obj, "shared")).toBe(3 + "k".charCodeAt(0) + b);
      const XDP_TX = 3;
      expect(runFilter(obj, "unshared")).toBe(XDP_TX);
    });
  });

  kernelIt("are found with all instructions there are (-mcpu=v4 -O1)", { needs: ["cpu_v4"] }, async () => {
    await withLoaded("subprog_layouts.v4", all, (obj) => {
      expect(runFilter(obj, "chain")).toBe(2 + f);
      expect(runFilter(obj, "shared")).toBe(3 + "k".charCodeAt(0) + b);
    });
  });

  kernelIt("may be called and passed by address", { needs: ["syscall_program"] }, async () => {
    for (const fixture of ["subprog_layouts", "subprog_layouts.v1"]) {
      await withLoaded(fixture, only("by_address_and_call"), (obj) => {
        obj.map("pairs").set(2, 10n).set(7, 100n);
        expect(runFilter(obj, "by_address_and_call")).toBe(2 * 10 + 7 * 100 + 3 * 5);
        expect(obj.bss.visits).toBe(3n);
      });
    }
  });

  kernelIt("may be the rounds of a loop", { needs: ["loop", "syscall_program"] }, async () => {
    await withLoaded("subprogs", only("call_loop"), (obj) => {
      const context = new Uint8Array(16);
      context[0] = 5;
      const run = progTestRun({ program: obj.program("call_loop").fd, context, contextOutSize: 0 });
      expect(run.returnValue).toBe(103);
      // leaf() was called twice in each round, and twice for the result.
      expect(obj.bss.leaf_calls).toBe(12n);
    });
  });

  it("that lost against another one are not there", async () => {
    await withLoaded("overridden", all, (obj) => {
      expect(obj.programs.map(({ name }) => name)).toEqual(["call_kept"]);
      obj.map("values").set(0, 100);
      expect(runFilter(obj, "call_kept")).toBe(700);
      expect([obj.bss.kept_calls, obj.bss.lost_calls]).toEqual([2, 0]);
    });
  });
});

kernelDescribe("timers", { needs: ["timer", "array_mmap"] }, () => {
  it("call back by address, and may start themselves again", async () => {
    const edit = (obj: BpfObject): void => {
      obj.rodata.rounds = 4n;
    };
    await withLoaded("timers", edit, async (obj) => {
      expect(runFilter(obj, "start")).toBe(0);
      expect(await eventually(() => obj.bss.total_fired === 4n)).toBe(true);
      await new Promise((done) => setTimeout(done, 20));
      expect(obj.bss.total_fired).toBe(4n);
      expect(obj.map("elements").get(1)).toMatchObject({ fired: 4n });
      expect(obj.map("elements").get(0)).toMatchObject({ fired: 0n });
    });
  });
});

kernelDescribe("exceptions", { needs: ["exceptions", "array_mmap"] }, () => {
  it("end the program, and their callback gives the result", async () => {
    await withLoaded("exceptions", all, (obj) => {
      expect(runFilter(obj, "throws")).toBe(1000 + 64 / 2);
      expect([obj.bss.handled, obj.bss.after]).toEqual([1n, 0n]);
      obj.data.limit = 64n;
      expect(runFilter(obj, "throws")).toBe(64);
      expect([obj.bss.handled, obj.bss.after]).toEqual([1n, 1n]);
    });
  });

  it("end programs without a callback as well", async () => {
    await withLoaded("exceptions", all, (obj) => {
      // The kernel's own callback returns what was thrown (6.7).
      expect(runFilter(obj, "throws_plainly")).toBe(64);
      expect(obj.bss.after).toBe(0n);
      obj.data.limit = 100n;
      expect(runFilter(obj, "throws_plainly")).toBe(65);
      expect([obj.bss.handled, obj.bss.after]).toEqual([0n, 1n]);
    });
  });
});

kernelDescribe("jump tables", { needs: ["insn_array"] }, () => {
  it("lead where they should, in programs and in their sub-programs", async () => {
    await withLoaded("jump_tables", all, (obj) => {
      expect([0, 1, 2, 3, 4].map((mark) => runMarked(obj, "jump", mark))).toEqual([10, 20, 20, 40, 7]);
      expect([0, 1, 2, 3, 4].map((mark) => runMarked(obj, "call_reversed", mark))).toEqual([8, 6, 4, 2, 0]);
      expect(runFilter(obj, "call_reversed_again")).toBe(104);
      expect(runFilter(obj, "plain")).toBe(3);
    });
  });
});

kernelDescribe("attach types", { needs: ["sk_lookup", "array_mmap"] }, () => {
  // What a program may look at depends on its attach type: that the verifier lets it shows that the type arrived.
  it.each(["in_devmap", "in_cpumap", "connect6", "sendmsg4", "getsockopt", "post_bind4", "egress", "parser", "lookup"])(
    "of sections reach the kernel: %s",
    async (name) => {
      await withLoaded("variants", only(name), (obj) => expect(progInfo(obj.program(name).fd).name).toBe(name));
    },
  );

  it("are what maps of devices and of CPUs ask their programs for", async () => {
    await withLoaded("variants", only("in_devmap", "in_cpumap", "lookup"), async (obj) => {
      const edit = (candidate: BpfObject): void => {
        only()(candidate);
        const wanted = ["cpus", "device_table"];
        for (const map of candidate.maps) map.autocreate = map.isInternal || wanted.includes(map.name);
      };
      await withLoaded("map_types", edit, (holder) => {
        const key = new Uint8Array(4);
        const [devices, cpus] = [holder.map("device_table").raw, holder.map("cpus").raw];
        const [inDevmap, inCpumap] = [obj.program("in_devmap").fd, obj.program("in_cpumap").fd];
        expect(() => devices.set(key, entry(1, inCpumap))).toThrow(/EINVAL/);
        // Before Linux 7 the map of CPUs has one answer to all that is wrong with an entry: ENOMEM.
        expect(() => cpus.set(key, entry(8, inDevmap))).toThrow(/ENOMEM|EINVAL/);
        devices.set(key, entry(1, inDevmap));
        cpus.set(key, entry(8, inCpumap));
        // Read back, the descriptor is an id.
        expect(new Uint32Array(devices.get(key)!.buffer)).toEqual(Uint32Array.of(1, progInfo(inDevmap).id));
        expect(new Uint32Array(cpus.get(key)!.buffer)).toEqual(Uint32Array.of(8, progInfo(inCpumap).id));
      });
    });
  });

  kernelIt("of sections reach the kernel: migrate", { needs: ["reuseport_migrate"] }, async () => {
    await withLoaded("variants", only("migrate"), (obj) => expect(obj.program("migrate").loaded).toBe(true));
  });

  kernelIt("decide: programs with another one are refused", { needs: ["virtual_machine"] }, async () => {
    for (const [name, other] of [
      ["in_devmap", "xdp"],
      ["connect6", "cgroup_inet4_connect"],
      ["sendmsg4", "cgroup_inet4_connect"],
      ["getsockopt", "cgroup_setsockopt"],
      ["post_bind4", "cgroup_inet_sock_create"],
    ] as const) {
      const edit = (obj: BpfObject): void => {
        only(name)(obj);
        obj.program(name).expectedAttachType = other;
      };
      await expect(
        withLoaded("variants", edit, () => name),
        name,
      ).rejects.toThrow(VerifierError);
    }
  });
});

kernelDescribe("flags of sections", { needs: ["array_mmap"] }, () => {
  kernelIt("let XDP see packets of several buffers (xdp.frags)", { needs: ["xdp_frags"] }, async () => {
    const edit = only("fragments", "fragments_in_cpumap");
    await withLoaded("variants", edit, (obj) => {
      const XDP_PASS = 2;
      const packet = new Uint8Array(9000);
      expect(progTestRun({ program: obj.program("fragments").fd, data: packet }).returnValue).toBe(XDP_PASS);
      expect(obj.bss.whole_length).toBe(9000);
    });
  });

  kernelIt("tell programs for several buffers from others (xdp.frags/cpumap)", { needs: ["xdp_frags"] }, async () => {
    await withLoaded("variants", only("fragments_in_cpumap", "in_cpumap"), async (obj) => {
      const put = (program: string) => () => cpus.raw.set(new Uint8Array(4), entry(8, obj.program(program).fd));
      const empty = (candidate: BpfObject): void => {
        only()(candidate);
        for (const map of candidate.maps) map.autocreate = map.isInternal || map.name === "cpus";
      };
      let cpus: BpfMap;
      // The first program decides for the map.
      for (const [first, second] of [
        ["fragments_in_cpumap", "in_cpumap"],
        ["in_cpumap", "fragments_in_cpumap"],
      ] as const) {
        await withLoaded("map_types", empty, (holder) => {
          cpus = holder.map("cpus");
          put(first)();
          expect(put(second)).toThrow(/ENOMEM|EINVAL/);
        });
      }
    });
  });

  const text = new TextEncoder().encode("bpfkit!\0");

  kernelIt("let programs sleep: system call programs", { needs: ["syscall_program"] }, async () => {
    await withLoaded("variants", only("sleepable_call"), (obj) => {
      const given = new Uint8Array(BigUint64Array.of(BigInt(ffi().address(text))).buffer);
      expect(progTestRun({ program: obj.program("sleepable_call").fd, context: given }).returnValue).toBe(0);
      expect(obj.bss.copied).toBe("bpfkit!");
    });
  });

  kernelIt("let programs sleep: uprobes", { needs: ["sleepable_uprobe"] }, async () => {
    await withLoaded("variants", only("sleepable_probe"), (obj) =>
      expect(obj.program("sleepable_probe").loaded).toBe(true),
    );
  });

  kernelIt("let programs sleep: iterators", { needs: ["copy_from_user_task", "iter"] }, async () => {
    const edit = (obj: BpfObject): void => {
      only("sleepable_iterator")(obj);
      obj.rodata.me = process.pid;
      obj.rodata.address = BigInt(ffi().address(text));
    };
    await withLoaded("variants", edit, (obj) => {
      using link = linkCreate({
        program: obj.program("sleepable_iterator").fd,
        target: 0,
        attachType: AttachType.trace_iter,
      });
      using iterator = iterCreate(link);
      readFdToEnd(iterator.number);
      expect(obj.bss.copied).toBe("bpfkit!");
    });
  });

  kernelIt("decide: programs that sleep without it are refused", { needs: ["virtual_machine"] }, async () => {
    const edit = (obj: BpfObject): void => {
      only("sleepable_probe")(obj);
      obj.program("sleepable_probe").flags = 0;
    };
    await expect(withLoaded("variants", edit, () => {})).rejects.toThrow(VerifierError);
  });
});
