// Who runs the steps of loading: in place, or with the verifier on a thread of libuv's pool.

import type { LoadSteps } from "../program/index.js";
import { progLoad, progLoadAsync } from "../syscall/index.js";

/** Blocks until the verifier is done with all steps. */
export function runInPlace<T>(steps: LoadSteps<T>): T {
  try {
    let step = steps.next();
    while (step.done !== true) step = steps.next(progLoad(step.value));
    return step.value;
  } finally {
    end(steps);
  }
}

/** Lets the event loop go on while the verifier works. When it is back, `check` may throw to end it there. */
export async function runOffLoop<T>(steps: LoadSteps<T>, check: () => void): Promise<T> {
  try {
    let step = steps.next();
    while (step.done !== true) {
      const result = await progLoadAsync(step.value);
      try {
        check();
      } catch (error) {
        result.fd?.close();
        throw error;
      }
      step = steps.next(result);
    }
    return step.value;
  } finally {
    end(steps);
  }
}

/** Lets steps that were given up close what they hold; nothing happens at the end. */
function end<T>(steps: LoadSteps<T>): void {
  steps.return(undefined as T);
}
