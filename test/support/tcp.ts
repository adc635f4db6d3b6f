// TCP connections over loopback in a network namespace of the caller's own, and which congestion control they use. By
// bare system calls: everything has to happen on the thread that is in the namespace.

import { readFileSync } from "node:fs";
import { call, struct, text } from "./features/calls.js";
import { inNewNetwork } from "./features/probes-net.js";

const [AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_CONGESTION] = [2, 1, 6, 13];
const [SIOCSIFFLAGS, UP_RUNNING] = [0x8914, 0x41];

/** What can be done inside the namespace. */
export interface TcpNetwork {
  /** Names of the congestion controls that sockets may choose. */
  available(): string[];
  /** Connects to a listener with this congestion control; the connection ends with the namespace. Returns its true name. */
  connect(congestionControl: string): string;
}

/** Runs `body` in a new network namespace whose loopback device is up. */
export function withLoopback<T>(body: (own: (fd: number) => number) => T): T {
  return inNewNetwork((own) => {
    const socket = own(call("socket", AF_INET, SOCK_STREAM, 0));
    const request = struct(40, [[16, "u16", UP_RUNNING]]);
    request.set(text("lo"));
    call("ioctl", socket, SIOCSIFFLAGS, request);
    return body(own);
  });
}

/** An address of 127.0.0.1; port 0 leaves the choice to bind(). */
export function loopbackAddress(): Uint8Array {
  return struct(16, [
    [0, "u16", AF_INET],
    [4, "u32", 0x0100007f],
  ]);
}

/** Binds a socket to this address, and writes the port it got into it. */
export function bindTo(socket: number, address: Uint8Array): void {
  call("bind", socket, address, 16);
  call("getsockname", socket, address, struct(4, [[0, "u32", 16]]));
}

/** Runs `body` in a new network namespace with a listening socket. */
export function withTcpNetwork<T>(body: (network: TcpNetwork) => T): T {
  return withLoopback((own) => {
    const listener = own(call("socket", AF_INET, SOCK_STREAM, 0));
    const address = loopbackAddress();
    bindTo(listener, address);
    call("listen", listener, 8);
    return body({
      available: () => readFileSync("/proc/sys/net/ipv4/tcp_available_congestion_control", "utf8").trim().split(" "),
      connect(name) {
        const socket = own(call("socket", AF_INET, SOCK_STREAM, 0));
        call("setsockopt", socket, IPPROTO_TCP, TCP_CONGESTION, text(name), name.length);
        // A blocking connect ends when the kernel has shaken hands; nobody needs to accept.
        call("connect", socket, address, 16);
        const answer = new Uint8Array(16);
        call("getsockopt", socket, IPPROTO_TCP, TCP_CONGESTION, answer, struct(4, [[0, "u32", 16]]));
        return new TextDecoder().decode(answer).replace(/\0.*$/s, "");
      },
    });
  });
}
