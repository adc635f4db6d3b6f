// What may be done when, and what it says otherwise.

import { describe, expect, it } from "vitest";
import { ArgumentError, BpfObject, NotFoundError, ObjectError, StateError } from "../../src/index.js";
import { fixtureBytes, fixturePath, openDescriptors, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

describe("an opened object", () => {
  it("shows what the file declares, without any privilege", () => {
    const obj = BpfObject.open(fixturePath("minimal"));
    expect(obj.name).toBe("minimal");
    expect(obj.license).toBe("Dual MIT/GPL");
    expect(obj.loaded).toBe(false);
    const program = obj.program("count_syscall");
    expect([program.sectionName, program.type, program.attachTarget, program.autoload]).toEqual([
      "tp/raw_syscalls/sys_enter",
      "tracepoint",
      "raw_syscalls/sys_enter",
      true,
    ]);
    const map = obj.map("syscall_count");
    expect([map.type, map.keySize, map.valueSize, map.maxEntries]).toEqual(["hash", 4, 8, 8192]);
    expect(obj.maps.map(({ name }) => name)).toEqual(["syscall_count", "minimal.rodata", "minimal.bss"]);
    expect(obj.map(".rodata")).toBe(obj.map("minimal.rodata"));
    obj.close();
  });

  it("opens from bytes and URLs as well, under the name that is given", () => {
    const fromBytes = BpfObject.open(fixtureBytes("minimal"), { name: "a_very_long_name" });
    expect(fromBytes.findMap("a_very_l.rodata")?.sectionName).toBe(".rodata");
    const fromUrl = BpfObject.open(new URL(`file://${fixturePath("minimal")}`));
    expect(fromUrl.name).toBe("minimal");
  });

  it("suggests names", () => {
    const obj = BpfObject.open(fixturePath("minimal"));
    expect(() => obj.map("syscal_count")).toThrow(/no map syscal_count; did you mean syscall_count\?/);
    expect(() => obj.program("nothing")).toThrow(NotFoundError);
    expect(obj.findMap("nothing")).toBeUndefined();
    expect(obj.findProgram("nothing")).toBeUndefined();
    expect(() => obj.bss.total_syscals).toThrow(/no global variable total_syscals; did you mean total_syscalls\?/);
    expect(() => {
      obj.rodata.target = 1;
    }).toThrow(NotFoundError);
    expect(() => obj.data).toThrow(/no data section \.data/);
  });

  it("takes edits and checks them", () => {
    const obj = BpfObject.open(fixturePath("sections"));
    const program = obj.program("unknown_section");
    expect(program.type).toBe("unspec");
    program.type = "socket_filter";
    expect(program.type).toBe("socket_filter");
    expect(() => {
      program.type = "socketfilter" as "socket_filter";
    }).toThrow(/no program type "socketfilter"; did you mean socket_filter/);
    expect(program.expectedAttachType).toBeUndefined();
    program.expectedAttachType = "cgroup_inet4_bind";
    expect(program.expectedAttachType).toBe("cgroup_inet4_bind");
    expect(obj.program("on_optional").autoload).toBe(false);
    const map = BpfObject.open(fixturePath("maps")).map("counters");
    for (const wrong of [-1, 1.5, 2 ** 32, Number.NaN, "8" as unknown as number]) {
      expect(() => {
        map.maxEntries = wrong;
      }, String(wrong)).toThrow(ArgumentError);
    }
    expect(map.maxEntries).toBe(8);
  });

  it("has variables with their initial values, and refuses values that do not fit", () => {
    const obj = BpfObject.open(fixturePath("minimal"));
    expect(obj.rodata.target_pid).toBe(0);
    obj.rodata.target_pid = 4711;
    expect(obj.rodata.target_pid).toBe(4711);
    expect(() => {
      obj.rodata.target_pid = 2 ** 32;
    }).toThrow(/does not fit/);
    expect(obj.rodata.target_pid).toBe(4711);
    expect(Object.keys(obj.rodata)).toEqual(["target_pid"]);
    expect(JSON.stringify(obj.rodata)).toBe('{"target_pid":4711}');
    // A second opening of the same bytes starts from the file again.
    const bytes = fixtureBytes("minimal");
    const first = BpfObject.open(bytes);
    first.rodata.target_pid = 1;
    expect(BpfObject.open(bytes).rodata.target_pid).toBe(0);
  });

  it("cannot be used like a loaded one", () => {
    const obj = BpfObject.open(fixturePath("minimal"));
    expect(() => obj.map("syscall_count").get(1)).toThrow(
      /map syscall_count: the map is not loaded yet \(call load\(\) first\)/,
    );
    expect(() => obj.map("syscall_count").fd).toThrow(StateError);
    expect(() => obj.program("count_syscall").fd).toThrow(/the program is not loaded yet/);
    expect(() => obj.program("count_syscall").attach()).toThrow(StateError);
    expect(() => obj.attach()).toThrow(/cannot attach before load\(\)/);
  });

  it("refuses unknown options, unreadable files and other things", () => {
    expect(() => BpfObject.open(fixturePath("minimal"), { nmae: "x" } as object)).toThrow(
      /no option nmae; did you mean name\?/,
    );
    expect(() => BpfObject.open("/nonexistent/x.bpf.o")).toThrow(ObjectError);
    expect(() => BpfObject.open("/nonexistent/x.bpf.o")).toThrow(
      /\/nonexistent\/x\.bpf\.o: the file cannot be read: ENOENT/,
    );
    expect(() => BpfObject.open("/tmp")).toThrow(/EISDIR/);
    expect(() => BpfObject.open(42 as unknown as string)).toThrow(ArgumentError);
    expect(() => BpfObject.open(new URL("http://localhost/x.bpf.o"))).toThrow(ArgumentError);
  });

  it("refuses to load what it cannot", () => {
    const foreign = BpfObject.open(fixturePath("minimal.eb"));
    expect(foreign.program("count_syscall").type).toBe("tracepoint");
    expect(() => foreign.loadSync()).toThrow(/minimal\.eb\.bpf\.o: the object is big-endian/);
    const unknown = BpfObject.open(fixturePath("sections"));
    for (const program of unknown.programs) program.autoload = program.name === "unknown_section";
    expect(() => unknown.loadSync()).toThrow(/section mystery\/thing, program unknown_section: no program type/);
  });

  it("is closed for good", () => {
    const obj = BpfObject.open(fixturePath("minimal"));
    obj.close();
    obj.close();
    expect(() => obj.loadSync()).toThrow(/used after close\(\)/);
    expect(() => obj.attach()).toThrow(StateError);
    expect(() => obj.rodata.target_pid).toThrow(/variable target_pid was used after close\(\)/);
    expect(() => {
      obj.rodata.target_pid = 1;
    }).toThrow(StateError);
    expect(() => obj.map("syscall_count").get(1)).toThrow(/the map was used after close\(\)/);
    expect(() => {
      obj.map("syscall_count").maxEntries = 1;
    }).toThrow(StateError);
    expect(() => obj.program("count_syscall").fd).toThrow(StateError);
  });
});

kernelDescribe("a loaded object", { needs: ["tracepoint", "array_mmap"] }, () => {
  it("can no longer be edited", async () => {
    await withLoaded(
      "minimal",
      () => {},
      (obj) => {
        expect(obj.loaded).toBe(true);
        expect(() => obj.loadSync()).toThrow(/was loaded already/);
        expect(() => {
          obj.map("syscall_count").maxEntries = 1;
        }).toThrow(/maxEntries cannot be changed after load/);
        expect(() => {
          obj.program("count_syscall").type = "xdp";
        }).toThrow(/type cannot be changed after load/);
        expect(() => {
          obj.rodata.target_pid = 1;
        }).toThrow(/target_pid is read-only once the object is loaded/);
        expect(obj.rodata.target_pid).toBe(0);
      },
    );
  });

  it("gives clear errors after close, for everything that was in use", async () => {
    const obj = BpfObject.open(fixturePath("minimal"));
    obj.loadSync();
    const [link] = obj.attach();
    const map = obj.map("syscall_count");
    const { bss } = obj;
    map.set(1, 2n);
    obj.close();
    obj.close();
    expect(link?.attached).toBe(false);
    expect(() => link?.fd).toThrow(StateError);
    expect(() => bss.total_syscalls).toThrow(/variable total_syscalls was used after close\(\)/);
    expect(() => {
      bss.total_syscalls = 1n;
    }).toThrow(StateError);
    for (const use of [
      () => map.get(1),
      () => map.set(1, 1n),
      () => map.delete(1),
      () => map.has(1),
      () => [...map],
      () => map.raw.get(new Uint8Array(4)),
      () => map.freeze(),
    ]) {
      expect(use).toThrow(/used after close\(\)/);
    }
  });

  it("is closed by using, also when the block throws", () => {
    const before = openDescriptors();
    expect(() => {
      using obj = BpfObject.open(fixturePath("minimal"));
      obj.loadSync();
      obj.attach();
      throw new Error("from the block");
    }).toThrow("from the block");
    expect(openDescriptors()).toBe(before);
  });

  it("may be closed while load() is waiting for the verifier", async () => {
    const before = openDescriptors();
    const obj = BpfObject.open(fixturePath("minimal"));
    const loading = obj.load();
    expect(() => obj.loadSync()).toThrow(/has not ended yet/);
    obj.close();
    await expect(loading).rejects.toThrow(/closed while it was being loaded/);
    expect(openDescriptors()).toBe(before);
  });

  it("releases everything when loading fails half-way", () => {
    const before = openDescriptors();
    const obj = BpfObject.open(fixturePath("minimal"));
    obj.map("minimal.bss").flags = 0xdead; // refused by the kernel, when the maps before it exist
    expect(() => obj.loadSync()).toThrow(
      /section \.bss, map minimal\.bss: bpf\(BPF_MAP_CREATE\) of map "minimal.bss" failed: EINVAL/,
    );
    expect(openDescriptors()).toBe(before);
    expect(() => obj.loadSync()).toThrow(/load\(\) failed before; open the object anew/);
    obj.close();
  });

  it("loads only what is wanted", async () => {
    await withLoaded(
      "sections",
      (obj) => {
        for (const program of obj.programs) program.autoload = ["filter_socket", "on_raw"].includes(program.name);
      },
      (obj) => {
        expect(obj.programs.filter(({ loaded }) => loaded).map(({ name }) => name)).toEqual([
          "on_raw",
          "filter_socket",
        ]);
        expect(() => obj.program("pass_xdp").fd).toThrow(/the program was not loaded \(its autoload is off\)/);
        // attach() skips what has no hook in its name, and what was not loaded.
        expect(obj.attach().map(({ target }) => target)).toEqual(["raw tracepoint sched_process_exec"]);
        expect(() => obj.program("filter_socket").attach()).toThrow(/section socket does not say what to attach to/);
      },
    );
  });
});
