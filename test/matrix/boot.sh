#!/bin/bash
# boot.sh PIDFILE SECONDS COMMAND...: run the command (virtme-ng) with a time limit and real pipes on stdout and stderr.
# QEMU opens /proc/self/fd/1 and 2 anew: a file would be cut to length 0, and a socket, which is what Node's
# child_process gives, cannot be opened. A signal to the process in PIDFILE ends the guest with all its helpers. Exit
# status: the command's; 124 when the time was up.
pidfile=$1
seconds=$2
shift 2
{
  {
    # timeout makes a process group of its own and passes signals on to it.
    echo "$BASHPID" > "$pidfile"
    exec timeout -k 10 "$seconds" "$@" < /dev/null 2>&1 >&3 3>&-
  } | cat >&2
  exit "${PIPESTATUS[0]}"
} 3>&1 | cat
exit "${PIPESTATUS[0]}"
