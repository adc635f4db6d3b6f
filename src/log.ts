// One log, three levels, as libbpf has them (libbpf.md 1, "Logging"). Pure: no import, works in a browser too.

/** Severity of a log line, libbpf's LIBBPF_WARN, LIBBPF_INFO and LIBBPF_DEBUG. */
export type LogLevel = "warn" | "info" | "debug";

/** Receives every log line. `message` has no level prefix and no newline. */
export type Logger = (level: LogLevel, message: string) => void;

function toStderr(level: LogLevel, message: string): void {
  if (level === "warn") console.error(`bpfkit: ${message}`);
}

let current: Logger | null = toStderr;

/**
 * Replaces the logger and returns the previous one; `null` silences. The default prints warnings to stderr.
 *
 * libbpf: `libbpf_set_print`.
 */
export function setLogger(logger: Logger | null): Logger | null {
  const previous = current;
  current = logger;
  return previous;
}

/** Where the library writes. A logger that throws does not disturb the operation that logged. */
export const log = {
  warn: (message: string): void => write("warn", message),
  info: (message: string): void => write("info", message),
  /** `message` is a function, so that text which nobody reads is not composed. */
  debug: (message: () => string): void => {
    if (current !== null && current !== toStderr) write("debug", message());
  },
} as const;

function write(level: LogLevel, message: string): void {
  try {
    current?.(level, message);
  } catch {
    // A broken logger must not change what the library does.
  }
}
