// The watcher on Node's event loop: with eventfds, with a BPF ring buffer, and at the edges where libuv's poll handle
// aborts or crashes (in processes of their own).

import { afterEach, describe, expect, it } from "vitest";
import { StateError } from "../../src/errors.js";
import { FdWatcher } from "../../src/events/watcher.js";
import { eventFd, FileDescriptor, mapCreate, progLoad, progTestRun, readFd, writeFd } from "../../src/syscall/index.js";
import { kernelDescribe } from "../support/needs.js";
import { runModule } from "../syscall/process.js";
import { emitting, MapType } from "../syscall/programs.js";

const open: Disposable[] = [];
const keep = <T extends Disposable>(it: T): T => {
  open.push(it);
  return it;
};
afterEach(() => {
  for (const each of open.splice(0).reverse()) each[Symbol.dispose]();
});

const one = new Uint8Array(new BigUint64Array([1n]).buffer);
const event = () => keep(new FileDescriptor(eventFd(), "event"));
const ring = (fd: FileDescriptor) => writeFd(fd.number, one);
const drain = (fd: FileDescriptor) => readFd(fd.number, new Uint8Array(8));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (done: () => boolean) => {
  for (const end = Date.now() + 20_000; !done() && Date.now() < end; ) await pause(1);
};

describe("FdWatcher", () => {
  it("calls back while something is readable, from the loop", async () => {
    const fd = event();
    let calls = 0;
    const watcher = keep(
      new FdWatcher({
        onReady: () => {
          calls++;
          drain(fd);
        },
      }),
    );
    watcher.add(fd);
    watcher.start();
    watcher.start();
    ring(fd);
    expect(calls).toBe(0);
    await until(() => calls > 0);
    await pause(20);
    expect(calls).toBe(1);
    ring(fd);
    await until(() => calls > 1);
    expect(calls).toBe(2);
  });

  it("is level-triggered: what is not drained is reported again", async () => {
    const fd = event();
    let calls = 0;
    const watcher = keep(
      new FdWatcher({
        onReady: () => {
          if (++calls === 3) watcher.stop();
        },
      }),
    );
    watcher.add(fd);
    watcher.start();
    ring(fd);
    await until(() => calls >= 3);
    await pause(20);
    expect(calls).toBe(3);
  });

  it("stops and starts", async () => {
    const fd = event();
    let calls = 0;
    const onReady = () => {
      calls++;
      drain(fd);
    };
    const watcher = keep(new FdWatcher({ onReady }));
    watcher.add(fd);
    watcher.stop();
    for (let round = 1; round <= 3; round++) {
      watcher.start();
      ring(fd);
      await until(() => calls === round);
      watcher.stop();
      expect(calls).toBe(round);
    }
    ring(fd);
    await pause(20);
    expect(calls).toBe(3);
  });

  it("waits without the loop, and tells what is ready", () => {
    const [first, second] = [event(), event()];
    const watcher = keep(new FdWatcher({ onReady: () => expect.fail("not started") }));
    watcher.add(first, 11);
    watcher.add(second, 22);
    expect(watcher.wait(0)).toBe(0);
    ring(second);
    expect([watcher.wait(1000), watcher.ready(0)]).toEqual([1, [22]]);
    watcher.remove(second);
    expect(watcher.wait(0)).toBe(0);
  });

  it("watches one descriptor twice, by two watchers", async () => {
    const fd = event();
    let calls = 0;
    for (let index = 0; index < 2; index++) {
      const watcher = keep(
        new FdWatcher({
          onReady: () => {
            calls++;
            watcher.stop();
          },
        }),
      );
      watcher.add(fd);
      watcher.start();
    }
    ring(fd);
    await until(() => calls === 2);
    expect(calls).toBe(2);
  });

  it("closes once, inside its callback too, and refuses use afterwards", async () => {
    const fd = event();
    let calls = 0;
    const watcher = new FdWatcher({
      onReady: () => {
        calls++;
        watcher.close();
      },
    });
    watcher.add(fd);
    watcher.start();
    ring(fd);
    await until(() => calls > 0);
    await pause(20);
    expect([calls, watcher.closed]).toEqual([1, true]);
    watcher.close();
    watcher.ref();
    watcher.unref();
    watcher.stop();
    expect(() => watcher.start()).toThrow(StateError);
    expect(() => watcher.wait(0)).toThrow(StateError);
    expect(() => watcher.add(fd)).toThrow(StateError);
  });

  it("closes when a signal aborts", () => {
    const controller = new AbortController();
    const watcher = keep(new FdWatcher({ onReady: () => {}, signal: controller.signal }));
    watcher.start();
    expect(watcher.closed).toBe(false);
    controller.abort();
    expect(watcher.closed).toBe(true);
    expect(new FdWatcher({ onReady: () => {}, signal: controller.signal }).closed).toBe(true);
  });

  it("refuses bad descriptors with an errno", () => {
    const watcher = keep(new FdWatcher({ onReady: () => {} }));
    expect(() => watcher.add(0x7fff_fff0)).toThrow(/EBADF/);
    const file = new FileDescriptor(eventFd(), "event");
    file.close();
    expect(() => watcher.add(file)).toThrow(StateError);
  });
});

