#!/bin/sh
# Prints a kernel in the form that starts soonest under emulation, where unpacking costs more than reading.
#
#   kernel.sh VMLINUZ
#
# x86's file is a loader with the kernel packed into it. One that is packed by xz, the slowest to unpack, is printed
# unpacked, which QEMU boots by the PVH protocol; any other as it is. Reads only.
# <https://www.kernel.org/doc/html/latest/arch/x86/boot.html>
set -eu
vmlinuz=$1

# Little-endian numbers of the header: number OFFSET BYTES
number() { od -A n -j "$1" -N "$2" -t "u$2" "$vmlinuz" | tr -d ' '; }
magic() { od -A n -j "$1" -N "$2" -t x1 "$vmlinuz" | tr -d ' '; }

if [ "$(magic 514 4)" = 48647253 ]; then
  payload=$((($(number 497 1) + 1) * 512 + $(number 584 4)))
  if [ "$(magic $payload 6)" = fd377a585a00 ]; then
    # The unpacked size stands behind the packed kernel.
    tail -c +$((payload + 1)) "$vmlinuz" | head -c $(($(number 588 4) - 4)) | xz -d
    exit
  fi
fi
cat "$vmlinuz"
