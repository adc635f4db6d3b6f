// Relocation by its effects: sub-programs, callbacks, CO-RE, data sections, objects without BTF.

import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Btf } from "../../src/btf/index.js";
import { BpfObject } from "../../src/index.js";
import { fixturePath, only, runFilter, runSyscall, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

kernelDescribe("sub-programs", { needs: ["socket_filter", "array_mmap"] }, () => {
  it("are linked, static and global ones, shared by several programs", async () => {
    await withLoaded("subprogs", only("call_global", "call_static"), (obj) => {
      expect(runFilter(obj, "call_global")).toBe(137);
      expect(obj.bss.leaf_calls).toBe(3n);
      expect(runFilter(obj, "call_static")).toBe(69);
      expect(obj.bss.leaf_calls).toBe(6n);
      obj.data.factor = 10; // weighted(4) = 40 + 50 + 100, weak_offset(1) = 10 + 7
      expect(runFilter(obj, "call_global")).toBe(207);
    });
  });
});

kernelDescribe("callbacks", { needs: ["syscall_program", "array_mmap"] }, () => {
  it("are passed by address", async () => {
    await withLoaded("subprogs", only("call_each"), (obj) => {
      const numbers = obj.map("numbers");
      for (const [index, value] of [10n, 20n, 30n, 40n].entries()) numbers.set(index, value);
      expect(runFilter(obj, "call_each")).toBe(100 + 1000 * 4 * 3);
    });
  });
});

kernelDescribe("global data", { needs: ["syscall_program", "array_mmap"] }, () => {
  it("of all sections and types reaches the program and comes back", async () => {
    await withLoaded(
      "globals",
      (obj) => {
        expect(obj.rodata.ro_u64).toBe(0xfedcba9876543210n);
        expect(obj.rodata.ro_shape).toEqual({
          name: "square",
          corners: [
            { x: 1, y: -1 },
            { x: 2, y: -2 },
            { x: 3, y: -3 },
          ],
          color: 2,
          visible: 1,
          layer: 100,
          shift: -9,
          raw: 0x2222222211111111n,
          low: 0x11111111,
          high: 0x22222222,
        });
        obj.rodata.ro_u16 = 4242;
        obj.rodata.ro_text = "changed";
        obj.globals(".rodata.custom").custom_limit = 1000;
        obj.data.data_array = [1, 2, 3, 4];
        obj.data.data_s64 = -(2n ** 62n);
        obj.globals(".bss.custom").custom_result = 9n;
      },
      (obj) => {
        expect(obj.globals(".bss.custom").custom_result).toBe(9n);
        runSyscall(obj, "copy_globals");
        const { bss, data } = obj;
        expect([bss.bss_u8, bss.bss_u16, bss.bss_u32, bss.bss_u64]).toEqual([
          0xf0,
          4242,
          0xfedcba98,
          0xfedcba9876543210n,
        ]);
        expect([bss.bss_s8, bss.bss_s16, bss.bss_s32, bss.bss_s64]).toEqual([-8, -1600, -320000, -6400000000000n]);
        expect([bss.bss_bool, bss.bss_color, bss.bss_level, bss.bss_wide]).toEqual([true, 40, -5, 0x8000000000000001n]);
        expect(bss.bss_shape).toEqual(obj.rodata.ro_shape);
        expect(bss.bss_text).toBe("changed");
        expect(bss.bss_letter).toBe("i".charCodeAt(0)); // "first"[1]
        expect([data.data_u8, data.data_u16, data.data_u32, data.data_u64]).toEqual([2, 3, 4, 5n]);
        expect([data.data_s8, data.data_s16, data.data_s32, data.data_s64]).toEqual([-2, -3, -4, -(2n ** 62n) - 1n]);
        expect([data.data_bool, data.data_port, data.data_color]).toEqual([false, 8081, 40]);
        expect((data.data_union as { wide: bigint }).wide).toBe(0x0102030400000000n);
        expect(data.data_array).toEqual([1, 2, 3, 4].with(2, 3));
        expect(data.data_matrix).toEqual([
          [1, 2, 3],
          [4, 5, 600],
        ]);
        expect(data.data_text).toBe("Hello");
        expect(obj.globals(".data.custom").custom_counter).toBe(1500n);
        expect(obj.globals(".bss.custom").custom_result).toBe(1005n + 6n);
        // Static variables keep their values but have no name.
        expect("data_static" in data).toBe(false);
        data.data_text = "x";
        expect(data.data_text).toBe("x");
      },
    );
  });
});

kernelDescribe("an object without BTF", { needs: ["socket_filter"] }, () => {
  it("loads and runs; its globals have no names but keep their values", async () => {
    await withLoaded(
      "nobtf",
      () => {},
      (obj) => {
        expect(Object.keys(obj.rodata)).toEqual([]);
        expect(runFilter(obj, "count_runs")).toBe(42);
        expect(runFilter(obj, "count_runs")).toBe(42);
        const bytes = obj.map("nobtf.bss").raw.get(new Uint8Array(4));
        expect(new DataView(bytes!.buffer).getBigUint64(0, true)).toBe(2n);
      },
    );
  });
});

kernelDescribe("CO-RE", { needs: ["raw_tracepoint", "array_mmap"] }, () => {
  const target = (obj: BpfObject): void => {
    obj.rodata.target_pid = process.pid;
  };

  it("reads the running kernel's task structure", async () => {
    const edit = (obj: BpfObject): void => {
      only("core_task")(obj);
      target(obj);
    };
    await withLoaded("core", edit, (obj) => {
      obj.attach();
      process.cpuUsage();
      const { bss } = obj;
      expect(bss.runs).not.toBe(0n);
      expect(bss.own_tgid).toBe(process.pid);
      expect(bss.leader_pid).toBe(process.pid);
      expect(bss.parent_tgid).toBe(process.ppid);
      // Any thread of this process may have been the last to write a variable.
      obj.detach();
      const threads = readdirSync(`/proc/${process.pid}/task`).map(Number);
      const names = threads.map((thread) => readFileSync(`/proc/${process.pid}/task/${thread}/comm`, "utf8").trimEnd());
      expect(threads).toContain(bss.own_pid);
      expect(threads).toContain(bss.upid_nr);
      expect(names).toContain(bss.own_comm);
      expect(names.map((name) => name.charCodeAt(1))).toContain(bss.comm_second);
      expect(bss.state).toBe(0n); // running
      expect(obj.data.missing_value).toBe(12345);
    });
  });

  it("answers questions about types as the kernel's BTF does", async () => {
    const edit = (obj: BpfObject): void => {
      only("core_facts")(obj);
      target(obj);
      const skb = new Uint8Array(512).fill(0xff);
      obj.bss.fake_skb = skb;
    };
    const kernel = Btf.parse(readFileSync("/sys/kernel/btf/vmlinux"));
    await withLoaded("core", edit, (obj) => {
      obj.attach();
      process.cpuUsage();
      const { bss, data } = obj;
      expect(bss.facts_runs).not.toBe(0n);
      const id = kernel.findByName("task_struct", "struct")!;
      const task = kernel.type(id);
      if (task.kind !== "struct") throw new Error("task_struct is no struct");
      const member = (name: string) => task.members.find((candidate) => candidate.name === name);
      expect(bss.task_kernel_id).toBe(id);
      expect(bss.task_size).toBe(task.size);
      expect(bss.tgid_offset).toBe(member("tgid")!.bitOffset / 8);
      expect(bss.tasks_prev_offset).toBe(member("tasks")!.bitOffset / 8 + 8);
      expect(bss.comm_size).toBe(16);
      expect([bss.tgid_exists, bss.missing_exists, bss.list_exists, bss.type_missing_exists]).toEqual([1, 0, 1, 0]);
      expect([bss.old_state_exists, bss.new_state_exists]).toEqual([
        member("state") ? 1 : 0,
        member("__state") ? 1 : 0,
      ]);
      expect([bss.tgid_signed, bss.flags_signed]).toEqual([1, 0]);
      expect(bss.list_size).toBe(16);
      expect([data.missing_type_size, data.missing_kernel_id]).toEqual([0, 0]);
      expect([bss.enum_tgid, bss.enum_sid]).toEqual([1n, 3n]);
      expect([bss.enum_sid_exists, bss.enum_missing_exists, bss.enum_type_missing_exists]).toEqual([1, 0, 0]);
      expect([bss.list_matches, bss.list_wrong_matches, bss.missing_matches]).toEqual([1, 0, 0]);
      expect(bss.pkt_type).toBe(7n);
      expect(bss.pkt_type_rshift).toBe(61);
      expect(obj.btf?.nameOf(bss.task_local_id as number)).toBe("task_struct");
    });
  });

  it("uses types that are given instead of the running kernel's", async () => {
    const bytes = readFileSync("/sys/kernel/btf/vmlinux");
    for (const kernelBtf of ["/sys/kernel/btf/vmlinux", bytes, Btf.parse(bytes)]) {
      const edit = (obj: BpfObject): void => {
        only("core_task")(obj);
        target(obj);
      };
      await withLoaded(
        "core",
        edit,
        (obj) => {
          obj.attach();
          process.cpuUsage();
          expect(obj.bss.own_tgid).toBe(process.pid);
        },
        { kernelBtf },
      );
    }
    const edit = only("core_task");
    await expect(withLoaded("core", edit, () => {}, { kernelBtf: "README.md" })).rejects.toThrow(
      /README\.md, section \.BTF/,
    );
    await expect(withLoaded("core", edit, () => {}, { kernelBtf: fixturePath("nobtf") })).rejects.toMatchObject({
      code: "BTF_MISSING",
    });
  });

  it("takes types out of an object", async () => {
    const load = async (kernelBtf?: string | Uint8Array): Promise<string> => {
      let insns = "";
      const keep = (obj: BpfObject): void => {
        insns = Buffer.from(obj.program("core_task").insns).toString("hex");
      };
      await withLoaded("core", only("core_task"), keep, kernelBtf === undefined ? {} : { kernelBtf });
      // Descriptors differ from load to load.
      const words = insns.match(/.{16}/g) ?? [];
      return words.map((word) => (/^18[1-9]/.test(word) ? word.slice(0, 8) : word)).join(" ");
    };
    const raw = BpfObject.open(fixturePath("core")).btf!.bytes;
    expect(await load(fixturePath("core"))).toBe(await load(raw));
    expect(await load(fixturePath("core"))).not.toBe(await load());
  });
});

kernelDescribe("typed kernel pointers", { needs: ["tp_btf", "array_mmap", "syscall_program"] }, () => {
  it("are read by relocated loads whose width is adjusted", async () => {
    const edit = (obj: BpfObject): void => {
      only("core_direct")(obj);
      obj.rodata.target_pid = process.pid;
    };
    await withLoaded("core", edit, (obj) => {
      obj.attach();
      process.cpuUsage();
      expect(obj.bss.direct_runs).not.toBe(0n);
      expect(obj.bss.direct_tgid).toBe(process.pid);
      // PF_* flags fit 32 bits: a load that was not narrowed would bring the next member along.
      expect(obj.bss.direct_flags as bigint).toBeLessThan(2n ** 32n);
    });
  });
});