const prelude = `
  import { eventFd, writeFd, readFd } from "./src/syscall/index.ts";
  import { FdWatcher } from "./src/events/watcher.ts";
  const one = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);
  const fd = eventFd();
`;
const clean = { status: 0, signal: null };

describe("FdWatcher and the end of the process", () => {
  it("turns an exception of the handler into an uncaught one, and goes on", () => {
    const { output, status } = runModule(`${prelude}
      process.on("uncaughtException", (error) => console.log("caught", error.message));
      let calls = 0;
      const watcher = new FdWatcher({ onReady: () => {
        readFd(fd, new Uint8Array(8));
        if (++calls === 1) { setTimeout(() => writeFd(fd, one), 5); throw new Error("mine"); }
        console.log("called again");
        watcher.close();
      } });
      watcher.add(fd);
      watcher.start();
      writeFd(fd, one);
    `);
    expect(output).toContain("caught mine");
    expect(output).toContain("called again");
    expect(status).toBe(0);
  });

  it("ends with status 1 when nobody catches it", () => {
    const { output, status, signal } = runModule(`${prelude}
      const watcher = new FdWatcher({ onReady: () => { throw new Error("mine"); } });
      watcher.add(fd);
      watcher.start();
      writeFd(fd, one);
    `);
    expect(output).toContain("mine");
    expect([status, signal]).toEqual([1, null]);
  });

  it("runs promise jobs made in the callback before whatever happens next", () => {
    // In a quiet process: in vitest's own there is always something that runs them.
    const { output, status } = runModule(`${prelude}
      const watcher = new FdWatcher({ onReady: () => {
        readFd(fd, new Uint8Array(8));
        console.log("callback");
        Promise.resolve().then(() => console.log("job"));
      } });
      watcher.add(fd);
      watcher.start();
      await new Promise((resolve) => setTimeout(resolve, 50));
      setTimeout(() => { console.log("timer"); watcher.close(); }, 1000);
      writeFd(fd, one);
    `);
    expect(output).toBe("callback\njob\ntimer\n");
    expect(status).toBe(0);
  });

  it.each([
    ["process.exit() with a started watcher", "watcher.start(); setTimeout(() => process.exit(0), 20);"],
    ["process.exit() in the callback", "watcher.start(); writeFd(fd, one);"],
    ["a natural end with an unreferenced watcher", "watcher.unref(); watcher.start();"],
    ["a natural end, unreferenced after the start", "watcher.start(); watcher.ref(); watcher.unref();"],
    ["a natural end with a stopped watcher", "watcher.start(); watcher.stop();"],
    ["a natural end with a watcher that was never started", ""],
    ["an end after close", "watcher.start(); setTimeout(() => watcher.close(), 20);"],
  ])("survives %s", (_, body) => {
    const { status, signal, output } = runModule(`${prelude}
      const watcher = new FdWatcher({ onReady: () => process.exit(0) });
      // Referred to until the end: a collection before it would print the warning about things left open.
      globalThis.kept = [watcher, fd];
      watcher.add(fd);
      ${body}
    `);
    expect({ status, signal, output }).toEqual({ ...clean, output: "" });
  });

  it("stays alive when nobody refers to it, and is collected when stopped", () => {
    const { output, status, signal } = runModule(
      `${prelude}
      (() => {
        const watcher = new FdWatcher({ onReady: () => { console.log("still there"); watcher.close(); } });
        watcher.add(fd);
        watcher.start();
        for (let i = 0; i < 20; i++) { const other = new FdWatcher({ onReady() {} }); other.start(); other.stop(); }
      })();
      for (let i = 0; i < 10; i++) { gc(); new Array(100000).fill(i); await new Promise((r) => setTimeout(r, 5)); }
      writeFd(fd, one);
    `,
      ["--expose-gc"],
    );
    expect(output).toContain("still there");
    expect(output).toContain("epoll set");
    expect({ status, signal }).toEqual(clean);
  });

  it("refuses worker threads, where a handle would take the process down", () => {
    const { output, status, signal } = runModule(`${prelude}
      import { Worker } from "node:worker_threads";
      const root = new URL("./src/", "file://" + process.cwd() + "/");
      const source = \`
        import("tsx/esm/api").then(async ({ register }) => {
          register();
          const { FdWatcher } = await import("\${root}events/watcher.ts");
          const watcher = new FdWatcher({ onReady() {} });
          try { watcher.start(); } catch (error) { console.log(error.name, error.message); }
          console.log("waited", watcher.wait(0));
        });
      \`;
      new Worker(source, { eval: true }).on("exit", (code) => console.log("exit", code));
    `);
    expect(output).toContain("UnsupportedError events cannot be awaited on a worker thread");
    expect(output).toContain("waited 0");
    expect(output).toContain("exit 0");
    expect({ status, signal }).toEqual(clean);
  });

  it("falls back to a timer where the runtime has no poll handle", () => {
    const { output, status } = runModule(`${prelude}
      import { createRequire } from "node:module";
      createRequire(process.cwd() + "/x.js")("koffi").node.poll = undefined;
      let calls = 0;
      const watcher = new FdWatcher({ fallbackInterval: 2, onReady: () => {
        readFd(fd, new Uint8Array(8));
        console.log("call", ++calls);
        if (calls === 2) watcher.close(); else setTimeout(() => writeFd(fd, one), 20);
      } });
      watcher.add(fd);
      watcher.start();
      watcher.stop();
      watcher.start();
      writeFd(fd, one);
    `);
    expect(output.trim().split("\n")).toEqual(["call 1", "call 2"]);
    expect(status).toBe(0);
  });
});

kernelDescribe("FdWatcher on a ring buffer", { needs: ["ringbuf"] }, () => {
  it("wakes when a program emits", async () => {
    const ringMap = keep(mapCreate({ type: MapType.ringbuf, keySize: 0, valueSize: 0, maxEntries: 4096 }));
    const { fd } = progLoad({ type: 1, insns: emitting(ringMap.number, 5), license: "GPL" });
    const program = keep(fd as FileDescriptor);
    let calls = 0;
    const watcher = keep(
      new FdWatcher({
        onReady: () => {
          calls++;
          watcher.stop();
        },
      }),
    );
    watcher.add(ringMap, 3);
    watcher.start();
    await pause(10);
    expect([calls, watcher.wait(0)]).toEqual([0, 0]);
    progTestRun({ program, data: new Uint8Array(14) });
    await until(() => calls > 0);
    expect([calls, watcher.ready(0)]).toEqual([1, [3]]);
  });
});
