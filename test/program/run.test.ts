// Programs run by a call, counted, and listened to.

import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { ArgumentError, BpfObject, countRuns, StateError, UnsupportedError } from "../../src/index.js";
import { olderThan } from "../../src/kernel/index.js";
import { eventually, fixturePath, only, openDescriptors, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";

/** A packet of this many bytes, each its index. */
const packet = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index);

kernelDescribe("prog.testRun", { needs: ["array_mmap"] }, () => {
  kernelIt("XDP: packet in and out, result, repeat, time", { needs: ["bpf"] }, async () => {
    await withLoaded("runs", only("change_packet"), (obj) => {
      const program = obj.program("change_packet");
      const data = packet(60);
      const once = program.testRun({ data });
      expect(once.returnValue).toBe(60);
      expect(once.data).toEqual(Uint8Array.from([255, ...packet(60).subarray(1), 0, 0, 0, 0]));
      expect(data).toEqual(packet(60));
      expect(obj.bss.runs).toBe(1n);

      const often = program.testRun({ data, repeat: 5 });
      expect(obj.bss.runs).toBe(6n);
      // The packet grows from run to run, where the kernel does not begin anew.
      expect([60, 76]).toContain(often.returnValue);
      expect(often.duration).toBeGreaterThan(0);
      expect(() => program.testRun({ data, dataOutSize: 20 })).toThrow(/ENOSPC.*dataOutSize/s);
    });
  });

  kernelIt("tc: context in and out", { needs: ["bpf"] }, async () => {
    await withLoaded("runs", only("change_mark"), (obj) => {
      // struct __sk_buff: len, pkt_type, mark
      const context = new Uint8Array(192);
      new DataView(context.buffer).setUint32(8, 21, true);
      const result = obj.program("change_mark").testRun({ data: packet(64), context });
      expect(result.returnValue).toBe(0xffff_ffff);
      expect(new DataView(result.context.buffer).getUint32(8, true)).toBe(42);
      expect(new DataView(context.buffer).getUint32(8, true)).toBe(21);
      expect(result.data).toEqual(packet(64));
      expect(obj.program("change_mark").testRun({ data: packet(64) }).context).toHaveLength(0);
    });
  });

  kernelIt("syscall: the context comes back, the caller's stays", { needs: ["syscall_program"] }, async () => {
    await withLoaded("runs", only("add_up"), (obj) => {
      const request = new Uint32Array([2, 40, 0]);
      const context = new Uint8Array(request.buffer);
      const result = obj.program("add_up").testRun({ context });
      expect(result.returnValue).toBe(3);
      expect(new Uint32Array(result.context.buffer)).toEqual(new Uint32Array([2, 40, 42]));
      expect(request[2]).toBe(0);
    });
  });

  kernelIt("raw tracepoint: arguments, on a CPU", { needs: ["raw_tracepoint"] }, async () => {
    await withLoaded("runs", only("note_argument"), (obj) => {
      const context = new Uint8Array(new BigUint64Array([1n, 4711n]).buffer);
      const program = obj.program("note_argument");
      expect(program.testRun({ context, cpu: 0 }).returnValue).toBe(5);
      expect(obj.bss).toMatchObject({ last_argument: 4711n, last_cpu: 0n });
      expect(() => program.testRun({ context, cpu: 100_000 })).toThrow("the CPU is offline");
    });
  });

  kernelIt("on another thread: the event loop goes on, and the program may be closed", { needs: ["bpf"] }, async () => {
    const before = openDescriptors();
    await withLoaded("runs", only("change_mark"), async (obj) => {
      const program = obj.program("change_mark");
      const data = packet(64);
      let ticks = 0;
      const timer = setInterval(() => ticks++, 5);
      try {
        // Longer and longer, until timers tick during one call: were the loop held, they never would. How long a run takes
        // cannot be measured beforehand on a machine that does other things.
        let repeat = 1 << 12;
        for (; ticks <= 5 && repeat < 1 << 27; repeat *= 2) {
          ticks = 0;
          await program.testRunAsync({ data, repeat });
        }
        expect(ticks).toBeGreaterThan(5);
        const running = program.testRunAsync({ data, repeat });
        // What is run was settled by the call.
        data.fill(0);
        program.unload();
        const result = await running;
        expect(result.data).toEqual(packet(64));
        expect(result.returnValue).toBe(0xffff_ffff);
        expect(result.duration).toBeGreaterThan(0);
      } finally {
        clearInterval(timer);
      }
    });
    expect(openDescriptors()).toBe(before);
  });

  kernelIt("on another thread: many at once, and errors as in place", { needs: ["syscall_program"] }, async () => {
    await withLoaded("runs", only("add_up"), async (obj) => {
      const program = obj.program("add_up");
      const sums = Array.from({ length: 20 }, async (_, i) => {
        const context = new Uint8Array(new Uint32Array([i, 100, 0]).buffer);
        return new Uint32Array((await program.testRunAsync({ context })).context.buffer)[2];
      });
      expect(await Promise.all(sums)).toEqual(Array.from({ length: 20 }, (_, i) => 100 + i));
      await expect(program.testRunAsync({ repeat: -1 })).rejects.toThrow(ArgumentError);
      await expect(program.testRunAsync({ liveFrames: true })).rejects.toThrow("liveFrames is for XDP programs");
      await expect(program.testRunAsync({ data: packet(64) })).rejects.toThrow(/program add_up.*EINVAL/s);
      await expect(obj.program("change_packet").testRunAsync()).rejects.toThrow(StateError);
    });
  });

  kernelIt("what cannot be run is explained", { needs: ["bpf"] }, async () => {
    await withLoaded("runs", only("change_packet", "cannot_be_run"), (obj) => {
      const other = obj.program("cannot_be_run");
      expect(() => other.testRun()).toThrow(UnsupportedError);
      expect(() => other.testRun()).toThrow("programs of type tracepoint cannot be run by a call");
      const program = obj.program("change_packet");
      // Linux 5.10 runs programs on less than an Ethernet header, too.
      if (!olderThan("6.0")) {
        expect(() => program.testRun({ data: packet(3) })).toThrow(/EINVAL.*at least 14 bytes/s);
      }
      expect(() => program.testRun({ data: packet(64), repeat: -1 })).toThrow(ArgumentError);
      expect(() => program.testRun({ data: packet(64), liveFrames: true, dataOutSize: 5 })).toThrow("gives no packets");
      expect(() => obj.program("add_up").testRun()).toThrow(StateError);
    });
    const closed = BpfObject.open(fixturePath("runs"));
    closed.close();
    expect(() => closed.program("change_packet").testRun()).toThrow(StateError);
  });
});

