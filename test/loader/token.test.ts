// BPF tokens by their effect: what a process without rights of its own can do with one, and what it is told without.

import { expect, it } from "vitest";
import { BpfObject, SystemCallError } from "../../src/index.js";
import { withBpfFs } from "../support/bpffs.js";
import { fixturePath, openDescriptors } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";
import { DELEGATED_ROOT, type Delegation, mountsDelegation, type RunInside, withDelegation } from "../support/token.js";

const everything: Delegation = { cmds: "any", maps: "any", progs: "any", attachs: "any" };

/** Loads `nobtf` or another fixture, and prints as JSON what came of it; `extra` may use `obj` and put into `seen`. */
function loading(fixture: string, options: object, extra = ""): string {
  return `
    import { BpfObject } from "./src/index.ts";
    import { progTestRun, progInfo } from "./src/syscall/index.ts";
    const seen = {};
    const obj = BpfObject.open(${JSON.stringify(fixturePath(fixture))}, ${JSON.stringify(options)});
    try {
      ${extra.includes("await obj.load()") ? "" : "obj.loadSync();"}
      ${extra}
      seen.token = obj.tokenFd;
      obj.close();
      seen.tokenAfterwards = obj.tokenFd;
    } catch (error) {
      Object.assign(seen, { error: error.message, code: error.code, errnoName: error.errnoName });
      obj.close();
      seen.tokenAfterwards = obj.tokenFd;
    }
    console.log("@" + JSON.stringify(seen));
  `;
}

const runsFilter = `
  seen.result = progTestRun({ program: obj.program("count_runs").fd, data: new Uint8Array(64) }).returnValue;
`;

function inside(run: RunInside, source: string, environment?: Record<string, string>): Record<string, unknown> {
  const { output } = run(source, environment);
  const line = /^@(.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`the program in the namespace said: ${output}`);
  return JSON.parse(line) as Record<string, unknown>;
}

