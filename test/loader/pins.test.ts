// Pinning: maps that outlive their object, and are found again by the next one.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  ArgumentError,
  BpfMap,
  type BpfObject,
  BpfObject as Objects,
  StateError,
  SystemCallError,
  setLogger,
  UnsupportedError,
} from "../../src/index.js";
import { ensureBpfFs } from "../../src/kernel/index.js";
import { isBpfFs, mapInfo, objectGet, progInfo } from "../../src/syscall/index.js";
import { pinsIn, withBpfFs, withDirectory } from "../support/bpffs.js";
import { fixtureBytes, fixturePath, loadError, openDescriptors, runFilter, withLoaded } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";
import { moduleArguments } from "../support/script.js";

/** The programs that the tests run; devices need no network here. */
const edit = (obj: BpfObject): void => {
  obj.program("redirect").autoload = false;
};

function loadWith(pinRoot: string, change: (obj: BpfObject) => void = () => {}): unknown {
  return loadError(
    "pinned",
    (obj) => {
      edit(obj);
      change(obj);
    },
    { pinRoot },
  );
}

kernelDescribe("maps pinned by name", { needs: ["socket_filter", "ringbuf"] }, () => {
  it("are found by the next object, which goes on with their contents", async () => {
    await withBpfFs(async (root) => {
      const pinRoot = join(root, "mine");
      await withLoaded(
        "pinned",
        edit,
        (obj) => {
          expect(obj.map("visits").pinPath).toBe(`${pinRoot}/visits`);
          expect(obj.map("visits").isPinned).toBe(true);
          expect(obj.map("own").pinPath).toBeUndefined();
          expect(pinsIn(pinRoot)).toEqual(["devices", "ring", "visits"]);
          expect(statSync(pinRoot).mode & 0o777).toBe(0o700);
          expect([runFilter(obj, "visit"), runFilter(obj, "visit")]).toEqual([1, 2]);
        },
        { pinRoot },
      );
      await withLoaded(
        "pinned",
        edit,
        (obj) => {
          expect(obj.map("visits").isPinned).toBe(true);
          expect(runFilter(obj, "visit")).toBe(3);
          expect(obj.map("visits").get(1)).toEqual({ count: 3n, last: 1, who: "first" });
          expect(obj.map("own").get(0)).toBe(1n);
          // Compared as the kernel has it, not as it is written in C.
          expect(obj.map("ring").maxEntries).toBe(8192);
          for (const map of obj.maps) if (map.isPinned) map.unpin();
          expect(pinsIn(pinRoot)).toEqual([]);
          expect(obj.map("visits").isPinned).toBe(false);
        },
        { pinRoot },
      );
    });
  });

  it("must agree with the declaration", async () => {
    await withBpfFs((root) => {
      expect(loadWith(root)).toBeUndefined();
      const before = openDescriptors();
      const smaller = loadWith(root, (obj) => {
        obj.map("visits").maxEntries = 8;
        obj.map("visits").flags = 1;
      });
      expect(smaller).toBeInstanceOf(StateError);
      expect((smaller as Error).message).toContain(
        `map visits: the map pinned at ${root}/visits is another one: it has maxEntries 16 instead of 8, flags 0 instead of 1`,
      );
      const otherType = loadWith(root, (obj) => {
        obj.map("visits").type = "lru_hash";
      });
      expect((otherType as Error).message).toMatch(/type hash instead of lru_hash/);
      const program = loadWith(root, (obj) => {
        obj.map("visits").pinPath = `${root}/program`;
        obj.map("ring").pinPath = undefined;
      });
      expect(program).toBeUndefined();
      expect(pinsIn(root)).toEqual(["devices", "program", "ring", "visits"]);
      expect(openDescriptors()).toBe(before);
    });
  });

  it("are not taken from pins of other things", async () => {
    await withBpfFs(async (root) => {
      await withLoaded(
        "minimal",
        () => {},
        (obj) => obj.program("count_syscall").pin(`${root}/visits`),
      );
      const error = loadWith(root);
      expect(error).toBeInstanceOf(ArgumentError);
      expect((error as Error).message).toMatch(/map visits: .*is no map/);
      expect(pinsIn(root)).toEqual(["visits"]);
    });
  });

  it("are unpinned again when loading fails, those found are not", async () => {
    await withBpfFs((root) => {
      // Loads nothing but maps: one of them stays.
      loadWith(root, (obj) => {
        obj.map("ring").pinPath = undefined;
        obj.map("devices").pinPath = undefined;
      });
      expect(pinsIn(root)).toEqual(["visits"]);
      const before = openDescriptors();
      const failed = loadWith(root, (obj) => {
        // An array of key size 3 cannot be created; it comes after the pinned maps.
        obj.map("own").keySize = 3;
      });
      expect((failed as SystemCallError).operation).toBe("bpf(BPF_MAP_CREATE)");
      expect(pinsIn(root)).toEqual(["visits"]);
      expect(openDescriptors()).toBe(before);
    });
  });

  it("are those of a faster process when both pin at once", async () => {
    await withBpfFs((root) => {
      const winner = Objects.open(fixturePath("pinned"));
      const obj = Objects.open(fixturePath("pinned"), { pinRoot: root });
      const previous = setLogger(null);
      try {
        for (const each of [winner, obj]) edit(each);
        for (const map of winner.maps) map.pinPath = undefined;
        winner.loadSync();
        // The moment between looking for the pin and making it.
        setLogger((_, message) => {
          if (message === `map visits: nothing is pinned at ${root}/visits`) winner.map("visits").pin(`${root}/visits`);
        });
        obj.loadSync();
        expect(obj.map("visits").isPinned).toBe(true);
        expect(mapInfo(obj.map("visits").fd).id).toBe(mapInfo(winner.map("visits").fd).id);
        expect([runFilter(winner, "visit"), runFilter(obj, "visit")]).toEqual([1, 2]);
      } finally {
        setLogger(previous);
        winner.close();
        obj.close();
      }
    });
  });

  it("fail on a name that is taken by nothing", async () => {
    await withBpfFs((root) => {
      symlinkSync("nowhere", `${root}/visits`);
      const error = loadWith(root);
      expect(error).toMatchObject({ errnoName: "EEXIST" });
      expect(pinsIn(root)).toEqual(["visits"]);
    });
  });

  it("stay inside the pin directory, whatever their name is", () => {
    // Same length, so that the string table keeps its offsets.
    const rename = (to: string): Uint8Array => {
      const bytes = fixtureBytes("pinned");
      const from = new TextEncoder().encode("\0visits\0");
      let found = 0;
      for (let i = 0; i + from.length <= bytes.length; i++) {
        if (!from.every((byte, j) => bytes[i + j] === byte)) continue;
        bytes.set(new TextEncoder().encode(to), i + 1);
        found++;
      }
      expect(found).toBeGreaterThan(0);
      return bytes;
    };
    expect(Objects.open(rename("visitx")).map("visitx").pinPath).toBe("/sys/fs/bpf/visitx");
    for (const name of ["../../", "/../x/", "a/b/c/", "......", "x.y.zz"]) {
      expect(() => Objects.open(rename(name)), name).toThrow(/cannot be the name of a pin/);
    }
  });

  it("need a BPF file system, and a path", async () => {
    await withDirectory((directory) => {
      const error = loadWith(directory);
      expect(error).toBeInstanceOf(UnsupportedError);
      expect((error as Error).message).toMatch(/map visits: .* is not in a BPF file system.*mount -t bpf bpf/);
      expect(pinsIn(directory)).toEqual([]);
    });
    const obj = Objects.open(fixturePath("pinned"));
    expect(() => {
      obj.map("own").pinPath = "";
    }).toThrow(ArgumentError);
    expect(() => Objects.open(fixturePath("pinned"), { pinRoot: "" })).toThrow(ArgumentError);
    expect(() => obj.map("own").pin("/sys/fs/bpf/own")).toThrow(/not loaded yet/);
  });
});