kernelDescribe("what is seen of a program", { needs: ["array_mmap"] }, () => {
  kernelIt("info and statistics", { needs: ["bpf"] }, async () => {
    await withLoaded("runs", only("change_packet"), (obj) => {
      const program = obj.program("change_packet");
      expect(program.info()).toMatchObject({ name: "change_packet", type: 6, mapIds: expect.any(Uint32Array) });
      expect(program.info({ xlated: true }).xlated?.length).toBe(program.info().xlatedLength);
      {
        using _on = countRuns();
        const before = program.stats();
        program.testRun({ data: packet(60), repeat: 7 });
        const after = program.stats();
        expect(after.runCount - before.runCount).toBe(7n);
        expect(after.runTime).toBeGreaterThan(before.runTime);
        expect(after.recursionMisses).toBe(0n);
      }
    });
  });

  kernelIt("streams", { needs: ["program_streams"] }, async () => {
    await withLoaded("runs", only("write_streams"), async (obj) => {
      const program = obj.program("write_streams");
      expect(program.readStream("stdout")).toBe("");
      const context = new Uint8Array(new Uint32Array([17, 4, 0]).buffer);
      // A kernel that sets up its memory only when it is used (as the project's own machine) gives none to programs that
      // write: alloc_pages_nolock() refuses as long as pages are deferred. Then nothing may come out.
      const written = !readFileSync("/proc/cmdline", "utf8").includes("deferred_init=lazy");
      for (let i = 0; i < 2; i++) expect(program.testRun({ context }).returnValue | 0).toBe(written ? 0 : -12);
      expect(program.readStream("stdout")).toBe(written ? "left 17\nleft 17\n" : "");
      expect(program.readStream("stdout")).toBe("");
      expect(program.readStream("stderr")).toBe(written ? "right 4\nright 4\n" : "");
      expect(() => program.readStream("stdin" as "stdout")).toThrow("a stream is stdout or stderr");

      const stop = new AbortController();
      const pieces: string[] = [];
      const reading = (async () => {
        for await (const text of program.followStream("stdout", { interval: 2, signal: stop.signal }))
          pieces.push(text);
      })();
      let expected = "";
      for (let i = 0; i < 3; i++) {
        context[0] = i;
        program.testRun({ context });
        if (written) expected += `left ${i}\n`;
        await eventually(() => pieces.join("") === expected);
        await new Promise((done) => setTimeout(done, 5));
      }
      expect(pieces.join("")).toBe(expected);
      expect(pieces.length).toBe(written ? 3 : 0);
      stop.abort();
      await reading;

      // It ends with the program, and says at once what cannot be.
      const last = program.followStream("stderr", { interval: 1 });
      if (written) expect((await last.next()).value).toBe("right 4\n".repeat(3));
      const next = last.next();
      obj.close();
      expect(await next).toEqual({ value: undefined, done: true });
      await expect(program.followStream("stdout").next()).rejects.toThrow(StateError);
      await expect(program.followStream("stdout", { interval: 0 }).next()).rejects.toThrow(ArgumentError);
    });
  });
});
