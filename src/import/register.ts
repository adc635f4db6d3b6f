// `node --import bpfkit/register`: from then on `import skeleton from "./minimal.bpf.o"` gives the typed skeleton.

import * as nodeModule from "node:module";
import { MessageChannel } from "node:worker_threads";
import { addRequire } from "./require.js";

/** Newer than the oldest types: hooks in the importing thread, since Node.js 22.15. */
interface WithSyncHooks {
  registerHooks?(hooks: { load: unknown }): void;
}

// `node --watch` restarts when one of the files changes that its child names. It learns of imported modules by itself,
// but not of the headers that a source includes.
const watcher = process.env.WATCH_REPORT_DEPENDENCIES === undefined ? undefined : process.send?.bind(process);
const watch = (urls: readonly string[]): void => {
  watcher?.({ "watch:import": urls });
};

const { registerHooks } = nodeModule as WithSyncHooks;
if (registerHooks !== undefined) {
  const { load, setReport } = await import("./hooks.js");
  setReport(watch);
  registerHooks({ load });
} else {
  const { port1, port2 } = new MessageChannel();
  port1.on("message", watch).unref();
  nodeModule.register("./hooks.js", import.meta.url, {
    data: { port: watcher === undefined ? undefined : port2 },
    transferList: watcher === undefined ? [] : [port2],
  });
  if (watcher === undefined) port1.close();
  addRequire(watch);
}
