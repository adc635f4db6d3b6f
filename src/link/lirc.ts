// Decoders of infrared signals on the receivers that send them: programs of section `lirc_mode2` (UAPI linux/bpf.h:
// BPF_LIRC_MODE2). The kernel has no links for them, and libbpf no function: it leaves them to bpf_prog_attach.

import { AttachType } from "../object/index.js";
import type { ProgramHandle } from "../program/index.js";
import { type FdLike, FileDescriptor, fdNumber, progAttach, progDetach } from "../syscall/index.js";
import { explainAttach } from "./attach-error.js";
import { BpfLink } from "./link.js";
import { quietly } from "./quietly.js";
import { nameOf, withFile } from "./targets.js";

/**
 * Has a program decode what an infrared receiver gets: it runs for every pulse and every space. Up to 64 programs share a
 * receiver. Closing the link takes the program off; a process that dies without that leaves it there until the receiver
 * goes. The link holds the receiver open. Linux 4.18, needs CAP_NET_ADMIN. libbpf: `bpf_prog_attach`.
 *
 * @param device such as `/dev/lirc0`, or a descriptor of it that is open for writing
 * @throws NotFoundError when it cannot be opened, SystemCallError with code `ATTACH`
 */
export function attachLirc(program: ProgramHandle, device: string | FdLike): BpfLink {
  const attachType = AttachType.lirc_mode2;
  const target = `infrared receiver ${nameOf(device)}`;
  const open = (fd: FdLike): BpfLink => {
    progAttach({ program: program.descriptor, target: fd, attachType });
    const held = [FileDescriptor.duplicateOf(fdNumber(fd), target), program.descriptor.duplicate()] as const;
    const detach = (): void => quietly(target, () => progDetach({ program: held[1], target: held[0], attachType }));
    return new BpfLink({ kind: "lirc", program: program.name, target, link: undefined, others: held, detach });
  };
  return withFile(
    device,
    "infrared receiver",
    (fd) => explainAttach(program, target, () => open(fd), { hints, since: "4.18" }),
    "r+",
  );
}

const hints = {
  EINVAL:
    "it is no receiver that gives pulses and spaces (mode2), or the kernel was built without CONFIG_BPF_LIRC_MODE2",
  EPERM: "that needs CAP_NET_ADMIN, and a descriptor that is open for writing",
  EEXIST: "the program is attached to it already",
  E2BIG: "64 programs are attached to it already",
  ENODEV: "the receiver is gone",
};
