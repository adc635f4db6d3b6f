# What a guest does once it is up: make it a place like a distribution's, then run MATRIX_COMMAND. guest.ts puts the
# values above this text. Exit status: the command's; the kernel's messages of its time go to stderr when it fails.
export HOME=/run/home
mkdir -p /run/home
# 5.10 counts maps and programs against this limit. Tests of raising it lower it themselves.
ulimit -l unlimited
# A crash is reported; writing its core through the shared root would take longer than the tests.
ulimit -c 0
# Where distributions keep the configuration, for CONFIG_ externs.
mount -t tmpfs tmpfs /boot && ln -s "/lib/modules/$MATRIX_RELEASE/config" "/boot/config-$MATRIX_RELEASE"
# A module whose types and functions the tests of externs use.
"$MATRIX_TOOLS/modprobe" nf_conntrack
cd "$MATRIX_DIRECTORY" || exit 126
logged=$(dmesg | wc -l)
bash -c "$MATRIX_COMMAND"
status=$?
[ $status = 0 ] || dmesg | tail -n +$((logged + 1)) | tail -40 >&2
exit $status
