// Where the kernel's types are found: its own file, then images of it.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Btf, BtfBuilder } from "../../src/btf/index.js";
import { parseElf } from "../../src/elf/index.js";
import { BtfError } from "../../src/errors.js";
import { BpfObject } from "../../src/index.js";
import { loadKernelBtf, searchKernelBtf } from "../../src/kernel/btf.js";
import { readBtfBytes, readBtfFile } from "../../src/kernel/btf-source.js";
import { makeElf } from "../support/any-elf.js";
import { fixtureBytes, fixturePath } from "../support/fixtures.js";
import { kernelDescribe, kernelIt } from "../support/needs.js";
import { runModule } from "../syscall/process.js";

const directory = mkdtempSync(join(tmpdir(), "bpfkit-btf-"));
afterAll(() => rmSync(directory, { recursive: true }));

function typesOf(name: string): Uint8Array {
  const builder = new BtfBuilder();
  builder.addInt(name, 4);
  return builder.build();
}

let files = 0;
function file(bytes: Uint8Array): string {
  const path = join(directory, `file${files++}`);
  writeFileSync(path, bytes);
  return path;
}

describe("the kernel's types", () => {
  const raw = file(typesOf("raw"));
  const image = file(makeElf({ ".text": new Uint8Array(100), ".BTF": typesOf("image") }, {}));
  const without = file(makeElf({ ".text": new Uint8Array(100) }, {}));
  const missing = join(directory, "missing");
  const found = (places: Parameters<typeof searchKernelBtf>[1]) => searchKernelBtf("a test", places).nameOf(1);

  it("come from the kernel's own file, else from the first image that has them", () => {
    const second = file(makeElf({ ".BTF": typesOf("second") }, {}));
    expect(found({ raw, images: [image] })).toBe("raw");
    expect(found({ raw: missing, images: [missing, without, image, second] })).toBe("image");
    expect(found({ raw: missing, images: [second, image] })).toBe("second");
  });

  it("are looked for in all places of the running kernel, which the error tells", () => {
    let error: unknown;
    try {
      searchKernelBtf("program x", { raw: missing });
    } catch (thrown) {
      error = thrown;
    }
    // A machine with an image of its kernel has them after all.
    if (error === undefined) return;
    expect(error).toBeInstanceOf(BtfError);
    const text = String(error);
    expect(text).toContain(
      `the kernel's BTF is needed for program x, and was not found in ${missing} (no such file), `,
    );
    const name = release();
    for (const place of [
      `/boot/vmlinux-${name}`,
      `/lib/modules/${name}/vmlinux-${name}`,
      `/lib/modules/${name}/build/vmlinux`,
      `/usr/lib/modules/${name}/kernel/vmlinux`,
      `/usr/lib/debug/boot/vmlinux-${name}`,
      `/usr/lib/debug/boot/vmlinux-${name}.debug`,
      `/usr/lib/debug/lib/modules/${name}/vmlinux`,
    ]) {
      expect(text).toContain(place);
    }
  });

  it("that are nowhere are an error with the reason for every place", () => {
    const damaged = file(Uint8Array.of(1, 2, 3));
    const debug = file(makeElf({ ".BTF": typesOf("debug") }, { type: 8 }));
    const search = () => searchKernelBtf("a test", { raw: directory, images: [without, damaged, debug] });
    expect(search).toThrow(BtfError);
    expect(search).toThrow(`${directory} (EISDIR)`);
    expect(search).toThrow(`${without} (the file has no type information (no section .BTF))`);
    expect(search).toThrow(new RegExp(`${damaged} \\([^)]+\\)`));
    expect(search).toThrow(`${debug} (the section has no contents in this file)`);
  });
});

