// A pair of netkit devices in a network namespace of the caller's own, and packets over it. By bare system calls, all on
// the thread that is in the namespace.

import { existsSync, writeFileSync } from "node:fs";
import { call, struct, text } from "./features/calls.js";
import { addDevice, inNewNetwork } from "./features/probes-net.js";

const [AF_INET, AF_PACKET, SOCK_DGRAM] = [2, 17, 2];
const [SIOCSIFFLAGS, SIOCGIFINDEX, UP_RUNNING] = [0x8914, 0x8933, 0x41];
/** ETH_P_IP in network byte order, as a little-endian machine reads it. */
const IPV4 = 0x0008;
const NO_IPV6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6";

/** The two devices, by name. */
export const [PRIMARY, PEER] = ["nk0", "nk1"] as const;

/** What can be done inside the namespace. */
interface Netkit {
  /** Sends one packet out of a device. */
  send(device: typeof PRIMARY | typeof PEER): void;
}

/** Runs `body` in a new network namespace with two devices that are up and send nothing by themselves. */
export function withNetkit<T>(body: (network: Netkit) => T): T {
  return inNewNetwork((own) => {
    if (existsSync(NO_IPV6)) writeFileSync(NO_IPV6, "1");
    addDevice(own, "netkit", PRIMARY, PEER);
    const control = own(call("socket", AF_INET, SOCK_DGRAM, 0));
    const ask = (device: string, number: number, flags = 0): Uint8Array => {
      const request = struct(40, [[16, "u16", flags]]);
      request.set(text(device));
      call("ioctl", control, number, request);
      return request;
    };
    for (const device of [PRIMARY, PEER]) ask(device, SIOCSIFFLAGS, UP_RUNNING);
    const socket = own(call("socket", AF_PACKET, SOCK_DGRAM, 0));
    return body({
      send(device) {
        const index = new DataView(ask(device, SIOCGIFINDEX).buffer).getUint32(16, true);
        const address = struct(20, [
          [0, "u16", AF_PACKET],
          [2, "u16", IPV4],
          [4, "u32", index],
        ]);
        const packet = struct(20, [[0, "u8", 0x45]]);
        call("sendto", socket, packet, packet.length, 0, address, 20);
      },
    });
  });
}
