// What `npm run fuzz` and its worker processes tell each other.

import type { Finding } from "./session.js";

/** What the parent asks for. */
export interface WorkerTask {
  readonly seed: number;
  readonly seconds: number;
  readonly targets: readonly string[];
  readonly coverage: boolean;
  /** Where the input that is being run is written: its target's index, its number, its bytes. */
  readonly journal: string;
  /** Where inputs of findings go. */
  readonly folder: string;
  /** One input of the first target instead of a session. */
  readonly replay?: string;
}

/** What the worker tells. */
export type WorkerMessage =
  | {
      readonly kind: "progress";
      readonly executions: Readonly<Record<string, number>>;
      readonly blocks: number;
      readonly kept: number;
      readonly ownErrors: readonly string[];
    }
  | {
      readonly kind: "finding";
      readonly finding: Omit<Finding, "input"> & { readonly file: string; readonly bytes: number };
    }
  | { readonly kind: "done" };

/** Head of the journal: index of the target, number of the execution, length of the input; 4 bytes each. */
export const JOURNAL_HEAD = 12;
