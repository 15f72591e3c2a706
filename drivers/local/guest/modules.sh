#!/bin/sh
# Prints the files of the modules that a list names, and of those that they need, relative to the folder of the
# kernel's modules.
#
#   modules.sh UNPACKED LIST
#
# In LIST, a name that begins with `?` is taken where the kernel has it; any other that it lacks is an error. Modules
# that are compressed (.gz, .xz or .zst, as some distributions do) lie there uncompressed afterwards, since the guest's
# modprobe reads no others.
set -eu
unpacked=$1 list=$2
busybox=$unpacked/bin/busybox
version=$(ls "$unpacked/lib/modules")
modules=$unpacked/lib/modules/$version

unpack() { # unpack ENDING PROGRAM…
  ending=$1
  shift
  [ -z "$(find "$modules" -name "*.ko.$ending" -print -quit)" ] ||
    find "$modules" -name "*.ko.$ending" -print0 | xargs -0 "$@"
}
unpack gz gzip -d
unpack xz xz -d
unpack zst zstd -q -d --rm
# Worked out on the whole tree.
"$busybox" depmod -b "$unpacked" "$version"

files=$(
  grep -v '^ *\(#\|$\)' "$list" | while read -r line; do
    name=${line#\?}
    found=$(sed -n "s|^\(\([^:]*/\)\{0,1\}$name\.ko\):|\1|p" "$modules/modules.dep")
    if [ -n "$found" ]; then
      echo "$found" | tr ' ' '\n'
    elif [ "$name" = "$line" ] && ! grep -q "/$name\.ko" "$modules/modules.builtin"; then
      echo "guest: this kernel has no module $name" >&2
      exit 1
    fi
  done
)
echo "$files" | sort -u
