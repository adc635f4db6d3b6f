// After `npm run build`: every entry point of package.json can be imported by its name, has its declarations, loads no
// native code, and shares its classes with the others. Run by .ci/run.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);
const { exports } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as {
  exports: Record<string, string | { types: string; default: string }>;
};
const complaints: string[] = [];
const modules = new Map<string, Record<string, unknown>>();

for (const [name, entry] of Object.entries(exports)) {
  if (typeof entry === "string") continue;
  for (const file of [entry.types, entry.default]) {
    if (!existsSync(new URL(file, root))) complaints.push(`${name}: ${file} is missing`);
  }
  const specifier = `bpfkit${name.slice(1)}`;
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

for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exit(1);
console.log(`package: ${modules.size} entry points in ${fileURLToPath(root)}`);
