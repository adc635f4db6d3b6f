// The skeletons of all fixtures at run time: each opens and has everything that its object has; those whose programs this
// kernel takes are loaded and run, and what they did is seen through the skeleton's own properties.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { BpfLink, BpfMap, BpfProgram } from "../../src/index.js";
import { atomic, snapshot } from "../../src/index.js";
import { pretend } from "../../src/kernel/features.js";
import { generateSkeleton, type Skeleton } from "../../src/skeleton/index.js";
import type { FeatureName } from "../support/features.js";
import { eventually, fixtureBytes, fixtureNames, runFilter, runSyscall } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";
import { sourceModule } from "../support/script.js";

/** Any skeleton, with the variables of any section. */
type Any = Skeleton<Record<string, BpfMap>, Record<string, BpfProgram>, Record<string, BpfLink | undefined>> &
  Record<string, Record<string, unknown>>;
interface Module {
  readonly default: { open(): Any };
}

const folder = mkdtempSync(join(tmpdir(), "bpfkit-skeletons-"));
afterAll(() => rmSync(folder, { recursive: true }));

const runtime = sourceModule("src/skeleton/index.ts");

async function openSkeleton(fixture: string): Promise<Any> {
  const file = join(folder, `${fixture}.mjs`);
  writeFileSync(
    file,
    generateSkeleton(fixtureBytes(fixture), { name: fixture.split(".")[0]!, language: "js", runtime }),
  );
  const module = (await import(/* @vite-ignore */ file)) as Module;
  return module.default.open();
}

/** Objects that cannot be opened have no skeletons: its maps need BTF. */
const all = fixtureNames().filter((name) => name !== "minimal.nobtf");

describe("the skeleton of", () => {
  it.each(all)("%s has all that its object has", async (fixture) => {
    const skeleton = await openSkeleton(fixture);
    const { object } = skeleton;
    expectSame(Object.values(skeleton.maps), object.maps);
    expectSame(Object.values(skeleton.progs), object.programs);
    for (const program of object.programs) expect(skeleton.links[program.name]).toBeUndefined();
    for (const map of object.maps) {
      const section = map.dataSectionName;
      if (section === undefined || map.data === undefined) continue;
      const property = section === ".addr_space.1" ? "arena" : section.slice(1).replaceAll(".", "_");
      const names = Object.keys(object.globals(section));
      if (names.length === 0) continue;
      const variables = skeleton[property]!;
      expect(Object.keys(variables)).toEqual(names);
      if (section === ".kconfig") continue;
      const before = snapshot(variables as never);
      // What was read is what can be written.
      for (const name of names) variables[name] = snapshot(variables[name] as never);
      expect(snapshot(variables as never)).toEqual(before);
    }
    skeleton.close();
  });
});

/** The very same objects: maps that are not loaded cannot be looked into. */
function expectSame(actual: readonly object[], expected: readonly object[]): void {
  expect(actual.length).toBe(expected.length);
  expect(actual.findIndex((each, index) => each !== expected[index])).toBe(-1);
}

interface Run {
  readonly needs: readonly FeatureName[];
  /** Programs to load; by default all whose autoload is on. */
  readonly programs?: readonly string[];
  readonly edit?: (skeleton: Any) => void;
  /** Looks at the loaded skeleton. */
  readonly check: (skeleton: Any) => void | Promise<void>;
}

const filter = (program: string, result: number, more?: (skeleton: Any) => void) => (skeleton: Any) => {
  expect(runFilter(skeleton.object, program)).toBe(result);
  more?.(skeleton);
};

