// Starting node on TypeScript of the checkout: through tsx, or, in a guest of the kernel matrix, on the JavaScript that
// was made of it outside. Under emulation tsx takes ten seconds to start, node half a second.

/** Set by the matrix: the folder that mirrors `src`, `examples` and `test` as JavaScript modules. */
const compiled = process.env.BPFKIT_COMPILED;

/** Arguments for node that run this script; the path is below the checkout, which is the working directory. */
export function scriptArguments(path: string): string[] {
  return compiled === undefined ? ["--import", "tsx", path] : [`${compiled}/${path.replace(/\.ts$/, ".mjs")}`];
}

/** Arguments for node that run this text, a module in JavaScript in which `"./src/….ts"` resolves to the sources. */
export function moduleArguments(source: string): string[] {
  const root = new URL("../../", import.meta.url).pathname;
  const absolute =
    compiled === undefined
      ? source.replaceAll('"./src/', `"${root}src/`)
      : source.replaceAll(/"\.\/src\/([^"]*)\.ts"/g, `"${compiled}/src/$1.mjs"`);
  return [...(compiled === undefined ? ["--import", "tsx"] : []), "--input-type=module", "--eval", absolute];
}

/** The module that a source of the checkout is here, for code that tests write and import. */
export function sourceModule(path: string): string {
  return compiled === undefined
    ? new URL(`../../${path}`, import.meta.url).pathname
    : `${compiled}/${path.replace(/\.ts$/, ".mjs")}`;
}
