// Traffic over the loopback device of a network namespace of the caller's own. By bare system calls, which all happen on
// the thread that is in the namespace: nothing else may run meanwhile, so everything is synchronous.

import { call, ProbeError, struct, text } from "./features/calls.js";
import { inNewNetwork } from "./features/probes-net.js";
import { soon } from "./fixtures.js";

const [AF_INET, SOCK_STREAM, SOCK_DGRAM] = [2, 1, 2];
const [SIOCSIFFLAGS, UP_RUNNING] = [0x8914, 0x41];
const [SOL_SOCKET, SO_REUSEPORT, SO_RCVTIMEO] = [1, 15, 20];
const MSG_DONTWAIT = 0x40;
/** struct timeval: what does not arrive fails its test, instead of keeping the thread for ever. */
const FIVE_SECONDS = new Uint8Array(BigInt64Array.of(5n, 0n).buffer);
const LOCALHOST = 0x0100007f;

/** What can be done inside the namespace. */
export interface Loopback {
  /** Takes over a descriptor until the namespace is left. */
  own(fd: number): number;
  /** Sends one datagram from a new socket to a new socket, and receives it. */
  sendDatagram(): void;
  /** Makes a datagram socket with an address, in a reuseport group if a port is given, and tells its port. */
  datagramSocket(port?: number): { readonly fd: number; readonly port: number };
  /**
   * Sends from a new socket to a port, and waits until one of these sockets has it: a busy kernel delivers later, on
   * another thread, also over the loopback device. Without any it does not wait.
   */
  sendTo(port: number, ...receivers: readonly number[]): void;
  /** Makes a connection and returns both ends. */
  connect(): { readonly client: number; readonly server: number };
  /** Writes to one end and reads what arrives at the other. */
  pass(from: number, to: number): void;
}

/** Runs `body` in a new network namespace whose loopback device is up. */
export function withLoopback<T>(body: (network: Loopback) => T): T {
  return inNewNetwork((own) => {
    const control = own(call("socket", AF_INET, SOCK_DGRAM, 0));
    const request = struct(40, [[16, "u16", UP_RUNNING]]);
    request.set(text("lo"));
    call("ioctl", control, SIOCSIFFLAGS, request);

    const datagramSocket = (port?: number): { fd: number; port: number } => {
      const fd = own(call("socket", AF_INET, SOCK_DGRAM, 0));
      call("setsockopt", fd, SOL_SOCKET, SO_REUSEPORT, struct(4, [[0, "u32", 1]]), 4);
      call("bind", fd, addressOf(port ?? 0), 16);
      return { fd, port: portOf(fd) };
    };
    const sendTo = (port: number, ...receivers: readonly number[]): void => {
      const fd = own(call("socket", AF_INET, SOCK_DGRAM, 0));
      call("sendto", fd, text("hello"), 5, 0, addressOf(port), 16);
      if (receivers.length > 0 && !soon(() => receivers.some(hasReceived))) throw new Error("the datagram got lost");
    };
    const receive = (fd: number): void => {
      call("setsockopt", fd, SOL_SOCKET, SO_RCVTIMEO, FIVE_SECONDS, 16);
      const into = new Uint8Array(64);
      call("recvfrom", fd, into, into.length, 0, 0, 0);
    };
    return body({
      own,
      datagramSocket,
      sendTo,
      sendDatagram() {
        const { fd, port } = datagramSocket();
        sendTo(port);
        receive(fd);
      },
      connect() {
        const listener = own(call("socket", AF_INET, SOCK_STREAM, 0));
        call("bind", listener, addressOf(0), 16);
        call("listen", listener, 8);
        const client = own(call("socket", AF_INET, SOCK_STREAM, 0));
        call("connect", client, addressOf(portOf(listener)), 16);
        return { client, server: own(call("accept", listener, 0, 0)) };
      },
      pass(from, to) {
        call("sendto", from, text("hello"), 5, 0, 0, 0);
        receive(to);
      },
    });
  });
}

/** struct sockaddr_in: family, port in network byte order, address. */
function addressOf(port: number): Uint8Array {
  return struct(16, [
    [0, "u16", AF_INET],
    [2, "u8", port >> 8],
    [3, "u8", port & 0xff],
    [4, "u32", LOCALHOST],
  ]);
}

/** Takes what has arrived, if anything has. */
function hasReceived(socket: number): boolean {
  try {
    call("recvfrom", socket, new Uint8Array(64), 64, MSG_DONTWAIT, 0, 0);
    return true;
  } catch (error) {
    if (error instanceof ProbeError && error.message.endsWith(": EAGAIN")) return false;
    throw error;
  }
}

function portOf(socket: number): number {
  const address = addressOf(0);
  call("getsockname", socket, address, struct(4, [[0, "u32", 16]]));
  return (address[2]! << 8) | address[3]!;
}
