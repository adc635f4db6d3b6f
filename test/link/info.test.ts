// What the kernel tells of links, kind by kind, whoever made them: `link.info()`, and how `BpfLink.openById` shows it. Of
// iterators, control groups, network namespaces, XDP, netfilter and freplace the tests of these hooks look at it.

import { readFileSync, realpathSync } from "node:fs";
import { expect } from "vitest";
import { BinaryFunctions } from "../../src/elf/index.js";
import { BpfLink, type BpfObject, queryPrograms } from "../../src/index.js";
import { olderThan, withUserBinary } from "../../src/kernel/index.js";
import { AttachType } from "../../src/object/index.js";
import { getpgidFunction } from "../support/features/kernel-types.js";
import { only, withLoaded } from "../support/fixtures.js";
import { withLoopback } from "../support/loopback.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

/** Info without what differs from run to run, and the words for it of a link that somebody else made. */
function told(link: BpfLink): { info: object; target: string } {
  const { id, progId, ...info } = link.info();
  expect([id > 0, progId > 0]).toEqual([true, true]);
  using again = BpfLink.openById(id);
  expect(again.info()).toEqual(link.info());
  return { info, target: again.target };
}

/** Cookies are told since Linux 6.9. */
const cookie = 0xfedc_ba98_7654_3210n;
const toldCookie = olderThan("6.9") ? 0n : cookie;

