// The examples that are tools: something happens, the example tells it.

import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { queryPrograms } from "../../src/index.js";
import { runInCgroup, withCgroup } from "../support/cgroup.js";
import { eventually } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";
import { scriptArguments } from "../support/script.js";
import { Example, withExample } from "./example.js";

const run = promisify(execFile);
const bash = (command: string): Promise<unknown> => run("/bin/bash", ["-c", command]).catch(() => undefined);

kernelDescribe("examples/execsnoop.ts", { needs: ["tp_btf", "ringbuf"] }, () => {
  it("tells programs with their arguments, ids and user", async () => {
    await withExample("execsnoop", [], async (example) => {
      const row = await example.until(
        ({ args }) => args === "/bin/true one two  three",
        () => run("/bin/true", ["one", "two ", "three"]),
      );
      expect(row).toMatchObject({ ppid: process.pid, uid: process.getuid?.(), comm: "true" });
      expect(row.pid).toBeGreaterThan(1);
    });
  });

  it("prints a table, and ends by itself", async () => {
    const example = new Example("execsnoop", ["--count", "1"]);
    try {
      await example.ready();
      await run("/bin/true");
      expect(await example.ended).toEqual({ status: 0, signal: null });
      const [header, line, ...more] = example.out.trimEnd().split("\n");
      expect(header).toMatch(/^ +PID +PPID +UID {2}COMM +ARGS$/);
      expect(line).toMatch(/^ *\d+ +\d+ +\d+ {2}\S/);
      expect(more).toEqual([]);
    } finally {
      example.kill();
    }
  });
});

