// Iterators: what they write is what the kernel has.

import { statSync } from "node:fs";
import { expect, it } from "vitest";
import { readFdToEnd } from "../../src/syscall/index.js";
import { withBpfFs } from "../support/bpffs.js";
import { withCgroup } from "../support/cgroup.js";
import { only, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

const nothing = (): void => undefined;

kernelDescribe("iterators", { needs: ["iter", "array_mmap"] }, () => {
  it("attach by their section; every read runs them", async () => {
    await withLoaded("iterators", only("tasks"), (obj) => {
      const link = obj.program("tasks").attachIter();
      expect(link.info()).toMatchObject({ kind: "iter", target: "task" });
      expect(obj.bss.task_runs).toBe(0n);
      const own = (): string | undefined =>
        link
          .text()
          .split("\n")
          .find((line) => line.startsWith(`${process.pid} ${process.pid} `));
      expect(own()).toBeDefined();
      const once = obj.bss.task_runs as bigint;
      expect(once).toBeGreaterThan(1n);
      expect(own()).toBeDefined();
      expect(obj.bss.task_runs).toBeGreaterThan(once);
      link.close();
      expect(() => link.read()).toThrow("used after close()");
    });
  });

  it("attach with the object", async () => {
    await withLoaded("iterators", only("tasks"), (obj) => {
      const [link] = obj.attach();
      expect([link?.kind, link?.target]).toEqual(["iter", "iterator task"]);
    });
  });

  it("write records of a type, nothing else", async () => {
    await withLoaded("iterators", only("elements", "task_records"), (obj) => {
      const link = obj.program("task_records").attachIter();
      expect(() => link.records({ type: "recrd" })).toThrow(
        /program task_records: the object has no type recrd.*did you mean record/,
      );
      // A text of known length: that of all tasks is now and then a multiple of the size.
      const counts = obj.map<number, bigint>("counts").set(7, 70n);
      expect(() => obj.program("elements").attachIter({ map: counts }).records({ type: "record" })).toThrow(
        "the 5 bytes that the iterator wrote are no records of 8 bytes each (record)",
      );
      link.close();
      expect(() => link.records({ type: "record" })).toThrow("used after close()");
    });
  });

  it("write bytes, and stream", async () => {
    await withLoaded("iterators", only("task_records"), async (obj) => {
      const link = obj.program("task_records").attachIter();
      const bytes = link.read();
      expect(bytes.length % 8).toBe(0);
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      const pids = new Set(words.filter((_, index) => index % 2 === 0));
      expect(pids.has(process.pid)).toBe(true);

      const records = link.records<{ tgid: number; pid: number }>({ type: "record" });
      expect(records).toContainEqual({ tgid: process.pid, pid: process.pid });

      const chunks: Buffer[] = [];
      for await (const chunk of link.stream()) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).length % 8).toBe(0);
      expect(Buffer.concat(chunks).length).toBeGreaterThan(0);
    });
  });

  it("go through the elements of one map", async () => {
    await withLoaded("iterators", only("elements"), (obj) => {
      const counts = obj.map<number, bigint>("counts");
      counts.set(7, 70n).set(8, 80n);
      const link = obj.program("elements").attachIter({ map: counts });
      expect(link.text().trim().split("\n").sort()).toEqual(["7=70", "8=80"]);
      expect(link.info()).toMatchObject({ kind: "iter", target: "bpf_map_elem" });
      counts.delete(7);
      expect(link.text()).toBe("8=80\n");
      expect(() => obj.program("elements").attachIter()).toThrow("the option map");
      expect(() => obj.program("elements").attachIter({ map: counts, pid: 1 })).toThrow("one of map, cgroup, tid, pid");
    });
  });

  it("run for everybody who reads their pin", async () => {
    await withBpfFs(async (root) => {
      await withLoaded("iterators", only("elements"), async (obj) => {
        const counts = obj.map<number, bigint>("counts");
        counts.set(1, 2n);
        obj.program("elements").attachIter({ map: counts }).pin(`${root}/counts`);
        const { execFileSync } = await import("node:child_process");
        expect(execFileSync("cat", [`${root}/counts`], { encoding: "utf8" })).toBe("1=2\n");
      });
    });
  });

  kernelIt("go through the tasks of one process", { needs: ["iter_options"] }, async () => {
    await withLoaded("iterators", only("tasks"), (obj) => {
      const lines = obj.program("tasks").attachIter({ pid: process.pid }).text().trim().split("\n");
      expect(lines.length).toBeGreaterThan(1);
      expect(lines.every((line) => line.startsWith(`${process.pid} `))).toBe(true);
      const one = obj.program("tasks").attachIter({ tid: process.pid });
      expect(one.text()).toMatch(new RegExp(`^${process.pid} ${process.pid} [^\n]*\n$`));
      expect(one.info()).toMatchObject({ tid: process.pid });
      expect(
        obj
          .program("tasks")
          .attachIter({ pid: 2 ** 31 - 1 })
          .text(),
      ).toBe("");
      expect(() => obj.program("tasks").attachIter({ pid: -5 })).toThrow("pid is the number of a thread");
    });
  });

  kernelIt("go through control groups", { needs: ["iter_options", "cgroup"] }, async () => {
    await withLoaded("iterators", only("groups"), async (obj) => {
      await withCgroup((group, below) => {
        const [outer, inner] = [group, below].map((path) => String(statSync(path, { bigint: true }).ino));
        const ids = (order?: "self" | "descendants" | "descendants-first" | "ancestors"): string[] => {
          const options = order === undefined ? { cgroup: group } : { cgroup: group, order };
          return obj.program("groups").attachIter(options).text().trim().split("\n");
        };
        expect(ids()).toEqual([outer, inner]);
        expect(ids("self")).toEqual([outer]);
        expect(ids("descendants-first")).toEqual([inner, outer]);
        expect(ids("ancestors")[0]).toBe(outer);
        expect(ids("ancestors")).not.toContain(inner);
        expect(() => obj.program("groups").attachIter({ cgroup: `${group}/none` })).toThrow("cannot be opened");
        expect(() => ids("sideways" as "self")).toThrow("order is one of self");
      });
    });
  });

  it("leave no descriptor behind", async () => {
    await withLoaded("iterators", only("elements"), (obj) => {
      const link = obj.program("elements").attachIter({ map: obj.map("counts") });
      using open = link.open();
      expect(readFdToEnd(open.number)).toEqual(new Uint8Array(0));
    });
    await withLoaded("iterators", only(), nothing);
  });
});
