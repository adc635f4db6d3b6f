// The committed objects belong to the committed sources. No compiler is needed here; `build-fixtures.sh --check`, which
// .ci/run calls, rebuilds them.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { exampleSkeletons } from "../../scripts/example-skeletons.js";

/** Objects that are built in another way than `NAME.bpf.c` → `NAME.bpf.o`, and from what. */
const variants: Readonly<Record<string, string>> = {
  "core.eb.bpf.o": "core",
  "minimal.eb.bpf.o": "minimal",
  "minimal.nobtf.bpf.o": "minimal",
  "subprog_layouts.v1.bpf.o": "subprog_layouts",
  "subprog_layouts.v4.bpf.o": "subprog_layouts",
};

describe.each(["fixtures", "examples"])("%s", (place) => {
  const folder = new URL(`../../${place}/`, import.meta.url);
  const files = readdirSync(folder);
  const sources = files.filter((name) => name.endsWith(".bpf.c"));
  const objects = files.filter((name) => name.endsWith(".bpf.o"));

  it("are one object per source, and the variants", () => {
    const others = place === "fixtures" ? Object.keys(variants) : [];
    expect(objects).toEqual([...sources.map((name) => name.replace(/c$/, "o")), ...others].sort());
  });

  it("were built from the sources as they are (else: npm run fixtures)", () => {
    const listed = readFileSync(new URL("SHA256SUMS", folder), "utf8");
    const actual = [...sources, ...objects].sort().map((name) => {
      const sum = createHash("sha256").update(readFileSync(new URL(name, folder)));
      return `${sum.digest("hex")}  ${name}`;
    });
    expect(
      listed
        .trim()
        .split("\n")
        .sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)),
    ).toEqual(actual);
  });

  it.each(objects)("%s is a BPF object and names no folder of the builder's machine", (name) => {
    const bytes = readFileSync(new URL(name, folder));
    const bigEndian = name.includes(".eb.");
    expect([...bytes.subarray(0, 6)]).toEqual([0x7f, 0x45, 0x4c, 0x46, 2, bigEndian ? 2 : 1]);
    expect(bigEndian ? bytes.readUInt16BE(18) : bytes.readUInt16LE(18)).toBe(247);
    const paths = bytes.toString("latin1").match(/[\w./-]*\.bpf\.c/g) ?? [];
    // Files are named in line information, which only code with BTF has.
    const namesFiles = !name.includes("nobtf") && !name.includes(".types_");
    const source = variants[name] ?? name.replace(/\.bpf\.o$/, "");
    expect([...new Set(paths)]).toEqual(namesFiles ? [`./${place}/${source}.bpf.c`] : []);
    expect(bytes.includes("/home/") || bytes.includes("/root/") || bytes.includes("/work/")).toBe(false);
  });
});

describe("skeletons of the examples", () => {
  it.each(exampleSkeletons())(
    "$path is what the generator makes of the object (else: npm run fixtures)",
    (skeleton) => {
      expect(readFileSync(new URL(`../../${skeleton.path}`, import.meta.url), "utf8")).toBe(skeleton.text);
    },
  );
});
