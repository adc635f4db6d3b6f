// bpf() commands on type information.

import { btfLoadLayout } from "./attr-layout.js";
import { attrOf, type LogOptions, tokenFlag, tryBpf } from "./bpf-call.js";
import { type FdLike, FileDescriptor } from "./fd.js";

/** What to load. */
export interface BtfLoadOptions {
  /** A whole BTF blob with its header, in the machine's byte order. */
  bytes: Uint8Array;
  log?: LogOptions | undefined;
  /** BPF token; sets BPF_F_TOKEN_FD (Linux 6.9). */
  token?: FdLike | undefined;
}

/** BTF in the kernel, or why not. */
export type BtfLoadResult = (
  | { readonly fd: FileDescriptor; readonly errno: 0 }
  | { readonly fd: undefined /** Positive errno. */; readonly errno: number }
) & {
  /** Bytes that the whole log has with its NUL, whatever fitted; 0 without log and before Linux 6.4. */
  readonly logTrueSize: number;
};

/**
 * Loads type information. BPF_BTF_LOAD, Linux 4.18; libbpf: `bpf_btf_load`.
 *
 * @throws ArgumentError. A refusal is a result, as with `progLoad`.
 */
export function btfLoad({ bytes, log: options, token }: BtfLoadOptions): BtfLoadResult {
  const log = options !== undefined && options.level !== 0 ? options : undefined;
  const attr = attrOf("BTF_LOAD", btfLoadLayout, {
    btf: bytes,
    btf_size: bytes.byteLength,
    btf_log_buf: log?.buffer,
    btf_log_size: log?.buffer.byteLength,
    btf_log_level: log?.level,
    btf_flags: tokenFlag(undefined, token),
    btf_token_fd: token,
  });
  const result = tryBpf("BTF_LOAD", attr);
  const logTrueSize = attr.u32("btf_log_true_size");
  if (result < 0) return { fd: undefined, errno: -result, logTrueSize };
  return { fd: new FileDescriptor(result, "BTF"), errno: 0, logTrueSize };
}