kernelDescribe("the types of the running kernel", { needs: ["tp_btf"] }, () => {
  it("are those of its file, and searched once", () => {
    const btf = loadKernelBtf("a test");
    expect(Buffer.compare(btf.bytes, readFileSync("/sys/kernel/btf/vmlinux"))).toBe(0);
    expect(btf.findByName("task_struct", "struct")).toBeGreaterThan(0);
    expect(loadKernelBtf("another test")).toBe(btf);
  });

  kernelIt("stay in the kernel's memory until nothing uses them", { needs: ["btf_mmap"] }, () => {
    const { output } = runModule(
      `
      import { readFileSync } from "node:fs";
      import { searchKernelBtf } from "./src/kernel/btf.ts";
      const mapped = () => readFileSync("/proc/self/maps", "utf8").split("/sys/kernel/btf/vmlinux").length - 1;
      let held = searchKernelBtf("a test");
      const during = mapped();
      held = undefined;
      for (let turn = 0; turn < 200 && mapped() > 0; turn++) {
        gc();
        await new Promise((done) => setTimeout(done, 10));
      }
      console.log(JSON.stringify({ during, after: mapped() }));`,
      ["--expose-gc"],
    );
    // And nothing else: who forgets to close mapped memory is warned.
    expect(output).toBe(`${JSON.stringify({ during: 1, after: 0 })}\n`);
  });
});

describe("types for CO-RE", () => {
  it("are taken from raw BTF, BPF objects and kernel images, as bytes or as files", () => {
    const raw = typesOf("thing");
    for (const bits of [32, 64] as const) {
      for (const bytes of [raw, makeElf({ ".data": new Uint8Array(50), ".BTF": raw }, { bits })]) {
        expect(readBtfBytes(bytes).nameOf(1)).toBe("thing");
        expect(readBtfFile(file(bytes)).nameOf(1)).toBe("thing");
        for (const kernelBtf of [bytes, file(bytes)]) BpfObject.open(fixturePath("core"), { kernelBtf }).close();
      }
    }
    const own = parseElf(fixtureBytes("core")).section(".BTF")!.data;
    expect(Buffer.compare(readBtfBytes(fixtureBytes("core")).bytes, own)).toBe(0);
    expect(Buffer.compare(readBtfFile(fixturePath("core")).bytes, own)).toBe(0);
  });

  it("are read out of a large image without the rest of it", () => {
    const path = join(directory, "large");
    const btf = typesOf("far");
    const elf = makeElf({ ".BTF": btf }, {});
    // A hole of 64 GiB between the header and everything else.
    const shift = 2 ** 36;
    const view = new DataView(elf.buffer);
    const table = Number(view.getBigUint64(40, true));
    for (const at of [40, table + 64 + 24, table + 128 + 24]) {
      view.setBigUint64(at, view.getBigUint64(at, true) + BigInt(shift), true);
    }
    const fd = openSync(path, "w");
    writeSync(fd, elf, 0, 64, 0);
    writeSync(fd, elf, 64, elf.length - 64, shift + 64);
    closeSync(fd);
    expect(readBtfFile(path).nameOf(1)).toBe("far");
  });

  it("of a kernel module are refused by name", () => {
    for (const mark of [".BTF.base", ".gnu.linkonce.this_module"]) {
      const bytes = makeElf({ [mark]: new Uint8Array(4), ".BTF": typesOf("split") }, {});
      expect(() => readBtfBytes(bytes)).toThrow(
        /the file is a kernel module, whose types build on those of the kernel/,
      );
      expect(() => BpfObject.open(fixturePath("core"), { kernelBtf: file(bytes) })).toThrow(/is a kernel module/);
    }
  });

  it("that are not there are an error with the file", () => {
    const open = (kernelBtf: string | Uint8Array) => () => BpfObject.open(fixturePath("core"), { kernelBtf });
    expect(open(join(directory, "missing"))).toThrow(/missing: the file cannot be read: ENOENT/);
    expect(open(makeElf({ ".text": new Uint8Array(4) }, {}))).toThrow(/kernelBtf: the file has no type information/);
    expect(open(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46))).toThrow(/kernelBtf, offset 0x0: the ELF header ends at 0x10/);
  });
});

describe("a name in split BTF", () => {
  it("is found among all types, or only among its own", () => {
    const base = Btf.parse(typesOf("shared"));
    const builder = new BtfBuilder({ base });
    const own = builder.addInt("shared", 8);
    const btf = Btf.parse(builder.build(), { base });
    expect([btf.findByName("shared"), btf.findOwnByName("shared"), btf.findOwnByName("shared", "struct")]).toEqual([
      1,
      own,
      undefined,
    ]);
    expect([...btf.names("int")]).toEqual(["shared"]);
  });
});
