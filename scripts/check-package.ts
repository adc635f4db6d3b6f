// After `npm run build`: every entry point of package.json can be imported by its name, has its declarations, loads no
// native code, and shares its classes with the others; and the programs start. Run by .ci/run.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);
const { bin, exports, version } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as {
  bin: Record<string, string>;
  exports: Record<string, string | { types: string; default: string }>;
  version: string;
};
const complaints: string[] = [];
const modules = new Map<string, Record<string, unknown>>();

for (const [name, entry] of Object.entries(exports)) {
  if (typeof entry === "string") continue;
  for (const file of [entry.types, entry.default]) {
    if (!existsSync(new URL(file, root))) complaints.push(`${name}: ${file} is missing`);
  }
  const specifier = `bpfkit${name.slice(1)}`;
  // Imported for what it does to later imports, which is looked at below.
  if (name === "./register") continue;
  const module = (await import(specifier)) as Record<string, unknown>;
  modules.set(specifier, module);
  if (Object.keys(module).length === 0) complaints.push(`${specifier} exports nothing`);
}

const owners = new Map<string, { specifier: string; value: unknown }>();
for (const [specifier, module] of modules) {
  for (const [name, value] of Object.entries(module)) {
    const owner = owners.get(name);
    if (owner === undefined) owners.set(name, { specifier, value });
    else if (owner.value !== value) complaints.push(`${name} of ${specifier} is not that of ${owner.specifier}`);
  }
}

const report = process.report.getReport() as unknown as { sharedObjects: string[] };
// tsx brings esbuild, which is no library; anything of koffi would be.
const native = report.sharedObjects.filter((path) => path.includes("koffi"));
if (native.length > 0) complaints.push(`importing loads ${native.join(", ")}`);

// Started as npm starts them: by a symbolic link.
const links = mkdtempSync(join(tmpdir(), "bpfkit-bin-"));
for (const [name, file] of Object.entries(bin)) {
  const link = join(links, name);
  symlinkSync(fileURLToPath(new URL(file, root)), link);
  const { stdout, stderr, error } = spawnSync(link, ["--version"], { encoding: "utf8" });
  if (stdout !== `${name} ${version}\n`) complaints.push(`${name} --version: ${error?.message ?? (stderr || stdout)}`);
}
rmSync(links, { recursive: true });

const importing = 'import S from "./fixtures/minimal.bpf.o"; console.log(Object.keys(S.open().maps).join());';
const { stdout: importedMaps, stderr: importError } = spawnSync(
  process.execPath,
  ["--import", "bpfkit/register", "--input-type=module", "--eval", importing],
  { cwd: fileURLToPath(root), env: { ...process.env, BPFKIT_DECLARATIONS: "0" }, encoding: "utf8" },
);
if (importedMaps !== "syscall_count,rodata,bss\n") {
  complaints.push(`node --import bpfkit/register: ${importError || importedMaps}`);
}

for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exit(1);
console.log(`package: ${modules.size} entry points, ${Object.keys(bin).length} program in ${fileURLToPath(root)}`);
