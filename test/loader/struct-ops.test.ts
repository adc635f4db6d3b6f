// struct_ops by its effect: a TCP congestion control that connections in a namespace of the test's own choose by name.

import { afterEach, describe, expect, it } from "vitest";
import { BpfLink, BpfMap, BpfObject, SystemCallError } from "../../src/index.js";
import { mapInfo, objectIds } from "../../src/syscall/index.js";
import { eventually, fixturePath, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";
import { withTcpNetwork } from "../support/tcp.js";

const tables = ["plain", "linked", "replacement", "optional", "impossible"];

/** Leaves only these tables to be created. */
function only(...names: string[]): (obj: BpfObject) => void {
  return (obj) => {
    for (const name of tables) obj.map(name).autocreate = names.includes(name);
  };
}

function code(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return { ...(error as object), message: (error as Error).message };
  }
  return "nothing was thrown";
}

describe("struct_ops variables", () => {
  const obj = BpfObject.open(fixturePath("struct_ops"));

  it("are maps whose members can be read and set by name", () => {
    const { structOps } = obj.map("plain");
    expect(Object.keys(structOps)).toEqual([
      "ssthresh",
      "cong_avoid",
      "undo_cwnd",
      "init",
      "release",
      "flags",
      "name",
      "no_kernel_has_this",
      "nor_this",
    ]);
    expect(structOps.init).toBe(obj.program("first_init"));
    expect(structOps.no_kernel_has_this).toBeNull();
    expect(structOps.name).toBe("bpfkit_plain");
    structOps.name = "bpfkit_renamed";
    structOps.init = obj.program("second_init");
    structOps.flags = 3;
    expect([structOps.name, structOps.flags, structOps.init]).toEqual([
      "bpfkit_renamed",
      3,
      obj.program("second_init"),
    ]);
    expect(obj.map("linked").structOps.name).toBe("bpfkit_linked");
  });

  it("tell by their section whether they are created and how they are attached", () => {
    expect(tables.map((name) => obj.map(name)).map(({ autocreate, flags, type }) => [autocreate, flags, type])).toEqual(
      [
        [true, 0, "struct_ops"],
        [true, 1 << 13, "struct_ops"],
        [true, 1 << 13, "struct_ops"],
        [false, 0, "struct_ops"],
        [false, 1 << 13, "struct_ops"],
      ],
    );
  });

  it("refuse what is no program of the object, and unknown members", () => {
    const { structOps } = obj.map("linked");
    using other = BpfObject.open(fixturePath("struct_ops"));
    expect(code(() => Object.assign(structOps, { init: other.program("first_init") }))).toMatchObject({
      code: "ARGUMENT",
    });
    expect(code(() => Object.assign(structOps, { init: 5 }))).toMatchObject({ code: "ARGUMENT" });
    expect(code(() => Object.assign(structOps, { name: "sixteen characters and more" }))).toMatchObject({
      code: "VALUE",
    });
    expect(code(() => structOps.inti)).toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining("init") });
    expect(structOps.name).toBe("bpfkit_linked");
    expect(structOps.init).toBe(obj.program("first_init"));
    using without = BpfObject.open(fixturePath("minimal"));
    expect(code(() => without.map("syscall_count").structOps)).toMatchObject({ code: "UNSUPPORTED" });
  });

  it("have programs with the flags of their sections", () => {
    expect(obj.program("sleepable_init")).toMatchObject({ type: "struct_ops", flags: 1 << 4, autoload: false });
    expect(obj.program("first_init")).toMatchObject({ type: "struct_ops", flags: 0, autoload: true });
  });
});

kernelDescribe("struct_ops without links", { needs: ["struct_ops", "netns"] }, () => {
  // A registration without link outlives the process: never leave one behind.
  const attached: Disposable[] = [];
  afterEach(() => {
    for (const link of attached.splice(0)) link[Symbol.dispose]();
  });

  it("control the connections that ask for them, until they are detached", async () => {
    await withLoaded("struct_ops", only("plain"), (obj) => {
      expect(obj.programs.filter(({ loaded }) => loaded).map(({ name }) => name)).toEqual([
        "cc_ssthresh",
        "cc_cong_avoid",
        "cc_undo_cwnd",
        "first_init",
        "cc_release",
      ]);
      withTcpNetwork((tcp) => {
        expect(tcp.available()).not.toContain("bpfkit_plain");
        const [link, ...more] = obj.attach();
        attached.push(link!);
        expect(more).toEqual([]);
        expect(link).toMatchObject({ kind: "struct_ops", attached: true, program: "plain" });
        expect(obj.attach()).toEqual([]);
        expect(tcp.available()).toContain("bpfkit_plain");
        expect(tcp.connect("bpfkit_plain")).toBe("bpfkit_plain");
        expect(obj.bss).toMatchObject({ first_inits: 1n, second_inits: 0n });
        link!.close();
        expect(tcp.available()).not.toContain("bpfkit_plain");
        expect(link!.attached).toBe(false);
      });
      // The connection ended with its namespace.
      expect(obj.map("plain").links).toEqual([]);
    });
  });

  it("take what was set before load: names, swapped callbacks, callbacks taken away", async () => {
    await withLoaded(
      "struct_ops",
      (obj) => {
        only("optional")(obj);
        const { structOps } = obj.map("optional");
        structOps.name = "bpfkit_edited";
        structOps.init = obj.program("second_init");
        structOps.release = obj.program("cc_release");
      },
      (obj) => {
        expect(obj.program("optional_init").loaded).toBe(false);
        expect(obj.program("first_init").loaded).toBe(false);
        expect(obj.program("second_init").loaded).toBe(true);
        expect(code(() => Object.assign(obj.map("optional").structOps, { init: null }))).toMatchObject({
          code: "STATE",
        });
        withTcpNetwork((tcp) => {
          attached.push(obj.map("optional").attachStructOps());
          expect(tcp.connect("bpfkit_edited")).toBe("bpfkit_edited");
          expect(obj.bss).toMatchObject({ first_inits: 0n, second_inits: 1n });
          obj.detach();
          expect(tcp.available()).not.toContain("bpfkit_edited");
        });
      },
    );
  });

  it("are left alone by attach() when their autoattach is off", async () => {
    await withLoaded("struct_ops", only("plain"), (obj) => {
      obj.map("plain").autoattach = false;
      expect(obj.attach()).toEqual([]);
    });
  });

  it("say which member this kernel lacks, and which callback nobody uses", () => {
    using obj = BpfObject.open(fixturePath("struct_ops"));
    only("impossible")(obj);
    expect(code(() => obj.loadSync())).toMatchObject({
      code: "UNSUPPORTED",
      location: { map: "impossible", section: ".struct_ops.link" },
      message: expect.stringContaining(
        "member `no_kernel_has_this` of struct tcp_congestion_ops does not exist in this",
      ),
    });
    using two = BpfObject.open(fixturePath("struct_ops"));
    only("plain")(two);
    two.map("plain").structOps.release = two.program("first_init");
    expect(code(() => two.loadSync())).toMatchObject({
      code: "OBJECT_INVALID",
      location: { map: "plain", program: "first_init" },
    });
  });

  it("explain a name that is taken", async () => {
    await withLoaded("struct_ops", only("plain"), async (first) => {
      attached.push(first.map("plain").attachStructOps());
      await withLoaded("struct_ops", only("plain"), (second) => {
        let error: unknown;
        try {
          attached.push(second.map("plain").attachStructOps());
        } catch (caught) {
          error = caught;
        }
        expect(error).toBeInstanceOf(SystemCallError);
        expect(error).toMatchObject({ code: "ATTACH", errnoName: "EEXIST" });
      });
    });
  });
});

