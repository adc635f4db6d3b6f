// Loads a fixture many times; started by signals.test.ts under a profiler.

import { BpfObject } from "../../src/index.js";
import { fixturePath } from "../support/fixtures.js";

for (let round = 0; round < 100; round++) {
  const obj = BpfObject.open(fixturePath("subprogs"));
  for (const program of obj.programs) program.autoload = program.name === "call_global";
  obj.loadSync();
  obj.close();
}