kernelDescribe("a BPF token", { needs: ["token", "socket_filter"] }, () => {
  const timeout = 120_000;

  it("lets a process in a user namespace load and run programs, with type information and maps", { timeout }, () =>
    withDelegation(everything, (run) => {
      const filter = inside(run, loading("nobtf", { tokenPath: DELEGATED_ROOT }, runsFilter));
      expect(filter).toEqual({ result: 42, token: expect.any(Number) });
      const extra = `
        await obj.load();
        seen.btf = progInfo(obj.program("count_syscall").fd).btfId > 0;
        const map = obj.map("syscall_count");
        map.set(7, 8n);
        seen.value = String(map.get(7));
      `;
      expect(inside(run, loading("minimal", { tokenPath: DELEGATED_ROOT }, extra))).toEqual({
        btf: true,
        value: "8",
        token: expect.any(Number),
      });
    }),
  );

  it("lets it create maps of its own, with type information", { timeout }, () =>
    withDelegation(everything, (run) => {
      const creating = (tokenPath?: string): string => `
        import { BpfMap } from "./src/index.ts";
        const options = { type: "hash", key: "u32", value: "u64", maxEntries: 4, tokenPath: ${JSON.stringify(tokenPath)} };
        const seen = {};
        try {
          const map = BpfMap.create(options);
          map.set(7, 8n);
          seen.value = String(map.get(7));
          seen.btf = map.info().btfId > 0;
        } catch (error) {
          Object.assign(seen, { error: error.message, errnoName: error.errnoName });
        }
        console.log("@" + JSON.stringify(seen));
      `;
      expect(inside(run, creating(DELEGATED_ROOT))).toEqual({ value: "8", btf: true });
      expect(inside(run, creating(), { LIBBPF_BPF_TOKEN_PATH: DELEGATED_ROOT })).toEqual({ value: "8", btf: true });
      const refused = inside(run, creating(""));
      expect(refused.errnoName).toBe("EPERM");
      expect(refused.error).toMatch(/BPF token.*tokenPath/);
    }),
  );

  it("is missed with a word about the capability and about tokens", { timeout }, () =>
    withDelegation(everything, (run) => {
      const refused = inside(run, loading("nobtf", { tokenPath: "" }));
      expect(refused).toMatchObject({ code: "SYSCALL", errnoName: "EPERM" });
      expect(refused.error).toMatch(
        /BPF_MAP_CREATE.*needs CAP_BPF \(or CAP_SYS_ADMIN\) in the initial user namespace.*BPF token.*tokenPath/,
      );
      // Nothing is delegated at /sys/fs/bpf, which is looked at by default.
      expect(inside(run, loading("nobtf", {})).errnoName).toBe("EPERM");
    }),
  );

  it("is found in /sys/fs/bpf, or where the environment says", { timeout }, () =>
    withDelegation(everything, (run) => {
      const variable = { LIBBPF_BPF_TOKEN_PATH: DELEGATED_ROOT };
      expect(inside(run, loading("nobtf", {}, runsFilter), variable)).toMatchObject({ result: 42 });
      expect(inside(run, loading("nobtf", { tokenPath: "" }), variable).errnoName).toBe("EPERM");
      expect(inside(run, loading("nobtf", { tokenPath: "/proc" }), variable).error).toMatch(/not the root of a BPF/);
      expect(inside(run, loading("nobtf", {}), { LIBBPF_BPF_TOKEN_PATH: "/proc" }).errnoName).toBe("EINVAL");

      expect(inside(run, mountsDelegation + loading("nobtf", {}, runsFilter))).toMatchObject({ result: 42 });
    }),
  );

  it("that does not cover something is told apart from none", { timeout }, () =>
    withDelegation({ cmds: "map_create:btf_load", maps: "any" }, (run) => {
      const refused = inside(run, loading("nobtf", { tokenPath: DELEGATED_ROOT }));
      expect(refused).toMatchObject({ code: "VERIFIER", errnoName: "EPERM" });
      expect(refused.error).toMatch(/program count_runs.*the BPF token does not cover it.*CAP_BPF/);
    }),
  );

  it("has its own answers to what the kernel can do", { timeout }, () =>
    withDelegation(everything, (run) => {
      const source = `
        import { openToken, kernelHas } from "./src/kernel/index.ts";
        const names = ["global_data", "btf_func", "array_mmap", "bpf_cookie", "memcg_account"];
        const without = names.map((name) => String(kernelHas(name)));
        const token = openToken(${JSON.stringify(DELEGATED_ROOT)});
        const withToken = names.map((name) => String(kernelHas(name, token)));
        token.close();
        // Remembered, since the descriptor is closed.
        const again = names.map((name) => String(kernelHas(name, token)));
        console.log("@" + JSON.stringify({ without, withToken, again }));
      `;
      const yes = ["true", "true", "true", "true", "true"];
      const seen = inside(run, source);
      expect(seen).toEqual({ without: yes.map(() => "undefined"), withToken: yes, again: yes });
    }),
  );

  it("does not exist outside of user namespaces, and is not looked for there", async () => {
    await withBpfFs((root) => {
      const obj = BpfObject.open(fixturePath("nobtf"), { tokenPath: root });
      try {
        expect(() => obj.loadSync()).toThrow(/BPF_TOKEN_CREATE.*EOPNOTSUPP.*this process is in the initial one/);
      } finally {
        obj.close();
      }
      const before = openDescriptors();
      const missing = BpfObject.open(fixturePath("nobtf"), { tokenPath: `${root}/missing` });
      expect(() => missing.loadSync()).toThrow(SystemCallError);
      missing.close();
      expect(openDescriptors()).toBe(before);
    });
    const obj = BpfObject.open(fixturePath("nobtf"));
    try {
      obj.loadSync();
      expect(obj.tokenFd).toBeUndefined();
    } finally {
      obj.close();
    }
  });
});
