// Counts what the processes of a control group send and receive.

import { CgroupnetBpf } from "./cgroupnet.skel.js";
import { command } from "./lib/command.js";

const usage = `usage: npx tsx examples/cgroupnet.ts [options] CGROUP
Counts what the processes of a control group (version 2) send and receive: a directory such as
/sys/fs/cgroup/system.slice/ssh.service.
  --interval S  print every S seconds (1)`;

await command(
  {
    usage,
    options: { interval: "number" },
    operand: "CGROUP",
    columns: { sentPackets: 12, sentBytes: 14, receivedPackets: 15, receivedBytes: 14 },
  },
  async ({ options, operand, ready, print, every }) => {
    using skel = CgroupnetBpf.open();
    await skel.load();
    skel.links.on_send = skel.progs.on_send.attachCgroup(operand);
    skel.links.on_receive = skel.progs.on_receive.attachCgroup(operand);
    ready(`counting packets of ${operand}`);

    const { sent, received } = skel.bss; // the programs' own memory: reading it is no system call
    for await (const _ of every(options.interval ?? 1)) {
      print({
        sentPackets: sent.packets,
        sentBytes: sent.bytes,
        receivedPackets: received.packets,
        receivedBytes: received.bytes,
      });
    }
  },
);
