#!/bin/bash
# PID 1 in the guest, before virtme-init. The host's root has no udev and no kmod, so this does their share: it names the
# virtio ports and tells the kernel how to load modules. virtme-run prefers "bin/virtme-ng-init" beside virtme-init when
# that exists, hence the place and name under which tools.ts installs this file (with @TOOLS@ replaced).
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
grep -q ' /dev devtmpfs ' /proc/mounts || mount -t devtmpfs devtmpfs /dev
echo "@TOOLS@/bin/modprobe" > /proc/sys/kernel/modprobe
mount -t bpf bpf /sys/fs/bpf

mkdir -p /dev/virtio-ports
for _ in $(seq 200); do
  for p in /sys/class/virtio-ports/*; do
    read -r name < "$p/name" && [ -n "$name" ] && ln -sf "../${p##*/}" "/dev/virtio-ports/$name"
  done 2> /dev/null
  # The last port that virtme-run adds; a guest with a shell has none.
  [ -e /dev/virtio-ports/virtme.ret ] && break
  grep -q virtme.exec /proc/cmdline || break
  sleep 0.05
done
exec "${0%/bin/*}/virtme-init"
