#!/bin/bash
# guest-tests.sh NODE PROGRAM FILE...: run the bundled test files in one process; when a file kills it (a signal), say
# so on stdout as a record (records.ts) and start again behind that file. Exit status: 0 when all files passed.
export MATRIX_PROGRESS=/run/matrix-progress
node=$1
shift
failed=0
while :; do
  before=$(cat $MATRIX_PROGRESS 2> /dev/null || echo none)
  "$node" "$@"
  status=$?
  [ $status -lt 128 ] && exit $((failed || status))
  failed=1
  printf '\n@matrix {"type":"died","status":%d}\n' $status
  # A process that dies before it reaches another file would start for ever.
  [ "$(cat $MATRIX_PROGRESS 2> /dev/null || echo none)" != "$before" ] || exit 1
done