kernelDescribe("pins by hand", { needs: ["socket_filter", "ringbuf"] }, () => {
  const unpinned = (obj: BpfObject): void => {
    edit(obj);
    for (const map of obj.maps) map.pinPath = undefined;
  };

  it("keep a map and a program after their object", async () => {
    await withBpfFs(async (root) => {
      await withLoaded("pinned", unpinned, (obj) => {
        const map = obj.map("own");
        expect(() => map.pin()).toThrow(/no path was given/);
        expect([map.pin(`${root}/own`), map.pin(`${root}/own`), map.pin()]).toEqual([true, false, false]);
        expect([map.pinPath, map.isPinned]).toEqual([`${root}/own`, true]);
        expect(() => map.pin(`${root}/elsewhere`)).toThrow(/map own: the map's pinPath is .*own, not .*elsewhere/);
        expect(() => obj.map("visits").pin(`${root}/own`)).toThrow(/EEXIST/);
        expect(obj.map("visits").pinPath).toBeUndefined();
        map.set(0, 77n);
        obj.program("visit").pin(`${root}/visit`);
        expect(() => obj.program("redirect").pin(`${root}/redirect`)).toThrow(/was not loaded/);
      });
      expect(pinsIn(root)).toEqual(["own", "visit"]);
      {
        using map = BpfMap.openPinned<number, bigint>(`${root}/own`);
        expect(map.get(0)).toBe(77n);
        using program = objectGet({ path: `${root}/visit` });
        expect(progInfo(program).name).toBe("visit");
      }
      await withLoaded("pinned", unpinned, (obj) => {
        obj.program("visit").unpin(`${root}/visit`);
        expect(() => obj.program("visit").unpin(`${root}/visit`)).toThrow(/ENOENT/);
        obj.map("own").unpin(`${root}/own`);
      });
      expect(pinsIn(root)).toEqual([]);
    });
  });

  it("pin all maps of an object in a directory, or none", async () => {
    await withBpfFs(async (root) => {
      await withLoaded("pinned", unpinned, (obj) => {
        obj.pinMaps(`${root}/all`);
        const names = ["devices", "own", "pinned_bss", "pinned_rodata", "ring", "visits"];
        expect(pinsIn(`${root}/all`)).toEqual(names);
        obj.pinMaps();
        obj.unpinMaps(`${root}/all`);
        expect(pinsIn(`${root}/all`)).toEqual([]);
        expect(() => obj.unpinMaps()).toThrow(/ENOENT/);
      });
      await withLoaded("pinned", unpinned, (obj) => {
        // The name of one map is taken, by a directory.
        mkdirSync(`${root}/all/devices`);
        expect(() => obj.pinMaps(`${root}/all`)).toThrow(/map devices: .*EEXIST/);
        expect(pinsIn(`${root}/all`)).toEqual(["devices"]);
        expect(obj.maps.map((map) => map.isPinned)).not.toContain(true);
      });
    });
  });

  it("mount the BPF file system at /sys/fs/bpf, and only when something is pinned", () => {
    const script = `
        import { BpfObject } from "./src/index.ts";
        import { isBpfFs } from "./src/syscall/index.ts";
        import { spawnSync } from "node:child_process";
        while (isBpfFs("/sys/fs/bpf")) if (spawnSync("umount", ["-l", "/sys/fs/bpf"]).status !== 0) process.exit(1);
        const obj = BpfObject.open(${JSON.stringify(fixturePath("pinned"))});
        obj.program("redirect").autoload = false;
        for (const map of obj.maps) if (map.name !== "visits") map.pinPath = undefined;
        obj.map("visits").pinPath = "/sys/fs/bpf/bpfkit-test/visits";
        console.log(isBpfFs("/sys/fs/bpf"));
        obj.loadSync();
        console.log(isBpfFs("/sys/fs/bpf"), isBpfFs("/sys/fs/bpf/bpfkit-test/visits"));
    `;
    // In a mount namespace of its own.
    const child = spawnSync("unshare", ["--mount", process.execPath, ...moduleArguments(script)], { encoding: "utf8" });
    expect(child.stdout, child.stderr).toBe("false\ntrue true\n");
    expect(existsSync("/sys/fs/bpf/bpfkit-test")).toBe(false);
  });

  it("mount a BPF file system where it belongs and nothing is mounted", async () => {
    await withDirectory((directory) => {
      ensureBpfFs(directory);
      expect(isBpfFs(directory)).toBe(true);
      expect(statSync(directory).mode & 0o777).toBe(0o700);
      const { dev } = statSync(directory);
      ensureBpfFs(directory);
      expect(statSync(directory).dev).toBe(dev);
    });
    await withDirectory((directory) => {
      // Something else is mounted: nothing is laid over it.
      execFileSync("mount", ["-t", "tmpfs", "tmpfs", directory]);
      ensureBpfFs(directory);
      expect(isBpfFs(directory)).toBe(false);
      ensureBpfFs(`${directory}/missing`);
      expect(existsSync(`${directory}/missing`)).toBe(false);
    });
  });
});

kernelDescribe("a map that is opened by its pin or id", { needs: ["socket_filter", "ringbuf"] }, () => {
  it("decodes keys and values by the types it was created with", async () => {
    await withBpfFs(async (root) => {
      await withLoaded(
        "pinned",
        edit,
        (obj) => {
          runFilter(obj, "visit");
          const { id } = mapInfo(obj.map("visits").fd);
          for (const map of [BpfMap.openPinned(`${root}/visits`), BpfMap.openById(id)]) {
            expect([map.name, map.type, map.keySize, map.valueSize, map.maxEntries]).toEqual([
              "visits",
              "hash",
              4,
              24,
              16,
            ]);
            map.delete(9);
            expect([...map]).toEqual([[1, { count: 1n, last: 1, who: "first" }]]);
            map.set(9, { count: 90n, last: 9, who: "nine" });
            expect(() => {
              map.maxEntries = 4;
            }).toThrow(StateError);
            map.close();
            expect(() => map.get(1)).toThrow(/used after close/);
          }
          expect(obj.map("visits").get(9)).toEqual({ count: 90n, last: 9, who: "nine" });
          // With the types of the object, where the kernel does not show its own.
          using typed = BpfMap.openById(id, { btf: obj.btf });
          expect(typed.get(9)).toEqual({ count: 90n, last: 9, who: "nine" });
          using readOnly = BpfMap.openById(id, { flags: 8 });
          expect(() => readOnly.set(9, { count: 0n, last: 0, who: "" })).toThrow(/EPERM/);
        },
        { pinRoot: root },
      );
    });
  });

  it("gives bytes where there are no types: data sections, ids of nothing", async () => {
    await withLoaded(
      "minimal",
      () => {},
      (obj) => {
        const bss = obj.map(".bss");
        using map = BpfMap.openById(mapInfo(bss.fd).id);
        expect(map.get(new Uint8Array(4))).toBeInstanceOf(Uint8Array);
        expect(map.raw.get(new Uint8Array(4))?.length).toBe(bss.valueSize);
      },
    );
    const before = openDescriptors();
    expect(() => BpfMap.openById(0x7fffffff)).toThrow(/of map with id 2147483647 failed: ENOENT/);
    expect(() => BpfMap.openPinned("/sys/fs/bpf/bpfkit/none")).toThrow(SystemCallError);
    expect(openDescriptors()).toBe(before);
  });
});

kernelDescribe("a map that exists already", { needs: ["socket_filter", "ringbuf", "array_mmap"] }, () => {
  it("is used instead of a new one, with its own sizes", async () => {
    const other = (obj: BpfObject): void => {
      edit(obj);
      for (const map of obj.maps) map.pinPath = undefined;
      obj.map("visits").maxEntries = 3;
    };
    await withLoaded("pinned", other, async (existing) => {
      runFilter(existing, "visit");
      const reuse = (obj: BpfObject): void => {
        edit(obj);
        for (const map of obj.maps) map.pinPath = undefined;
        obj.map("visits").reuse(existing.map("visits"));
        expect(obj.map("visits").maxEntries).toBe(3);
        // Usable at once, editable no more.
        expect(obj.map("visits").get(1)).toMatchObject({ count: 1n });
        expect(() => {
          obj.map("visits").maxEntries = 4;
        }).toThrow(/stands for an existing one/);
        obj.map("own").reuse(existing.map("own").fd);
        expect(() => obj.map("ring").reuse(existing.program("visit").fd)).toThrow(/is no map/);
      };
      await withLoaded("pinned", reuse, (obj) => {
        expect(runFilter(obj, "visit")).toBe(2);
        expect(existing.map("visits").get(1)).toMatchObject({ count: 2n });
        expect(obj.map("own").get(0)).toBe(2n);
        expect(() => obj.map("own").reuse(existing.map("own"))).toThrow(StateError);
      });
      // It is still the other object's.
      expect(existing.map("own").get(0)).toBe(2n);
    });
  });

  it("shares variables when it is that of a data section", async () => {
    const prepare = (obj: BpfObject): void => {
      edit(obj);
      for (const map of obj.maps) map.pinPath = undefined;
      obj.rodata.me = 4;
    };
    await withLoaded("pinned", prepare, async (existing) => {
      runFilter(existing, "visit");
      const reuse = (obj: BpfObject): void => {
        edit(obj);
        for (const map of obj.maps) map.pinPath = undefined;
        for (const section of [".bss", ".rodata"]) obj.map(section).reuse(existing.map(section));
      };
      await withLoaded("pinned", reuse, (obj) => {
        expect([obj.bss.runs, obj.rodata.me]).toEqual([1, 4]);
        runFilter(obj, "visit");
        expect([obj.bss.runs, existing.bss.runs]).toEqual([2, 2]);
        obj.bss.runs = 40;
        expect(existing.bss.runs).toBe(40);
        expect(() => {
          obj.rodata.me = 5;
        }).toThrow(/read-only/);
      });
      const wrong = loadWith("/sys/fs/bpf", (obj) => {
        for (const map of obj.maps) map.pinPath = undefined;
        obj.map(".bss").reuse(existing.map("visits"));
      });
      expect((wrong as Error).message).toMatch(/24 bytes instead of 4/);
    });
  });

  kernelIt("sets the initial contents of data sections as a whole", { needs: ["array_mmap"] }, async () => {
    await withLoaded(
      "pinned",
      (obj) => {
        edit(obj);
        for (const map of obj.maps) map.pinPath = undefined;
        const bss = obj.map(".bss");
        expect(bss.initialValue).toEqual(new Uint8Array(4));
        bss.setInitialValue(new Uint8Array([7, 0, 0, 0]));
        expect(obj.bss.runs).toBe(7);
        expect(() => bss.setInitialValue(new Uint8Array(3))).toThrow(/of 4 bytes/);
        expect(() => obj.map("own").setInitialValue(new Uint8Array(8))).toThrow(ArgumentError);
        expect(obj.map("own").initialValue).toBeUndefined();
      },
      (obj) => {
        expect(obj.bss.runs).toBe(7);
        runFilter(obj, "visit");
        expect(obj.bss.runs).toBe(8);
        expect(() => obj.map(".bss").setInitialValue(new Uint8Array(4))).toThrow(StateError);
      },
    );
  });
});

kernelDescribe("pins of whole objects", { needs: ["socket_filter", "ringbuf"] }, () => {
  const programs = (obj: BpfObject): void => {
    edit(obj);
    for (const map of obj.maps) map.pinPath = undefined;
  };

  it("are made for all maps and programs, and removed", async () => {
    await withBpfFs(async (root) => {
      const all = join(root, "all");
      const apart = join(root, "apart");
      await withLoaded("pinned", programs, (obj) => {
        obj.pinPrograms(apart);
        expect(pinsIn(apart)).toEqual(["visit"]);
        expect(() => obj.pinPrograms(apart)).toThrow(/program visit.*EEXIST/);
        obj.pin(all);
        expect(pinsIn(all)).toEqual(["devices", "own", "pinned_bss", "pinned_rodata", "ring", "visit", "visits"]);
        expect(obj.map("own").isPinned).toBe(true);
        using pinned = objectGet({ path: join(all, "visit") });
        expect(progInfo(pinned).id).toBe(progInfo(obj.program("visit").fd).id);
        obj.unpinPrograms(apart);
        obj.unpin(all);
        expect([pinsIn(apart), pinsIn(all)]).toEqual([[], []]);
        expect(() => obj.unpin(all)).toThrow(/ENOENT/);
        expect(runFilter(obj, "visit")).toBe(1);
      });
    });
  });

  it("are all taken back when one cannot be made", async () => {
    await withBpfFs(async (root) => {
      await withLoaded("pinned", programs, (obj) => {
        obj.map("own").pin(`${root}/visit`);
        // The maps come first; `own` is pinned elsewhere, or the program's name is taken.
        expect(() => obj.pin(root)).toThrow(StateError);
        expect(pinsIn(root)).toEqual(["visit"]);
        obj.map("own").unpin();
      });
      await withLoaded("pinned", programs, (obj) => {
        obj.program("visit").pin(`${root}/visit`);
        expect(() => obj.pin(root)).toThrow(/program visit.*EEXIST/);
        expect(pinsIn(root)).toEqual(["visit"]);
        expect(obj.maps.some(({ isPinned }) => isPinned)).toBe(false);
      });
    });
  });
});