const runs: Readonly<Record<string, Run>> = {
  minimal: {
    needs: ["tracepoint", "array_mmap"],
    edit: (skeleton) => {
      skeleton.rodata!.target_pid = process.pid;
    },
    check: (skeleton) => {
      skeleton.attach();
      process.getegid?.();
      expect(skeleton.bss!.total_syscalls).toBeGreaterThan(0n);
      expect(skeleton.maps.syscall_count!.get(process.pid)).toBeGreaterThan(0n);
    },
  },
  events: {
    needs: ["tracepoint", "ringbuf", "array_mmap"],
    check: (skeleton) => {
      expect(skeleton.attach()).toEqual([skeleton.links.report_exec]);
      skeleton.detach();
      expect(skeleton.links.report_exec).toBeUndefined();
    },
  },
  globals: {
    needs: ["syscall_program", "array_mmap"],
    check: (skeleton) => {
      runSyscall(skeleton.object, "copy_globals");
      expect(skeleton.bss!.bss_shape).toEqual(skeleton.rodata!.ro_shape);
    },
  },
  views: {
    needs: ["syscall_program", "array_mmap"],
    check: (skeleton) => {
      runSyscall(skeleton.object, "add_all");
      expect(skeleton.bss!.sum).toBe(825n);
    },
  },
  maps: {
    needs: ["socket_filter", "ringbuf", "syscall_program"],
    check: filter("touch_maps", 1, (skeleton) => expect([...skeleton.maps.flows!]).toHaveLength(1)),
  },
  map_access: {
    needs: ["socket_filter"],
    programs: ["touch_guard"],
    edit: (skeleton) => {
      for (const map of skeleton.object.maps) if (!map.isInternal) map.autocreate = map.name === "guards";
    },
    check: (skeleton) => {
      runFilter(skeleton.object, "touch_guard");
      expect(skeleton.maps.guards!.get(1)).toMatchObject({ updates: 1 });
    },
  },
  subprogs: {
    needs: ["socket_filter", "array_mmap"],
    programs: ["call_global", "call_static"],
    check: filter("call_global", 137, (skeleton) => expect(skeleton.bss!.leaf_calls).toBe(3n)),
  },
  nobtf: { needs: ["socket_filter"], check: filter("count_runs", 42) },
  slots: {
    needs: ["socket_filter", "bloom_filter", "array_mmap"],
    check: (skeleton) => {
      skeleton.bss!.slot = 2;
      expect(runFilter(skeleton.object, "dispatch")).toBe(101);
    },
  },
  tables: { needs: ["socket_filter", "array_mmap"], check: filter("add_up", 60) },
  overridden: {
    needs: ["socket_filter", "array_mmap"],
    check: (skeleton) => {
      skeleton.maps.values!.set(0, 100);
      expect(runFilter(skeleton.object, "call_kept")).toBe(700);
    },
  },
  subprog_layouts: { needs: ["xdp_link", "array_mmap"], programs: ["chain", "shared"], check: filter("chain", 104) },
  "subprog_layouts.v1": { needs: ["xdp_link", "array_mmap"], programs: ["chain"], check: filter("chain", 104) },
  "subprog_layouts.v4": { needs: ["cpu_v4", "array_mmap"], programs: ["chain"], check: filter("chain", 104) },
  freplace: { needs: ["bpf", "array_mmap"], programs: ["classify"], check: filter("classify", 12) },
  jump_tables: { needs: ["insn_array"], check: filter("plain", 3) },
  exceptions: { needs: ["exceptions", "array_mmap"], check: filter("throws", 1032) },
  timers: {
    needs: ["timer", "array_mmap"],
    edit: (skeleton) => {
      skeleton.rodata!.rounds = 4;
    },
    check: async (skeleton) => {
      runFilter(skeleton.object, "start");
      expect(await eventually(() => skeleton.bss!.total_fired === 4n)).toBe(true);
    },
  },
  raw_tp: {
    needs: ["raw_tracepoint", "array_mmap"],
    check: (skeleton) => expect(skeleton.attach()).toHaveLength(2),
  },
  core: {
    needs: ["raw_tracepoint", "array_mmap"],
    programs: ["core_task"],
    check: (skeleton) => expect(skeleton.progs.core_task!.loaded).toBe(true),
  },
  arena: {
    needs: ["arena", "syscall_program"],
    check: (skeleton) => expect(skeleton.arena).toBe(skeleton.object.arena),
  },
};

kernelDescribe("loaded skeletons", { needs: ["bpf"] }, () => {
  for (const [fixture, { needs, programs, edit, check }] of Object.entries(runs)) {
    kernelIt(`run: ${fixture}`, { needs: [...needs] }, async () => {
      const skeleton = await openSkeleton(fixture);
      try {
        if (programs !== undefined) {
          for (const program of skeleton.object.programs) program.autoload = programs.includes(program.name);
        }
        edit?.(skeleton);
        await skeleton.load();
        await check(skeleton);
      } finally {
        skeleton.close();
      }
    });
  }

  it("are of fixtures", () => {
    expect(all).toEqual(expect.arrayContaining(Object.keys(runs)));
  });

  kernelIt("have the same variables on kernels that cannot map arrays", { needs: ["syscall_program"] }, async () => {
    const before = pretend("array_mmap", false);
    const skeleton = await openSkeleton("globals");
    try {
      skeleton.data!.data_u64 = 41;
      skeleton.data_custom!.custom_counter = 1;
      skeleton.loadSync();
      expect(skeleton.maps.data!.flags & 0x400).toBe(0);
      const { data, bss, rodata } = skeleton;
      const shape = bss!.bss_shape as { corners: { x: number }[]; layer: number };
      const array = data!.data_array as number[];
      expect([shape.layer, array[2]]).toEqual([0, 30]);
      array[0] = 500;
      runSyscall(skeleton.object, "copy_globals");
      expect([data!.data_u64, skeleton.data_custom!.custom_counter, array[2]]).toEqual([42n, 78n, 520]);
      expect(shape).toEqual(rodata!.ro_shape);
      shape.corners[1]!.x = 77;
      expect(snapshot(bss!.bss_shape as never)).toMatchObject({ corners: [{}, { x: 77 }, {}] });
      data!.data_u64 = 1n;
      expect(data!.data_u64).toBe(1n);
      expect(() => atomic(data!, "data_u64").add(1n)).toThrow(/cannot share the memory of maps/);
      expect(() => {
        rodata!.ro_u64 = 1n;
      }).toThrow(/read-only once the object is loaded/);
    } finally {
      pretend("array_mmap", before);
      skeleton.close();
    }
  });
});
