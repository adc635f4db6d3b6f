// Programs on sockets: those of a sockmap or sockhash, and single sockets (libbpf.md 1.5; sockets: SO_ATTACH_BPF, which
// libbpf leaves to the caller).

import { SystemCallError } from "../errors.js";
import { olderThan } from "../kernel/index.js";
import { ProgramType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import {
  detachFromSocket,
  Errno,
  type FdLike,
  FileDescriptor,
  fdNumber,
  linkCreate,
  progAttach,
  progDetach,
  setSocketProgram,
} from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";
import { quietly } from "./quietly.js";

/** A sockmap or sockhash as attaching needs it. */
export interface SocketMap {
  readonly name: string;
  readonly descriptor: FileDescriptor;
}

/**
 * Runs an sk_skb or sk_msg program for the sockets in a sockmap or sockhash. A link since Linux 6.10; before that
 * (Linux 4.14) the attachment ends with close(), or with the map. libbpf: `bpf_program__attach_sockmap`.
 *
 * @throws SystemCallError with code `ATTACH`
 */
export function attachSockmap(program: ProgramHandle, map: SocketMap): BpfLink {
  const target = `the sockets of map ${map.name}`;
  const hints = {
    EBUSY: "another program of this kind is attached to the map",
    EINVAL: "it is no sockmap or sockhash",
    EOPNOTSUPP: "it is no sockmap or sockhash",
  };
  return explainAttach(program, target, () => sockmapLink(program, map, target), { hints, since: "4.14" });
}

function sockmapLink(program: ProgramHandle, map: SocketMap, target: string): BpfLink {
  const { name, descriptor, spec } = program;
  const attachType = spec.expectedAttachType;
  const base = { kind: "sockmap", program: name, target } as const;
  try {
    return new BpfLink({ ...base, link: linkCreate({ program: descriptor, target: map.descriptor, attachType }) });
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== Errno.EINVAL || !olderThan("6.10")) throw error;
  }
  progAttach({ program: descriptor, target: map.descriptor, attachType });
  const held = [map.descriptor.duplicate(), descriptor.duplicate()] as const;
  const detach = (): void => quietly(target, () => progDetach({ program: held[1], target: held[0], attachType }));
  return new BpfLink({ ...base, link: undefined, others: held, detach });
}

/**
 * Runs a socket filter for the packets that a socket receives (Linux 3.19), or lets an sk_reuseport program choose among
 * the sockets of its group (Linux 4.19). The link holds the socket open until it is closed. No function of libbpf's:
 * setsockopt(SO_ATTACH_BPF), setsockopt(SO_ATTACH_REUSEPORT_EBPF).
 *
 * @param socket descriptor of the socket
 * @throws SystemCallError with code `ATTACH`
 */
export function attachSocket(program: ProgramHandle, socket: FdLike): BpfLink {
  const hook = program.spec.type === ProgramType.sk_reuseport ? "reuseport" : "filter";
  const target = `socket ${fdNumber(socket)}`;
  const open = (): BpfLink => {
    setSocketProgram(socket, program.descriptor, hook);
    const held = FileDescriptor.duplicateOf(fdNumber(socket), target);
    const detach = (): void => quietly(target, () => detachFromSocket(held, hook));
    return new BpfLink({ kind: "socket", program: program.name, target, link: undefined, others: [held], detach });
  };
  return explainAttach(program, target, open, { hints: { ENOTSOCK: "the descriptor is no socket's" } });
}
