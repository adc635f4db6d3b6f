// The one door to native code: everything that bpfkit asks of koffi, as one small interface. koffi is loaded at the
// first call, not at import, so that the pure parts of bpfkit work where koffi does not. Another back end (node:ffi,
// bun:ffi) would implement `Ffi` and nothing else would change.

import { createRequire } from "node:module";
import { UnsupportedError } from "../errors.js";
import { type SyscallNumbers, syscallNumbers } from "./arch.js";

/** An argument of a system call: an integer in 64 bits, or an address. */
export type Word = number | bigint;

/** A libuv poll handle. Calling anything but `close` after `close` crashes the process (typescript.md 1.7): see FdWatcher. */
export interface PollHandle {
  /** Resumes after `stop`. */
  start(): void;
  stop(): void;
  close(): void;
  ref(): void;
  unref(): void;
}

/** What bpfkit needs from a foreign function layer. Failing calls return `-errno`; nothing else tells an error. */
export interface Ffi {
  readonly numbers: SyscallNumbers;
  /** `bpf(command, attr, size)`; the hot one. `attr` is an address whose memory the caller keeps alive. */
  bpf(command: number, attr: bigint, size: number): number;
  /** Any system call with up to six words. Arguments are not checked here: koffi truncates silently. */
  syscall(number: number, a?: Word, b?: Word, c?: Word, d?: Word, e?: Word, f?: Word): number;
  /** The same on a thread of libuv's pool. For calls that may take long, never for waiting. */
  syscallAsync(number: number, a?: Word, b?: Word, c?: Word, d?: Word, e?: Word, f?: Word): Promise<number>;
  /** Address of the first byte of a view. Valid only as long as the view's buffer is referenced. */
  address(memory: ArrayBufferView): bigint;
  /** An ArrayBuffer over foreign memory. Touching it after the memory is unmapped crashes the process. */
  view(address: bigint, length: number): ArrayBuffer;
  /**
   * Calls `onReadable` from the event loop while `fd` is readable. `undefined` where the runtime has no such handle
   * (Bun). An fd that cannot be polled aborts the process: only ever give it an epoll descriptor.
   */
  poll(fd: number, onReadable: () => void): PollHandle | undefined;
}

type Koffi = typeof import("koffi");

let loaded: Ffi | undefined;

/**
 * The foreign function layer, loaded on first use.
 *
 * @throws UnsupportedError (`UNSUPPORTED`, `FFI`) where it cannot work.
 */
export function ffi(): Ffi {
  loaded ??= create();
  return loaded;
}

function create(): Ffi {
  const numbers = syscallNumbers(process.platform, process.arch);
  let koffi: Koffi;
  try {
    koffi = createRequire(import.meta.url)("koffi") as Koffi;
  } catch (cause) {
    throw loadFailure(cause);
  }
  return bind(koffi, numbers);
}

/** Turns what loading koffi throws into one clear sentence. */
export function loadFailure(cause: unknown): UnsupportedError {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  if (code === "ERR_DLOPEN_DISABLED") {
    return new UnsupportedError(
      "Node.js runs with --permission, which forbids the native addon that makes system calls",
      {
        code: "FFI",
        hint: "add --allow-addons",
        cause,
      },
    );
  }
  if (code === "ERR_ACCESS_DENIED") {
    return new UnsupportedError("Node.js runs with --permission and may not read the files of the koffi package", {
      code: "FFI",
      hint: "add --allow-fs-read for node_modules, and --allow-addons",
      cause,
    });
  }
  return new UnsupportedError("koffi, the package that makes system calls, could not be loaded", {
    code: "FFI",
    hint: `its prebuilt binary for ${process.platform}-${process.arch} is an optional dependency: install without --omit=optional, on the machine that runs it`,
    cause,
  });
}

function bind(koffi: Koffi, numbers: SyscallNumbers): Ffi {
  // null is the running program, whose C library exports `syscall` whatever its file is called (glibc, musl). Fixed
  // prototypes of the variadic function are legal for integers and pointers on all ABIs in arch.ts, and faster
  // (typescript.md 1.2, 1.4).
  const library = koffi.load(null);
  const errno = koffi.errno as () => number;
  const callBpf: (number: number, command: number, attr: bigint, size: number) => number = library.func(
    "syscall",
    "int",
    ["long", "int", "void *", "uint32_t"],
  );
  const callAny = library.func("syscall", "long", [
    "long",
    "int64_t",
    "int64_t",
    "int64_t",
    "int64_t",
    "int64_t",
    "int64_t",
  ]);
  const bpfNumber = numbers.bpf;

  // errno is the thread's own and any code between the call and the read may change it (typescript.md 1.3): in these
  // three functions nothing stands between the two.
  return {
    numbers,
    bpf(command, attr, size) {
      const result = callBpf(bpfNumber, command, attr, size);
      return result < 0 ? -errno() : result;
    },
    syscall(number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) {
      const result: number = callAny(number, a, b, c, d, e, f);
      return result === -1 ? -errno() : result;
    },
    syscallAsync(number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) {
      return new Promise((resolve, reject) => {
        callAny.async(number, a, b, c, d, e, f, (error: unknown, result: number) => {
          const value = result === -1 ? -errno() : result;
          if (error === null || error === undefined) resolve(value);
          else reject(error);
        });
      });
    },
    address: (memory) => koffi.address(memory),
    view: (address, length) => koffi.view(address, length),
    poll(fd, onReadable) {
      // Bun panics in libuv's poll, so there the function counts as absent although it exists.
      if (typeof koffi.node?.poll !== "function" || process.versions.bun !== undefined) return undefined;
      const handle = koffi.node.poll(fd, { readable: true }, onReadable);
      return {
        start: () => handle.start({ readable: true }, onReadable),
        stop: () => handle.stop(),
        close: () => handle.close(),
        ref: () => handle.ref(),
        unref: () => handle.unref(),
      };
    },
  };
}

/** {@link Ffi.poll}, for the watcher in src/events. */
export function pollHandle(fd: number, onReadable: () => void): PollHandle | undefined {
  return ffi().poll(fd, onReadable);
}
