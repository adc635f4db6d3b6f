// Probes by text: names that would be more than one line are refused before anything is written.

import { expect, it } from "vitest";
import { ArgumentError } from "../../src/index.js";
import { openTraceEvent } from "../../src/link/trace-event.js";

it.each(["f\n-:kprobes/other", "f r:x", "f\0", "f\tx"])("%j is no place of a probe", (place) => {
  expect(() => openTraceEvent("kprobe", { place, onReturn: false })).toThrow(ArgumentError);
});
