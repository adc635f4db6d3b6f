#!/bin/bash
# boot.sh SECONDS COMMAND...: run the command (virtme-ng) with a time limit and real pipes on stdout and stderr. QEMU
# opens /proc/self/fd/1 and 2 anew: a file would be cut to length 0, and a socket, which is what Node's child_process
# gives, cannot be opened. Exit status: the command's; 124 when the time was up.
seconds=$1
shift
{
  timeout -k 10 "$seconds" "$@" < /dev/null 2>&1 >&3 3>&- | cat >&2
  exit "${PIPESTATUS[0]}"
} 3>&1 | cat
exit "${PIPESTATUS[0]}"
