// Which versions of bundlers the plugins are tried with: `npm run test:bundlers` installs them, and the README names them.

/** Names of their packages. Vite 8 brings Rolldown along, with which the tests run by themselves. */
export const bundlers = ["esbuild", "rollup", "vite"] as const;

/** What is tried together; of each version the newest release. */
export const bundlerSets: readonly Readonly<Record<(typeof bundlers)[number], string>>[] = [
  { esbuild: "0.17", rollup: "3", vite: "5" },
  { esbuild: "0.21", rollup: "4", vite: "6" },
  { esbuild: "0.25", rollup: "4", vite: "7" },
  { esbuild: "0.28", rollup: "4", vite: "8" },
];
