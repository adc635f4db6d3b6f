// Iterators of every kind that kernels have had for long: what the test made is among the lines, and no program runs without
// being read.

import { statSync } from "node:fs";
import { expect } from "vitest";
import type { BpfObject, IterLink } from "../../src/index.js";
import { call, struct } from "../support/features/calls.js";
import type { FeatureName } from "../support/features.js";
import { only, withLoaded } from "../support/fixtures.js";
import { type Loopback, withLoopback } from "../support/loopback.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

const [AF_NETLINK, AF_UNIX, AF_INET, RAW, STREAM, DGRAM] = [16, 1, 2, 3, 1, 2];

/** The port of a socket of family INET, or of family NETLINK. */
function portOf(socket: number, family = AF_INET): number {
  const name = new Uint8Array(16);
  call("getsockname", socket, name, struct(4, [[0, "u32", 16]]));
  const view = new DataView(name.buffer);
  return family === AF_INET ? view.getUint16(2) : view.getUint32(4, true);
}

interface Kind {
  readonly program: string;
  readonly needs?: readonly FeatureName[];
  /** A map of the fixture that the iterator is about. */
  readonly map?: string;
  /** Makes something; the line that it has to have. */
  readonly make: (obj: BpfObject, network: Loopback, link: IterLink) => number | string | RegExp;
}

const kinds: readonly (readonly [target: string, kind: Kind])[] = [
  ["bpf_map", { program: "maps", make: (obj) => obj.map(".bss").info().id }],
  ["bpf_prog", { program: "programs", make: (obj) => obj.program("programs").info().id }],
  ["bpf_link", { program: "links", needs: ["iter_link"], make: (_obj, _network, link) => link.info().id }],
  ["task_file", { program: "files", make: () => openDescriptor() }],
  ["task_vma", { program: "areas", needs: ["iter_task_vma"], make: () => /^[1-9]\d{6,}$/m }],
  ["tcp", { program: "tcp", make: (_, network) => portOf(listener(network)) }],
  ["udp", { program: "udp", make: (_, network) => network.datagramSocket().port }],
  [
    "netlink",
    {
      program: "netlink",
      make: (_, { own }) => {
        const socket = own(call("socket", AF_NETLINK, RAW, 0));
        call("bind", socket, struct(12, [[0, "u16", AF_NETLINK]]), 12);
        return portOf(socket, AF_NETLINK);
      },
    },
  ],
  [
    "unix",
    {
      program: "unix_sockets",
      needs: ["iter_unix"],
      make: (_, { own }) => {
        const socket = own(call("socket", AF_UNIX, STREAM, 0));
        call("bind", socket, Uint8Array.of(AF_UNIX, 0, 0, 98, 112, 102), 6);
        return 1;
      },
    },
  ],
  ["kmem_cache", { program: "caches", needs: ["iter_kmem_cache"], make: () => "task_struct" }],
  [
    "sockmap",
    {
      program: "map_sockets",
      needs: ["sockmap"],
      map: "sockets",
      make: (obj, network) => {
        const socket = listener(network);
        obj.map("sockets").set(7, BigInt(socket));
        return portOf(socket);
      },
    },
  ],
  [
    "bpf_sk_storage_map",
    {
      program: "stored",
      needs: ["sk_storage"],
      map: "notes",
      make: (obj, { own }) => {
        obj.map("notes").set(own(call("socket", AF_INET, DGRAM, 0)), 471_147);
        return 471_147;
      },
    },
  ],
];

function listener({ own }: Loopback): number {
  const socket = own(call("socket", AF_INET, STREAM, 0));
  call("bind", socket, struct(16, [[0, "u16", AF_INET]]), 16);
  call("listen", socket, 1);
  return socket;
}

/** A descriptor that this process has open. */
function openDescriptor(): number {
  for (let fd = 3; ; fd++) if (statSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false }) !== undefined) return fd;
}

kernelDescribe("iterators over", { needs: ["iter", "netns", "array_mmap"] }, () => {
  for (const [target, { program, needs = [], map, make }] of kinds) {
    kernelIt(target, { needs }, async () => {
      const edit = (obj: BpfObject): void => {
        only(program)(obj);
        for (const each of obj.maps) each.autocreate = each.isInternal || each.name === map;
      };
      await withLoaded("iterators_more", edit, (obj) =>
        withLoopback((network) => {
          const attached = obj.program(program).attachIter(map === undefined ? {} : { map: obj.map(map) });
          expect(attached.info()).toMatchObject({ kind: "iter", target });
          expect(obj.bss.runs).toBe(0n);
          const line = make(obj, network, attached);
          const text = attached.text();
          if (line instanceof RegExp) expect(text).toMatch(line);
          else expect(text.split("\n")).toContain(String(line));
          const { runs } = obj.bss;
          expect(runs).not.toBe(0n);
          attached.close();
          expect(() => attached.text()).toThrow("used after close()");
          expect(obj.bss.runs).toBe(runs);
        }),
      );
    });
  }
});
