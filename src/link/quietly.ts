// Ending attachments that may have ended already.

import { BpfkitError } from "../errors.js";
import { log } from "../log.js";

/** For detaching: the target may be gone, which is what was wanted. */
export function quietly(target: string, detach: () => void): void {
  try {
    detach();
  } catch (error) {
    if (!BpfkitError.isBpfkitError(error)) throw error;
    log.debug(() => `detaching from ${target}: ${error.message}`);
  }
}
