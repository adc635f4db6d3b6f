// Iterators: programs that the kernel runs for each of its objects of a kind whenever somebody reads (libbpf.md 1.5).

import { createReadStream, type ReadStream } from "node:fs";
import { type BtfValue, recordCodec } from "../btf/index.js";
import { ArgumentError, ValueError } from "../errors.js";
import { AttachType } from "../object/index.js";
import type { ObjectTypes, ProgramHandle } from "../program/index.js";
import { type FdLike, type FileDescriptor, fdNumber, iterCreate, linkCreate, readFdToEnd } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink, type LinkParts } from "./link.js";
import { withFile } from "./targets.js";

/** enum bpf_cgroup_iter_order (UAPI linux/bpf.h). */
const orders = { self: 1, descendants: 2, "descendants-first": 3, ancestors: 4 } as const;

/** What an iterator goes through; nothing for those that go through all objects of their kind. */
export interface IterOptions {
  /** `iter/bpf_map_elem`, `iter/bpf_sk_storage_map`: the map whose elements are meant. Linux 5.8. */
  map?: { readonly descriptor: FileDescriptor } | undefined;
  /** `iter/cgroup`: the control group to begin at, a directory or a descriptor. Linux 6.1. */
  cgroup?: string | FdLike | undefined;
  /** `iter/cgroup`: which groups beside that one; by default `descendants` (parents before children). */
  order?: keyof typeof orders | undefined;
  /** `iter/task`, `iter/task_file`, `iter/task_vma`: one thread only. Linux 6.1. */
  tid?: number | undefined;
  /** The same: the threads of one process only. Linux 6.1. */
  pid?: number | undefined;
}

/** Options of {@link IterLink.records}. */
export interface IterRecordOptions {
  /** Name of the C type of every record (struct, union or typedef) in the object's BTF. */
  type: string;
  /** 64-bit integers as `bigint`, or as `number`, exact up to 2^53; by default as the object was opened. */
  int64?: "bigint" | "number" | undefined;
}

/** An attached iterator: reading runs it. */
export class IterLink extends BpfLink {
  readonly #link: FileDescriptor;
  readonly #types: ObjectTypes;

  /** @internal */
  constructor(parts: LinkParts & { readonly link: FileDescriptor; readonly types: ObjectTypes }) {
    super(parts);
    this.#link = parts.link;
    this.#types = parts.types;
  }

  /**
   * A descriptor whose reads run the iterator from the beginning. The caller closes it. Linux 5.8; libbpf:
   * `bpf_iter_create`.
   *
   * @throws StateError after close, SystemCallError
   */
  open(): FileDescriptor {
    void this.fd;
    return iterCreate(this.#link);
  }

  /** Runs the iterator once; all that it wrote (`bpf_seq_write`, `bpf_seq_printf`). @throws as {@link open} */
  read(): Uint8Array {
    using output = this.open();
    return readFdToEnd(output.number);
  }

  /** {@link read} as text. @throws as {@link open} */
  text(): string {
    return new TextDecoder().decode(this.read());
  }

  /**
   * {@link read} as values, for programs that write records of one type with `bpf_seq_write`:
   * `link.records<process>({ type: "process" })`.
   *
   * @throws as {@link open}; BtfError when the object has no such type; ValueError when the program wrote something else
   */
  records<T = BtfValue>({ type, int64 = this.#types.int64 }: IterRecordOptions): T[] {
    const where = { program: this.program };
    const { decode, size, flexible } = recordCodec(this.#types.btf, type, { int64 }, where);
    const bytes = this.read();
    if (size === 0 || flexible || bytes.length % size !== 0) {
      const reason =
        size === 0 || flexible
          ? `records of type ${type} have no size of their own`
          : `the ${bytes.length} bytes that the iterator wrote are no records of ${size} bytes each (${type})`;
      throw new ValueError("VALUE", reason, { ...where, hint: "take the bytes, read(), or the text, text()" });
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return Array.from({ length: bytes.length / size }, (_, index) => decode(view, index * size) as T);
  }

  /** {@link read} piece by piece, off the event loop, for long outputs. @throws as {@link open} */
  stream(): ReadStream {
    return createReadStream("", { fd: this.open().release() });
  }
}

/**
 * Attaches an iterator. Linux 5.8. libbpf: `bpf_program__attach_iter`.
 *
 * @throws ArgumentError for options that do not go together, SystemCallError with code `ATTACH`
 */
export function attachIter(program: ProgramHandle, options: IterOptions = {}): IterLink {
  const target = `iterator ${program.attachTarget ?? program.sectionName}`;
  const open = (group?: FdLike): IterLink => {
    const info = iterInfo(options, group);
    const base = { program: program.descriptor, attachType: AttachType.trace_iter };
    const link = linkCreate(info === undefined ? base : { ...base, family: "iter", info });
    return new IterLink({ kind: "iter", program: program.name, target, link, types: program.types });
  };
  const { map, cgroup, tid, pid } = options;
  const since =
    map !== undefined ? "5.8" : cgroup !== undefined || tid !== undefined || pid !== undefined ? "6.1" : "5.8";
  const attach = (group?: FdLike): IterLink => explainAttach(program, target, () => open(group), { hints, since });
  return cgroup === undefined ? attach() : withFile(cgroup, "control group", attach);
}

const hints = {
  EBADF: "iterators over the elements of a map want the option map, those over control groups the option cgroup",
  EINVAL: "the options do not belong to this kind of iterator, or the map is not of a type it can go through",
  ESRCH: "there is no such process",
};

/** union bpf_iter_link_info: map {fd}, cgroup {order, fd, id} or task {tid, pid, pidfd}, 32 bits each but the 64-bit id. */
function iterInfo({ map, cgroup, order, tid, pid }: IterOptions, group: FdLike | undefined): Uint8Array | undefined {
  const given = [map, cgroup, tid, pid].filter((option) => option !== undefined).length;
  if (given > 1) throw new ArgumentError("an iterator goes through one of map, cgroup, tid, pid");
  if (order !== undefined && !Object.hasOwn(orders, order)) {
    throw new ArgumentError(`order is one of ${Object.keys(orders).join(", ")}, not ${String(order)}`);
  }
  if (order !== undefined && cgroup === undefined) throw new ArgumentError("order belongs to the option cgroup");
  const info = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.of(...words).buffer);
  if (map !== undefined) return info(map.descriptor.number);
  if (group !== undefined) return info(orders[order ?? "descendants"], fdNumber(group), 0, 0);
  if (tid !== undefined) return info(taskId(tid, "tid"), 0, 0);
  if (pid !== undefined) return info(0, taskId(pid, "pid"), 0);
  return undefined;
}

function taskId(id: number, option: string): number {
  if (Number.isInteger(id) && id > 0 && id <= 0x7fff_ffff) return id;
  throw new ArgumentError(`${option} is the number of a thread or process, not ${id}`);
}