kernelDescribe("struct_ops with links", { needs: ["struct_ops_link", "netns"] }, () => {
  it("are registered as long as the link, and replaced in place", async () => {
    await withLoaded("struct_ops", only("linked", "replacement"), (obj) => {
      withTcpNetwork((tcp) => {
        using link = obj.map("linked").attachStructOps();
        expect(tcp.connect("bpfkit_linked")).toBe("bpfkit_linked");
        expect(obj.bss).toMatchObject({ first_inits: 1n, second_inits: 0n });
        const told = { kind: "struct_ops", mapId: obj.map("linked").info().id, progId: 0 };
        expect(link.info()).toMatchObject(told);
        using found = BpfLink.openById(link.info().id);
        expect([found.kind, found.target]).toEqual(["struct_ops", `struct_ops of map ${told.mapId}`]);
        found.close();
        link.updateMap(obj.map("replacement"));
        expect(link.info()).toMatchObject({ mapId: obj.map("replacement").info().id });
        expect(tcp.connect("bpfkit_linked")).toBe("bpfkit_linked");
        expect(obj.bss).toMatchObject({ first_inits: 1n, second_inits: 1n });
        link.close();
        expect(tcp.available()).not.toContain("bpfkit_linked");
        expect(code(() => link.updateMap(obj.map("linked")))).toMatchObject({ code: "STATE" });
        // The same map again: its value is written already.
        using again = obj.map("linked").attachStructOps();
        expect(again.attached).toBe(true);
        expect(tcp.available()).toContain("bpfkit_linked");
      });
    });
  });

  it("end with their object", async () => {
    await withLoaded("struct_ops", only("linked"), (obj) => {
      expect(obj.attach().map(({ kind }) => kind)).toEqual(["struct_ops"]);
      withTcpNetwork((tcp) => expect(tcp.available()).toContain("bpfkit_linked"));
    });
    withTcpNetwork((tcp) => expect(tcp.available()).not.toContain("bpfkit_linked"));
  });
});

kernelDescribe("programs that belong to struct_ops", { needs: ["assoc_struct_ops", "struct_ops_link"] }, () => {
  it("keep their map, and have no other one", async () => {
    using outside = BpfObject.open(fixturePath("nobtf"));
    outside.loadSync();
    const program = outside.program("count_runs");
    const id = await withLoaded("struct_ops", only("linked", "replacement"), (obj) => {
      expect(() => program.assocStructOps(outside.map("nobtf.bss"))).toThrow(/map nobtf\.bss is no struct_ops map/);
      expect(() => obj.program("first_init").assocStructOps(obj.map("linked"))).toThrow(
        /a callback belongs to its own/,
      );
      program.assocStructOps(obj.map("linked"));
      program.assocStructOps(obj.map("linked"));
      expect(code(() => program.assocStructOps(obj.map("replacement")))).toMatchObject({
        code: "SYSCALL",
        errnoName: "EBUSY",
        location: { program: "count_runs" },
      });
      return mapInfo(obj.map("linked").fd).id;
    });
    // The object is closed, and its map is still there, until the program goes.
    BpfMap.openById(id).close();
    outside.close();
    const gone = await eventually(() => [...objectIds("map")].every((each) => each !== id));
    expect(gone).toBe(true);
  });
});

kernelIt(
  "kernels that cannot tie programs to struct_ops say so",
  { needs: ["virtual_machine", "struct_ops", "netns"] },
  async () => {
    using outside = BpfObject.open(fixturePath("nobtf"));
    outside.loadSync();
    await withLoaded("struct_ops", only("plain"), (obj) => {
      const result = code(() => outside.program("count_runs").assocStructOps(obj.map("plain")));
      if (result !== "nothing was thrown") expect(result).toMatchObject({ code: "UNSUPPORTED" });
    });
  },
);
