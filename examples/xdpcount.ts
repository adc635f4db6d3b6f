// Counts the packets that a network device receives, by protocol.

import { command } from "./lib/command.js";
import { XdpcountBpf } from "./xdpcount.skel.js";

const usage = `usage: npx tsx examples/xdpcount.ts [options] INTERFACE
Counts the packets that a network device receives, by protocol, as early as the kernel can: with XDP.
  --generic     after the driver, for drivers without XDP
  --interval S  print every S seconds (1)`;

/** ETH_P_* and IPPROTO_*. */
const families = new Map([
  [0x0800, "IPv4"],
  [0x0806, "ARP"],
  [0x86dd, "IPv6"],
]);
const protocols = new Map([
  [1, "ICMP"],
  [6, "TCP"],
  [17, "UDP"],
  [58, "ICMPv6"],
]);

await command(
  {
    usage,
    options: { generic: "boolean", interval: "number" },
    operand: "INTERFACE",
    columns: { time: 8, protocol: 12, packets: 12, bytes: 14 },
  },
  async ({ options, operand, ready, print, every }) => {
    using skel = XdpcountBpf.open();
    await skel.load();
    skel.links.on_packet = skel.progs.on_packet.attachXdp(operand, options.generic ? { mode: "generic" } : {});
    ready(`counting packets that ${operand} receives`);

    for await (const _ of every(options.interval ?? 1)) {
      const time = new Date().toTimeString().slice(0, 8);
      for (const [kind, ofEachCpu] of skel.maps.traffic) {
        const packets = ofEachCpu.reduce((sum, cpu) => sum + cpu.packets, 0);
        const bytes = ofEachCpu.reduce((sum, cpu) => sum + cpu.bytes, 0);
        print({ time, protocol: protocolName(kind), packets, bytes });
      }
    }
  },
);

function protocolName({ ethertype, protocol }: { ethertype: number; protocol: number }): string {
  const family = families.get(ethertype) ?? `0x${ethertype.toString(16).padStart(4, "0")}`;
  return family.startsWith("IP") ? `${family} ${protocols.get(protocol) ?? protocol}` : family;
}
