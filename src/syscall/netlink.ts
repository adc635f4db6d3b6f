// Conversations with the kernel by AF_NETLINK sockets (UAPI linux/netlink.h): traffic control and XDP that outlive their
// process (libbpf.md 1.14). One request at a time; the kernel answers inside the call, so nothing waits for long.

import { Errno } from "./errno.js";
import { check, type FailureDetails, systemCallError } from "./failure.js";
import type { FileDescriptor } from "./fd.js";
import { ffi } from "./ffi.js";
import { addressOf, alive } from "./memory.js";
import {
  messagesOf,
  type NetlinkMessage,
  NLMSG_DONE,
  NLMSG_ERROR,
  netlinkMessage,
  structBytes,
  verdictOf,
} from "./netlink-message.js";
import { openSocket, SOL_SOCKET, setSocketOption } from "./sockets.js";

/** UAPI linux/socket.h, asm-generic/socket.h, linux/netlink.h. */
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_PEEK_TRUNC = 0x2 | 0x20;
const MSG_TRUNC = 0x20;

const protocols = { route: 0, generic: 16 } as const;

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP_INTR = 0x10;
const NLM_F_DUMP = 0x300;

/** How long an answer may take, in rounds of one second: the kernel may be waiting for its lock on network devices. */
const MAX_ROUNDS = 30;
/** The kernel's own messages are far smaller; parts of dumps have at most 32 KiB. */
const MAX_DATAGRAM = 1 << 22;
const MAX_DUMP_TRIES = 8;

/** What to ask. */
export interface NetlinkRequest {
  /** RTM_* or the number of a generic family. */
  type: number;
  /** NLM_F_* besides NLM_F_REQUEST and NLM_F_ACK. */
  flags?: number | undefined;
  /** What follows the header. */
  body: Uint8Array;
  /** Asks for all objects (NLM_F_DUMP). */
  dump?: boolean | undefined;
  /** For messages: `RTM_NEWTFILTER`. */
  operation: string;
  details?: FailureDetails | undefined;
}

/**
 * A netlink socket. It belongs for ever to the network namespace that the thread was in when it was made. Low level.
 *
 * No function of libbpf's: its sockets are internal.
 */
export class Netlink implements Disposable {
  readonly descriptor: FileDescriptor;
  readonly #port: number;
  #sequence = 0;

  /** @throws SystemCallError */
  constructor(protocol: keyof typeof protocols) {
    this.descriptor = openSocket(
      { family: AF_NETLINK, type: SOCK_RAW, protocol: protocols[protocol] },
      "netlink socket",
    );
    try {
      this.#port = this.#open();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Sends a request and waits for all of its answer: the messages before the acknowledgement, or all parts of a dump. A
   * dump during which the objects changed is asked for again.
   *
   * @throws SystemCallError with what the kernel wrote about the refusal (extended acknowledgement)
   */
  request(request: NetlinkRequest): NetlinkMessage[] {
    for (let tries = 1; ; tries++) {
      const messages = this.#ask(request);
      const interrupted = messages.some(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0);
      if (request.dump !== true || !interrupted || tries === MAX_DUMP_TRIES) return messages;
    }
  }

  close(): void {
    this.descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #ask({ type, flags = 0, body, dump = false, operation, details }: NetlinkRequest): NetlinkMessage[] {
    const sequence = ++this.#sequence;
    const own = NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK);
    this.#send(netlinkMessage({ type, flags: flags | own, sequence, port: this.#port, body }), operation);
    const answer: NetlinkMessage[] = [];
    for (;;) {
      const messages = messagesOf(this.#receive(operation));
      if (messages === undefined) throw systemCallError(operation, Errno.EBADMSG, details);
      for (const message of messages) {
        // What answers somebody else's or an earlier request is not for us.
        if (message.sequence !== sequence || message.port !== this.#port) continue;
        if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
          answer.push(message);
          continue;
        }
        const verdict = verdictOf(message);
        if (verdict === undefined) throw systemCallError(operation, Errno.EBADMSG, details);
        if (verdict.errno !== 0) throw systemCallError(operation, verdict.errno, { ...details, log: verdict.reason });
        return answer;
      }
    }
  }

  #open(): number {
    const { syscall, numbers } = ffi();
    const socket = this.descriptor.number;
    const option = (level: number, name: number, value: Uint8Array) => setSocketOption(socket, level, name, value);
    const on = structBytes(4, [[0, 4, 1]]);
    // Reasons in words are since Linux 4.12, acknowledgements without the request since 4.3; without them all works, too.
    option(SOL_NETLINK, NETLINK_EXT_ACK, on);
    option(SOL_NETLINK, NETLINK_CAP_ACK, on);
    check(option(SOL_SOCKET, SO_RCVTIMEO, structBytes(16, [[0, 4, 1]])), "setsockopt(SO_RCVTIMEO)");
    const address = structBytes(SOCKADDR, [[0, 2, AF_NETLINK]]);
    check(
      alive(address, () => syscall(numbers.bind, socket, addressOf(address), SOCKADDR)),
      "bind(AF_NETLINK)",
    );
    const length = structBytes(4, [[0, 4, SOCKADDR]]);
    const result = alive([address, length], () =>
      syscall(numbers.getsockname, socket, addressOf(address), addressOf(length)),
    );
    check(result, "getsockname(AF_NETLINK)");
    return portOf(address);
  }

  #send(message: Uint8Array, operation: string): void {
    const { syscall, numbers } = ffi();
    const kernel = structBytes(SOCKADDR, [[0, 2, AF_NETLINK]]);
    const send = (): number =>
      alive([message, kernel], () =>
        syscall(
          numbers.sendto,
          this.descriptor.number,
          addressOf(message),
          message.length,
          0,
          addressOf(kernel),
          SOCKADDR,
        ),
      );
    for (let round = 0; ; round++) {
      const result = send();
      if ((result === -Errno.EINTR || result === -Errno.EAGAIN) && round < MAX_ROUNDS) continue;
      check(result, operation);
      return;
    }
  }

  /** One datagram of the kernel's. */
  #receive(operation: string): Uint8Array {
    for (;;) {
      const size = this.#receiveInto(new Uint8Array(1), MSG_PEEK_TRUNC, operation).length;
      if (size > MAX_DATAGRAM) throw systemCallError(operation, Errno.EMSGSIZE);
      const datagram = new Uint8Array(size);
      const { from, length } = this.#receiveInto(datagram, MSG_TRUNC, operation);
      if (from === 0) return datagram.subarray(0, Math.min(length, size));
    }
  }

  #receiveInto(into: Uint8Array, flags: number, operation: string): { length: number; from: number } {
    const { syscall, numbers } = ffi();
    const address = new Uint8Array(SOCKADDR);
    const size = structBytes(4, [[0, 4, SOCKADDR]]);
    for (let round = 0; ; round++) {
      const length = alive([into, address, size], () =>
        syscall(
          numbers.recvfrom,
          this.descriptor.number,
          addressOf(into),
          into.length,
          flags,
          addressOf(address),
          addressOf(size),
        ),
      );
      if (length === -Errno.EINTR) continue;
      if (length !== -Errno.EAGAIN) return { length: check(length, operation), from: portOf(address) };
      if (round === MAX_ROUNDS) throw systemCallError(operation, Errno.ETIMEDOUT);
    }
  }
}

/** struct sockaddr_nl: family, padding, port, groups. */
const SOCKADDR = 12;

function portOf(address: Uint8Array): number {
  return new DataView(address.buffer).getUint32(4, true);
}