kernelDescribe("the table of an example", { needs: ["tp_btf", "ringbuf"] }, () => {
  it("has a line a row, whatever names others choose", async () => {
    const example = new Example("execsnoop", []);
    try {
      await example.ready();
      await run("/bin/true", ["two\nlines \u001b[31m"]);
      expect(await eventually(() => example.out.includes("lines"))).toBe(true);
      expect(await example.interrupt()).toEqual({ status: 0, signal: null });
      expect(example.out).toMatch(/^ *\d+ +\d+ +\d+ {2}true +\/bin\/true two\\x0alines \\x1b\[31m$/m);
    } finally {
      example.kill();
    }
  });
});

kernelDescribe("examples/opensnoop.ts", { needs: ["tracepoint", "ringbuf"] }, () => {
  it("tells files that were opened, and why others were not", async () => {
    await withExample("opensnoop", [], async (example) => {
      // Files that nobody else opens.
      const folder = mkdtempSync(join(tmpdir(), "bpfkit-opens-"));
      try {
        const [there, missing] = [join(folder, "there"), join(folder, "missing")];
        const open = (): Promise<unknown> => bash(`exec 5<>${there} 6<${missing}`);
        const opened = await example.until(({ path }) => path === there, open);
        expect(opened).toMatchObject({ comm: "bash", mode: "rw", uid: process.getuid?.() });
        expect(opened.result).toBeGreaterThan(2);
        const failed = await example.until(({ path }) => path === missing, open);
        expect(failed).toMatchObject({ comm: "bash", mode: "r", result: "ENOENT" });
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  });

  it("leaves out what was not asked for", async () => {
    await withExample("opensnoop", ["--pid", String(process.pid), "--failed"], async (example) => {
      const open = (): void => {
        readFileSync("/proc/self/stat");
        expect(() => readFileSync("/bpfkit-no-such-file")).toThrow("ENOENT");
      };
      await example.until(({ path }) => path === "/bpfkit-no-such-file", open);
      for (const { pid, result } of example.rows()) {
        expect([pid, result]).toEqual([process.pid, expect.stringMatching(/^E/)]);
      }
    });
  });
});

kernelDescribe("examples/tcpconnect.ts", { needs: ["tp_btf", "ringbuf"] }, () => {
  it.each(["127.0.0.1", "::1"])("tells connections to %s that succeed and that fail", async (address) => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((done) => server.listen(0, address, done));
    const { port } = server.address() as { port: number };
    try {
      await withExample("tcpconnect", [], async (example) => {
        const connect = (to: number) => () => bash(`exec 5<>/dev/tcp/${address}/${to}`);
        const taken = await example.until((row) => row.port === port, connect(port));
        expect(taken).toMatchObject({ address, comm: "bash", outcome: "connected" });
        expect(taken.ms).toBeGreaterThan(0);
        // Nobody listens at this one.
        const refused = await example.until((row) => row.port === 9 && row.address === address, connect(9));
        expect(refused).toMatchObject({ comm: "bash", outcome: "failed" });
      });
    } finally {
      server.close();
    }
  });
});

kernelDescribe("examples/tcplife.ts", { needs: ["tp_btf", "ringbuf"] }, () => {
  it.each(["127.0.0.1", "::1"])("tells both ends of a connection over %s, with what they sent", async (address) => {
    const server = createServer((socket) => socket.on("error", () => undefined).end("12345678"));
    await new Promise<void>((done) => server.listen(0, address, done));
    const { port } = server.address() as { port: number };
    const place = `${address === "::1" ? "[::1]" : address}:${port}`;
    try {
      await withExample("tcplife", [], async (example) => {
        const talk = (): Promise<unknown> =>
          bash(`exec 5<>/dev/tcp/${address}/${port}; echo -n 123 >&5; read -t 5 -u 5`);
        const client = await example.until((row) => row.remote === place && row.received === 8, talk);
        expect(client).toMatchObject({ comm: "bash", sent: 3 });
        expect(client.ms).toBeGreaterThan(0);
        const served = await example.until((row) => row.local === place && row.received === 3, talk);
        expect(served).toMatchObject({ pid: process.pid, sent: 8 });
      });
    } finally {
      server.close();
    }
  });
});

kernelDescribe("examples/gethostlatency.ts", { needs: ["uprobe", "ringbuf"] }, () => {
  it("tells names that are looked up, with the time and the result", async () => {
    await withExample("gethostlatency", [], async (example) => {
      const lookUp = (name: string) => () => run("getent", ["ahosts", name]).catch(() => undefined);
      // Others may look for this machine, too, by other means.
      const found = await example.until(
        (row) => row.host === "localhost" && row.comm === "getent",
        lookUp("localhost"),
      );
      expect(found.result).toBe("found");
      expect(found.ms).toBeGreaterThan(0);
      // Numbers only: no name server is asked.
      const failed = await example.until(({ host }) => host === "256.1.2.", lookUp("256.1.2."));
      expect(failed.result).toBeLessThan(0);
    });
  });
});

/** An interpreter with probes, if there is one. */
const python = ["/usr/bin/python3", "/usr/bin/python3.11", "/usr/bin/python3.13"].find(
  (path) => spawnSync("grep", ["-q", "import__find__load__start", path]).status === 0,
);

kernelDescribe("examples/pyimports.ts", { needs: ["uprobe", "ringbuf"] }, () => {
  it.skipIf(python === undefined || process.arch !== "x64")("tells imports, those in others too", async () => {
    await withExample("pyimports", ["--python", python!], async (example) => {
      // Others may import it, too, in other modules.
      const own = new Set<unknown>();
      const importIt = (): Promise<unknown> => {
        const running = run(python!, ["-c", "import json"]);
        own.add(running.child.pid);
        return running;
      };
      const outer = await example.until((row) => row.module === "json" && own.has(row.pid), importIt);
      expect(outer).toMatchObject({ depth: 0, found: true });
      const inner = example.rows().find((row) => row.module === "  json.decoder" && row.pid === outer.pid);
      expect(inner).toMatchObject({ depth: 1, found: true });
      expect(outer.ms).toBeGreaterThan(inner?.ms as number);
    });
  });
});

kernelDescribe("examples/ps.ts", { needs: ["iter"] }, () => {
  it("lists processes as /proc has them", async () => {
    const sleep = spawn("sleep", ["60"]);
    const example = new Example("ps", ["--json"]);
    try {
      expect(await example.ended).toEqual({ status: 0, signal: null });
      const rows = example.rows();
      const of = (pid: number | undefined) => rows.find((row) => row.pid === pid);
      expect(of(sleep.pid)).toMatchObject({ ppid: process.pid, uid: process.getuid?.(), threads: 1, comm: "sleep" });
      const threads = Number(/^Threads:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
      expect(Math.abs((of(process.pid)?.threads as number) - threads)).toBeLessThan(5);
      expect(Math.abs((of(process.pid)?.seconds as number) - process.uptime())).toBeLessThan(60);
      expect(of(2), "a kernel thread").toBeUndefined();
    } finally {
      sleep.kill();
      example.kill();
    }
  });
});

kernelDescribe("examples/profile.ts", { needs: ["perf_event"] }, () => {
  /** The folded stacks of a process that does nothing but work, and is ended. */
  const stacksOf = async (worker: ChildProcess): Promise<string> => {
    const example = new Example("profile", ["--pid", String(worker.pid), "--duration", "2", "--frequency", "199"]);
    try {
      expect((await example.ended).status, example.err).toBe(0);
      return example.out;
    } finally {
      worker.kill();
      example.kill();
    }
  };

  it("finds functions of the kernel and of the C library", async () => {
    // Copies zeros to nowhere: in the kernel mostly, by read() and write() of the C library.
    const stacks = await stacksOf(spawn("dd", ["if=/dev/zero", "of=/dev/null", "bs=4M"], { stdio: "ignore" }));
    // The function on top may be any that zeros are made with.
    expect(stacks).toMatch(/^dd;.*\b(read|__read|__libc_read)\b.*;\[k\] \w*read\w*(;.*)? \d+$/m);
    for (const line of stacks.trimEnd().split("\n")) expect(line).toMatch(/^dd;.* \d+$/);
  });

  it("finds functions of JavaScript", async () => {
    const script =
      "function spinForTheProfiler(n) { let x = 0; for (let i = 0; i < n; i++) x += i % 7; return x; } for (;;) spinForTheProfiler(1e6)";
    // Where V8 leaves its logs.
    const folder = mkdtempSync(join(tmpdir(), "bpfkit-profile-"));
    // The main thread's name depends on Node's version.
    const spin = spawn(process.execPath, ["--perf-basic-prof", "--eval", script], { stdio: "ignore", cwd: folder });
    try {
      expect(await stacksOf(spin)).toMatch(/^[^;]+;.*spinForTheProfiler.* \d+$/m);
    } finally {
      rmSync(folder, { recursive: true, force: true });
      rmSync(`/tmp/perf-${spin.pid}.map`, { force: true });
    }
  });
});

/** A namespace with a pair of devices, v0 and v1, with an address on v0; the command in it runs the rest. */
const inNetwork = [
  "unshare",
  "--net",
  "/bin/bash",
  "-c",
  'ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up && ip address add 10.9.9.1/24 dev v0 && "$@"',
  "bash",
];

kernelDescribe("examples/xdpcount.ts", { needs: ["veth", "netns", "xdp_link"] }, () => {
  it.each([{ mode: [] }, { mode: ["--generic"] }])(
    "counts by protocol, and leaves the device as it was: $mode",
    async ({ mode }) => {
      // A namespace that stays when the example has ended.
      const holder = spawn(inNetwork[0]!, [...inNetwork.slice(1), "sleep", "300"]);
      const enter = ["nsenter", "--net", `--target=${holder.pid}`];
      const inside = (...command: string[]): string =>
        execFileSync(enter[0]!, [...enter.slice(1), ...command], { encoding: "utf8" });
      try {
        // What the holder does last; before it enters its namespace, this is not seen either.
        expect(await eventually(() => inside("ip", "-4", "address").includes("10.9.9.1/24"))).toBe(true);
        const send = (): string =>
          inside("/bin/bash", "-c", "for i in 1 2 3; do echo hello > /dev/udp/10.9.9.2/99; done");
        inside("ip", "neighbour", "replace", "10.9.9.2", "lladdr", "02:00:00:00:00:01", "dev", "v0");
        await withExample(
          "xdpcount",
          ["v1", "--interval", "0.2", ...mode],
          async (example) => {
            const row = await example.until(({ protocol }) => protocol === "IPv4 UDP", send);
            // Ethernet, IPv4 and UDP before "hello" and the end of the line.
            expect(row.bytes).toBe((row.packets as number) * (14 + 20 + 8 + 6));
            expect(inside("ip", "link", "show", "v1")).toMatch(/xdp/);
          },
          enter,
        );
        expect(inside("ip", "link", "show", "v1")).not.toMatch(/xdp/);
      } finally {
        holder.kill();
      }
    },
  );
});

kernelDescribe("examples/cgroupnet.ts", { needs: ["cgroup_link", "array_mmap"] }, () => {
  it("counts what a group sends and receives, and leaves the group as it was", async () => {
    await withCgroup(async (group) => {
      await withExample("cgroupnet", [group, "--interval", "0.2"], async (example) => {
        await bash("exec 5<>/dev/tcp/127.0.0.1/9"); // not in the group
        const send = (): string => runInCgroup(group, "(exec 5<>/dev/tcp/127.0.0.1/9) 2> /dev/null || true");
        // The request and its refusal, both of which the loopback device carries; a row may come between the two.
        const row = await example.until((each) => each.sentPackets !== 0 && each.receivedPackets !== 0, send);
        expect(row.sentBytes).toBeGreaterThanOrEqual(40 * (row.sentPackets as number));
        expect(queryPrograms({ cgroup: group, hook: "cgroup_inet_egress" }).programs.length).toBe(1);
      });
      expect(queryPrograms({ cgroup: group, hook: "cgroup_inet_egress" }).programs.length).toBe(0);
    });
  });
});

/** All of them, and what has to stand beside the options. */
const tools: readonly (readonly [name: string, ...operands: string[]])[] = [
  ["execsnoop"],
  ["opensnoop"],
  ["tcpconnect"],
  ["tcplife"],
  ["gethostlatency"],
  ["pyimports"],
  ["ps"],
  ["profile"],
  ["xdpcount", "lo"],
  ["cgroupnet", "/sys/fs/cgroup"],
];

const exampleCommand = (name: string, ...args: string[]): string[] => [
  process.execPath,
  ...scriptArguments(`examples/${name}.ts`),
  ...args,
];
const runToEnd = ([program, ...args]: string[]) => spawnSync(program!, args, { encoding: "utf8" });

describe.each(tools)("examples/%s.ts as a command", (name, ...operands) => {
  const node = (...args: string[]): string[] => exampleCommand(name, ...args);

  it("explains itself", () => {
    const { status, stdout } = runToEnd(node("--help"));
    expect(status).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`^usage: npx tsx examples/${name}.ts \\[options\\]${operands.length > 0 ? " [A-Z]+" : ""}\n`),
    );
    for (const option of ["json", "duration", "count", "help"]) expect(stdout).toContain(`\n  --${option} `);
  });

  it("says which capability is missing", () => {
    // Root gives up its capabilities and keeps its files readable; anyone else has none as it is.
    const without = process.getuid?.() === 0 ? ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] : [];
    const { status, stderr, stdout } = runToEnd([...without, ...node("--duration", "1", ...operands)]);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(new RegExp(`^${name}: .*EPERM.*the process lacks CAP_BPF.*run it as root.*\n$`));
  });
});

describe("wrong options", () => {
  it.each([
    ["execsnoop", ["--duration", "soon"]],
    ["execsnoop", ["--count", "0"]],
    ["execsnoop", ["--no-such"]],
    ["execsnoop", ["more"]],
    ["xdpcount", []],
    ["xdpcount", ["v0", "v1"]],
  ] as const)("%s %j give a line", (name, args) => {
    const { status, stderr, stdout } = runToEnd(exampleCommand(name, ...args));
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(new RegExp(`^${name}: .*\n$`));
  });
});

describe("the README", () => {
  it("lists the examples with commands that exist", () => {
    const readme = readFileSync("README.md", "utf8");
    const listed = [
      ...readme.matchAll(/^\| \[`(\w+)`\]\(examples\/\1\.ts\) \|.*`(?:npx tsx examples\/\1\.ts.*|npm start)` \|$/gm),
    ];
    const names = readdirSync("examples").flatMap((file) => /^(\w+)\.ts$/.exec(file)?.[1] ?? []);
    expect(listed.map(([, name]) => name).sort()).toEqual(names.sort());
  });

  it("promises short ones", () => {
    for (const file of readdirSync("examples").filter((each) => /^\w+\.ts$/.test(each))) {
      expect(readFileSync(`examples/${file}`, "utf8").split("\n").length, file).toBeLessThanOrEqual(100);
    }
  });
});
