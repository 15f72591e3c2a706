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
. runtime-agent/static.sh
cargo build --locked --quiet -p wharfd --target "$target" --profile "$profile" >&2
output=$profile
[ "$profile" = dev ] && output=debug
echo "$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/$target/$output/wharfd"