kernelDescribe("link.info()", { needs: ["array_mmap"] }, () => {
  const libc = realpathSync(/\S*\/libc\.so\.6$/m.exec(readFileSync("/proc/self/maps", "latin1"))?.[0] ?? "/");
  const offset = (name: string): number =>
    withUserBinary(libc, ({ source }) => new BinaryFunctions(source).find([name])[0]!);

  /** Before Linux 6.6 the kernel does not describe perf events. */
  const expectEvent = (link: BpfLink, event: object, target: string): void => {
    const unknown = { event: { kind: "unknown" }, target: "a perf event" };
    const expected = olderThan("6.6") ? unknown : { event, target };
    expect(told(link)).toEqual({
      info: { type: 7, kind: "perf_event", event: expected.event },
      target: expected.target,
    });
  };

  kernelIt("of uprobes and uretprobes", { needs: ["uprobe", "perf_link", "bpf_cookie"] }, async () => {
    await withLoaded("uprobes", only("on_entry_cookie", "on_return"), (obj) => {
      const place = { binary: libc, symbol: "getppid", pid: process.pid };
      const entry = obj.program("on_entry_cookie").attachUprobe({ ...place, cookie });
      const at = offset("getppid");
      const shown = `${libc}+0x${at.toString(16)}`;
      expectEvent(
        entry,
        { kind: "uprobe", path: libc, offset: at, cookie: toldCookie, refCtrOffset: 0n },
        `uprobe ${shown}`,
      );
      const ret = obj.program("on_return").attachUprobe({ ...place, return: true });
      expectEvent(
        ret,
        { kind: "uretprobe", path: libc, offset: at, cookie: 0n, refCtrOffset: 0n },
        `uretprobe ${shown}`,
      );
    });
  });

  kernelIt("of tracepoints and perf events", { needs: ["tracepoint", "perf_link", "bpf_cookie"] }, async () => {
    await withLoaded(
      "minimal",
      () => {},
      (obj) => {
        const [program] = obj.programs;
        const link = program!.attachTracepoint("raw_syscalls", "sys_enter", { cookie });
        expectEvent(link, { kind: "tracepoint", name: "sys_enter", cookie: toldCookie }, "tracepoint sys_enter");
      },
    );
    await withLoaded("hooks", onlyHooks("on_sample"), (obj) => {
      const spec = { event: "page-faults", period: 1_000_000_000, pid: 0 } as const;
      const link = obj.program("on_sample").attachPerfEvent(spec, { cookie });
      const event = { kind: "event", type: 1, config: 2n, cookie: toldCookie };
      expectEvent(link, event, "perf event of type 1, config 0x2");
    });
  });

  kernelIt("of kprobes and kretprobes", { needs: ["kprobe", "kretprobe", "perf_link", "bpf_cookie"] }, async () => {
    await withLoaded("kprobes", only("on_entry_cookie", "on_return"), (obj) => {
      const common = { symbol: getpgidFunction, offset: 0, address: expect.any(BigInt), missed: 0n };
      const entry = obj.program("on_entry_cookie").attachKprobe(getpgidFunction, { cookie });
      expectEvent(entry, { kind: "kprobe", ...common, cookie: toldCookie }, `kprobe ${getpgidFunction}`);
      const ret = obj.program("on_return").attachKprobe(getpgidFunction, { return: true });
      expectEvent(ret, { kind: "kretprobe", ...common, cookie: 0n }, `kretprobe ${getpgidFunction}`);
    });
  });

  kernelIt("of probes on many kernel functions", { needs: ["kprobe_multi"] }, async () => {
    await withLoaded("kprobes", only("on_many", "on_many_returns"), (obj) => {
      const names = [getpgidFunction, getpgidFunction.replace("getpgid", "getsid")];
      const link = obj.program("on_many").attachKprobeMulti(names, { cookies: [5n, 6n] });
      const ret = obj.program("on_many_returns").attachKprobeMulti(names, { return: true });
      // Linux 6.6 was the first to tell, and 6.9 told the cookies, too.
      const count = olderThan("6.6") ? 0 : 2;
      const { info, target } = told(link) as unknown as { info: Record<string, unknown>; target: string };
      expect(info).toMatchObject({ type: 8, kind: "kprobe_multi", flags: 0, missed: 0n });
      expect(target).toBe(`${count} kernel functions`);
      expect((info.addresses as BigUint64Array).length).toBe(count);
      const cookies = [...(info.cookies as BigUint64Array)].sort();
      expect(cookies).toEqual(count === 0 ? [] : olderThan("6.9") ? [0n, 0n] : [5n, 6n]);
      expect(told(ret).info).toMatchObject({ kind: "kprobe_multi", flags: olderThan("6.6") ? 0 : 1 });
    });
  });

  kernelIt("of probes on many places of a user program", { needs: ["uprobe_multi"] }, async () => {
    await withLoaded("uprobes", only("on_many"), (obj) => {
      const places = { binary: libc, symbols: ["getppid", "kill"], cookies: [5n, 6n], pid: process.pid };
      const { info, target } = told(obj.program("on_many").attachUprobeMulti(places));
      // Linux 6.8 was the first to tell.
      const isTold = !olderThan("6.8");
      expect(info).toEqual({
        type: 12,
        kind: "uprobe_multi",
        path: isTold ? libc : "",
        offsets: BigUint64Array.from(isTold ? places.symbols.map((name) => BigInt(offset(name))) : []),
        refCtrOffsets: BigUint64Array.from(isTold ? [0n, 0n] : []),
        cookies: BigUint64Array.from(isTold ? [5n, 6n] : []),
        flags: 0,
        pid: isTold ? process.pid : 0,
      });
      expect(target).toBe(isTold ? `2 places of ${libc}` : "0 places of ");
    });
  });

  kernelIt("of tcx", { needs: ["netns", "tcx"] }, async () => {
    await withLoaded("hooks", onlyHooks("on_ingress"), (obj) =>
      withLoopback(() => {
        const link = obj.program("on_ingress").attachTcx("lo");
        const info = { type: 11, kind: "tcx", ifindex: 1, attachType: AttachType.tcx_ingress };
        expect(told(link)).toEqual({ info, target: "tcx_ingress of interface 1" });
        link.detach();
        expect(link.info()).toMatchObject({ kind: "tcx", ifindex: 0 });
      }),
    );
  });

  kernelIt("of sockmaps, and who is attached to them", { needs: ["netns", "sockmap"] }, async () => {
    await withLoaded("hooks", onlyHooks("on_stream", "on_message"), async (obj) => {
      const sockets = obj.map("sockets");
      const link = obj.program("on_message").attachSockmap(sockets);
      if (!olderThan("6.10")) {
        const { id } = sockets.info();
        const info = { type: 14, kind: "sockmap", mapId: id, attachType: AttachType.sk_msg_verdict };
        expect(told(link)).toEqual({ info, target: `sk_msg_verdict of map ${id}` });
      }
      if (olderThan("6.0")) return;
      const ask = () => queryPrograms({ map: sockets, hook: "sk_msg_verdict" }).programs;
      expect(ask()).toMatchObject([{ id: obj.program("on_message").info().id, name: "on_message" }]);
      expect(queryPrograms({ map: sockets, hook: "sk_skb_stream_verdict" }).programs).toEqual([]);
      link.close();
      expect(ask()).toEqual([]);
    });
  });
});

/** These programs of the fixture of hooks, and the map of sockets for those that need it. */
function onlyHooks(...names: string[]): (obj: BpfObject) => void {
  return (obj) => {
    only(...names)(obj);
    obj.map("sockets").autocreate = names.includes("on_message");
  };
}
