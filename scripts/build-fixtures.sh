#!/usr/bin/env bash
# Builds every fixtures/*.bpf.c and examples/*.bpf.c with Debian's clang-19 into the committed objects beside it.
#   build-fixtures.sh           build, strip, write fixtures/*.bpf.o and examples/*.bpf.o
#   build-fixtures.sh --check   build into a temporary folder and compare with the committed objects, byte for byte
# Exit status: 0 done or equal; 1 different or failed; 2 usage; 3 the tools are missing and could not be installed;
# 4 different, but other versions of the tools made the committed objects (fixtures/TOOLS), which proves nothing.
# Objects are reproducible: DWARF is stripped and the file names in BTF are relative to the repository.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

check=false
case "${1-}" in
  "") ;;
  --check) check=true ;;
  *) echo "usage: build-fixtures.sh [--check]" >&2; exit 2 ;;
esac

CLANG=${CLANG:-clang-19}
STRIP=${STRIP:-llvm-strip-19}
OBJCOPY=${OBJCOPY:-llvm-objcopy-19}

# Debian's packages, only when something is missing (needs root).
missing_tools() {
  command -v "$CLANG" >/dev/null || echo clang-19
  command -v "$STRIP" >/dev/null || echo llvm-19
  [ -e /usr/include/bpf/bpf_helpers.h ] || echo libbpf-dev
  [ -e /usr/include/linux/bpf.h ] || echo linux-libc-dev
}
packages=$(missing_tools)
if [ -n "$packages" ]; then
  echo "fixtures: installing" $packages >&2
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "fixtures: install these Debian packages first:" $packages >&2
    exit 3
  fi
  log=$(mktemp)
  # shellcheck disable=SC2086 # one word per package
  if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends $packages; } >"$log" 2>&1; then
    tail -5 "$log" >&2
    echo "fixtures: could not install" $packages >&2
    exit 3
  fi
  rm -f "$log"
fi

tools="$("$CLANG" --version | head -1), libbpf-dev $(dpkg-query -W -f '${Version}' libbpf-dev 2>/dev/null || echo unknown)"

# <asm/types.h> lives in the folder of the machine's architecture; only its fixed-width types are used.
headers=/usr/include/$(uname -m)-linux-gnu

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir "$out/fixtures" "$out/examples"

# compile SOURCE OBJECT FLAG…: the object goes to the folder of the source
compile() {
  local source=$1 object=${1%/*}/$2
  shift 2
  "$CLANG" -O2 -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -ffile-compilation-dir=. \
    "-ffile-prefix-map=$PWD/=" -idirafter "$headers" "$@" -c "$source" -o "$out/$object"
  "$STRIP" -g "$out/$object"
}

for source in fixtures/*.bpf.c; do
  name=$(basename "$source" .bpf.c)
  case $name in
    nobtf) compile "$source" nobtf.bpf.o -target bpfel ;;
    *) compile "$source" "$name.bpf.o" -target bpfel -g ;;
  esac
done
# Variants: big endian, and a map definition without the BTF that describes it (to be refused).
compile fixtures/minimal.bpf.c minimal.eb.bpf.o -target bpfeb -g
compile fixtures/core.bpf.c core.eb.bpf.o -target bpfeb -g
compile fixtures/minimal.bpf.c minimal.nobtf.bpf.o -target bpfel
# Other instruction sets: without 32-bit jumps and arithmetic; with everything there is.
compile fixtures/subprog_layouts.bpf.c subprog_layouts.v1.bpf.o -target bpfel -g -mcpu=v1
compile fixtures/subprog_layouts.bpf.c subprog_layouts.v4.bpf.o -target bpfel -g -mcpu=v4 -O1
# As a static linker leaves a weak function that lost against another.
"$OBJCOPY" --strip-symbol=lost "$out/fixtures/overridden.bpf.o"

for source in examples/*.bpf.c; do
  compile "$source" "$(basename "$source" .bpf.c).bpf.o" -target bpfel -g
done

if ! $check; then
  rm -f fixtures/*.bpf.o examples/*.bpf.o
  cp "$out"/fixtures/*.bpf.o fixtures/
  cp "$out"/examples/*.bpf.o examples/
  # Lets a test without a compiler see that a source was changed and its object was not.
  echo "$tools" >fixtures/TOOLS
  for folder in fixtures examples; do
    (cd $folder && sha256sum ./*.bpf.c ./*.bpf.o | sed 's|\./||' >SHA256SUMS)
  done
  echo "fixtures: built $(ls "$out"/*/*.bpf.o | wc -l) objects with $tools"
  exit 0
fi

failed=0
names=$( (cd "$out" && ls -- */*.bpf.o; cd "$OLDPWD" && ls -- fixtures/*.bpf.o examples/*.bpf.o) | sort -u)
for name in $names; do
  if [ ! -e "$name" ]; then
    echo "fixtures: $name is not committed: run npm run fixtures" >&2; failed=1
  elif [ ! -e "$out/$name" ]; then
    echo "fixtures: $name has no source any more" >&2; failed=1
  elif ! cmp -s "$out/$name" "$name"; then
    echo "fixtures: $name differs from its source built with $tools: run npm run fixtures" >&2; failed=1
  fi
done
if [ $failed = 0 ]; then
  echo "fixtures: $(wc -w <<<"$names") objects equal their sources"
elif [ "$tools" != "$(cat fixtures/TOOLS)" ]; then
  echo "fixtures: the committed objects were made with $(cat fixtures/TOOLS)" >&2
  failed=4
fi
exit $failed
