// Every offset and size of our layout tables against what a C compiler says. uapi-layout.json holds offsetof and sizeof
// of each member, printed by a C program compiled with the newest linux/bpf.h and linux/perf_event.h (Linux 7.x, x86-64;
// the structures are the same on all 64-bit little-endian machines). Member "" is the whole structure.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Layout } from "../../src/syscall/attr.js";
import * as attrs from "../../src/syscall/attr-layout.js";
import * as infos from "../../src/syscall/info-layout.js";
import { perfEventLayout } from "../../src/syscall/perf.js";

type Members = Record<string, [offset: number, size: number]>;
const truth = JSON.parse(readFileSync(new URL("uapi-layout.json", import.meta.url), "utf8")) as Record<string, Members>;

interface Row {
  readonly layout: Layout;
  /** Which structure of the file. */
  readonly of: "attr" | "map" | "prog" | "btf" | "link" | "perf";
  /** Member that contains the fields, if they are not looked up directly. */
  readonly inside?: string;
  /** A member of that one which contains the fields that `inside` has not. */
  readonly family?: string;
  /** Our names that differ from C's. */
  readonly renamed?: Record<string, string>;
}

const link = attrs.linkCreateLayouts;
const info = infos.linkInfoLayouts;

const rows: Record<string, Row> = {
  mapCreate: { layout: attrs.mapCreateLayout, of: "attr" },
  mapElement: { layout: attrs.mapElementLayout, of: "attr" },
  mapBatch: { layout: attrs.mapBatchLayout, of: "attr", inside: "batch" },
  progLoad: { layout: attrs.progLoadLayout, of: "attr" },
  objectPath: { layout: attrs.objectPathLayout, of: "attr" },
  progAttach: { layout: attrs.progAttachLayout, of: "attr" },
  testRun: { layout: attrs.testRunLayout, of: "attr", inside: "test" },
  id: { layout: attrs.idLayout, of: "attr" },
  info: { layout: attrs.infoLayout, of: "attr", inside: "info" },
  progQuery: {
    layout: attrs.progQueryLayout,
    of: "attr",
    inside: "query",
    renamed: { target_ifindex: "query.target_fd" },
  },
  rawTracepoint: { layout: attrs.rawTracepointLayout, of: "attr", inside: "raw_tracepoint" },
  btfLoad: { layout: attrs.btfLoadLayout, of: "attr" },
  taskFdQuery: { layout: attrs.taskFdQueryLayout, of: "attr", inside: "task_fd_query" },
  linkUpdate: { layout: attrs.linkUpdateLayout, of: "attr", inside: "link_update" },
  linkDetach: { layout: attrs.linkDetachLayout, of: "attr", inside: "link_detach" },
  enableStats: { layout: attrs.enableStatsLayout, of: "attr", inside: "enable_stats" },
  iterCreate: { layout: attrs.iterCreateLayout, of: "attr", inside: "iter_create" },
  progBindMap: { layout: attrs.progBindMapLayout, of: "attr", inside: "prog_bind_map" },
  progAssocStructOps: { layout: attrs.progAssocStructOpsLayout, of: "attr", inside: "prog_assoc_struct_ops" },
  streamRead: { layout: attrs.streamReadLayout, of: "attr", inside: "prog_stream_read" },
  tokenCreate: { layout: attrs.tokenCreateLayout, of: "attr", inside: "token_create" },

  "link plain": linkRow(link.plain),
  "link iter": linkRow(link.iter),
  "link perf_event": linkRow(link.perf_event, "perf_event"),
  "link kprobe_multi": linkRow(link.kprobe_multi, "kprobe_multi", { kprobe_flags: "link_create.kprobe_multi.flags" }),
  "link uprobe_multi": linkRow(link.uprobe_multi, "uprobe_multi", { uprobe_flags: "link_create.uprobe_multi.flags" }),
  "link tracing": linkRow(link.tracing, "tracing"),
  "link netfilter": linkRow(link.netfilter, "netfilter", { netfilter_flags: "link_create.netfilter.flags" }),
  "link tcx": linkRow(link.anchor, "tcx", { relative_id: "link_create.tcx.relative_fd" }),
  "link netkit": linkRow(link.anchor, "netkit", { relative_id: "link_create.netkit.relative_fd" }),
  "link cgroup": linkRow(link.anchor, "cgroup", { relative_id: "link_create.cgroup.relative_fd" }),
  "link tracing_multi": linkRow(link.tracing_multi, "tracing_multi"),

  mapInfo: { layout: infos.mapInfoLayout, of: "map" },
  progInfo: { layout: infos.progInfoLayout, of: "prog" },
  btfInfo: { layout: infos.btfInfoLayout, of: "btf" },
  "info plain": { layout: info.plain, of: "link" },
  "info raw_tracepoint": { layout: info.raw_tracepoint, of: "link", family: "raw_tracepoint" },
  "info tracing": { layout: info.tracing, of: "link", family: "tracing" },
  "info cgroup": { layout: info.cgroup, of: "link", family: "cgroup" },
  "info iter": {
    layout: info.iter,
    of: "link",
    family: "iter",
    renamed: {
      map_id: "iter.map.map_id",
      cgroup_id: "iter.cgroup.cgroup_id",
      order: "iter.cgroup.order",
      tid: "iter.task.tid",
      pid: "iter.task.pid",
    },
  },
  "info netns": { layout: info.netns, of: "link", family: "netns" },
  "info xdp": { layout: info.interface, of: "link", family: "xdp", renamed: { attach_type: "tcx.attach_type" } },
  "info tcx": { layout: info.interface, of: "link", family: "tcx" },
  "info netkit": { layout: info.interface, of: "link", family: "netkit" },
  "info struct_ops": {
    layout: info.map,
    of: "link",
    family: "struct_ops",
    renamed: { attach_type: "sockmap.attach_type" },
  },
  "info sockmap": { layout: info.map, of: "link", family: "sockmap" },
  "info netfilter": { layout: info.netfilter, of: "link", family: "netfilter" },
  "info kprobe_multi": { layout: info.kprobe_multi, of: "link", family: "kprobe_multi" },
  // Linux 7.3: as its own type information says.
  "info tracing_multi": { layout: info.tracing_multi, of: "link", family: "tracing_multi" },
  "info uprobe_multi": { layout: info.uprobe_multi, of: "link", family: "uprobe_multi" },
  "info perf_event": eventRow(info.perf_event),
  "info uprobe": eventRow(info.uprobe, "perf_event.uprobe"),
  "info kprobe": eventRow(info.kprobe, "perf_event.kprobe"),
  "info tracepoint": eventRow(info.tracepoint, "perf_event.tracepoint"),
  "info event": eventRow(info.event, "perf_event.event", { perf_type: "perf_event.event.type" }),

  perfEvent: { layout: perfEventLayout, of: "perf" },
};

