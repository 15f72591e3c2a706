#!/bin/sh
# Builds the agent as one static executable and prints its path as the last line.
#
#   runtime-agent/build.sh [--dev]
#
# Needs a Rust toolchain, a C compiler and libseccomp's static library (Debian: libseccomp-dev). --dev builds quickly
# and unoptimised, for trying things; everything that ships is built without it.
set -eu
cd "$(dirname "$0")/.."
profile=release
[ "${1:-}" = --dev ] && profile=dev
target=$(rustc -vV | sed -n 's/^host: //p')
multiarch=$(gcc -print-multiarch 2>/dev/null || echo "$(uname -m)-linux-gnu")
for folder in "/usr/lib/$multiarch" /usr/lib64 /usr/lib /usr/local/lib; do
    [ -e "$folder/libseccomp.a" ] && break
done
if [ ! -e "$folder/libseccomp.a" ]; then
    echo "build.sh: libseccomp.a is missing; on Debian and Ubuntu: apt-get install libseccomp-dev" >&2
    exit 1
fi
# The explicit target keeps the static flags away from procedural macros, which are shared libraries.
# At a fixed address, as dockerd and runc are: relocated, each shim would have a megabyte of tables to itself, and every
# start would wait until they are written.
RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" LIBSECCOMP_LINK_TYPE=static LIBSECCOMP_LIB_PATH="$folder" \
    cargo build --locked --quiet -p wharfd --target "$target" --profile "$profile" >&2
output=$profile
[ "$profile" = dev ] && output=debug
echo "$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/$target/$output/wharfd"