function linkRow(layout: Layout, family?: string, renamed: Record<string, string> = {}): Row {
  return {
    layout,
    of: "attr",
    inside: "link_create",
    ...(family === undefined ? {} : { family: `link_create.${family}` }),
    renamed: { target_ifindex: "link_create.target_fd", flags: "link_create.flags", ...renamed },
  };
}

function eventRow(layout: Layout, family?: string, renamed: Record<string, string> = {}): Row {
  return {
    layout,
    of: "link",
    ...(family === undefined ? {} : { family }),
    renamed: { type: "type", event_type: "perf_event.type", ...renamed },
  };
}

/** Bytes of each kind of field. */
const sizes: Record<string, number> = { u32: 4, s32: 4, fd: 4, u64: 8, pointer: 8, name: 16 };

/** Members that C cannot name: bit fields. */
const bitFields = new Set(["progInfo.bits", "perfEvent.bits"]);

/** Structures that we pass only the first part of, on purpose. */
const shorter = new Set(["perfEvent"]);

describe("layouts of kernel structures", () => {
  for (const [name, row] of Object.entries(rows)) {
    it(name, () => {
      const { layout, of, inside, family, renamed = {} } = row;
      const members = truth[of] as Members;
      let end = 0;
      for (const [field, [kind, offset]] of Object.entries(layout.fields)) {
        if (bitFields.has(`${name}.${field}`)) continue;
        const candidates = [
          renamed[field],
          ...(family === undefined ? [] : [`${family}.${field}`]),
          inside === undefined ? field : `${inside}.${field}`,
        ];
        const member = candidates.find((candidate) => candidate !== undefined && candidate in members);
        expect(member, `${field} exists in C`).toBeDefined();
        expect([field, offset, sizes[kind]]).toEqual([field, ...(members[member as string] as [number, number])]);
        end = Math.max(end, offset + (sizes[kind] as number));
      }
      const whole = members[inside ?? ""];
      if (shorter.has(name)) expect(layout.size).toBeGreaterThanOrEqual(end);
      else expect(layout.size).toBe(whole?.[1] ?? end);
    });
  }

  it("covers every layout", () => {
    const covered = new Set<Layout>(Object.values(rows).map((row) => row.layout));
    // Held against the kernel's own type information in test/loader/map-log.test.ts.
    covered.add(attrs.commonAttrLayout);
    const all: Layout[] = [...Object.values(link), ...Object.values(info)];
    for (const value of [...Object.values(attrs), ...Object.values(infos)]) {
      if ("size" in value && "fields" in value) all.push(value as Layout);
    }
    expect(all.filter((layout) => !covered.has(layout))).toEqual([]);
    expect(all.length).toBeGreaterThan(40);
  });
});
