#!/bin/sh
# Makes the local driver's guest: a kernel and an initramfs from Debian packages, without root.
#
#   build.sh [OUTPUT_FOLDER]
#
# Prints the folder of the image as its last line: `kernel`, `initramfs`, `image.json`. The result is cached in
# OUTPUT_FOLDER (default: ${XDG_CACHE_HOME:-~/.cache}/wharf/guest) under the hash of its inputs: this folder's files
# and the packages' checksums. Needs apt-get, apt-cache and dpkg-deb, and package lists (`apt-get update`).
# Nothing is installed, nothing outside OUTPUT_FOLDER is written, and a half-made image is never seen.
set -eu
umask 022
export LC_ALL=C

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/wharf/guest}
arch=$(dpkg --print-architecture)
case $arch in
amd64) kernel_package=linux-image-cloud-amd64 machine=x86_64 ;;
arm64) kernel_package=linux-image-cloud-arm64 machine=aarch64 ;;
*) echo "build.sh: no guest for architecture $arch" >&2; exit 3 ;;
esac

say() { echo "guest: $*" >&2; }
fail() { say "$*"; exit 1; }

# The meta package names the kernel's real one.
kernel=$(apt-cache depends "$kernel_package" 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }')
[ -n "$kernel" ] || fail "package $kernel_package is not known here; run: apt-get update"
packages="$kernel busybox-static ca-certificates dropbear-bin e2fsprogs libblkid1 libc6 libcom-err2 libcrypt1
  libext2fs2 libgmp10 libtomcrypt1 libtommath1 libuuid1 zlib1g"

mkdir -p "$out"
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$work/partial" "$work/debs"

# Each line: 'uri' file size SHA256:…
# shellcheck disable=SC2086
(cd "$work" && apt-get --print-uris download $packages) >"$work/uris" || fail "cannot resolve the packages"

inputs=$({
  sed "s/^'[^']*' //" "$work/uris" | sort
  (cd "$here" && find . -type f | sort | while read -r file; do sha256sum "$file"; done)
} | sha256sum | cut -c1-16)
image=$out/$inputs
if [ -f "$image/image.json" ]; then
  say "cached"
  echo "$image"
  exit 0
fi

say "downloading $(wc -l <"$work/uris") packages"
# shellcheck disable=SC2086
(cd "$work/debs" && apt-get -q -o APT::Sandbox::User=root download $packages) >"$work/apt.log" 2>&1 || {
  cat "$work/apt.log" >&2
  fail "the packages could not be downloaded"
}
mkdir "$work/unpacked" "$work/root"
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/unpacked"; done

say "assembling"
"$here/assemble.sh" "$work/unpacked" "$work/root" "$machine"
busybox=$work/unpacked/bin/busybox
version=$(ls "$work/unpacked/lib/modules")

mkdir "$work/image"
cp "$work/unpacked/boot/vmlinuz-$version" "$work/image/kernel"
# Uncompressed on purpose: under emulation, unpacking costs more than reading.
(cd "$work/root" && find . | sort | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$work/image/initramfs"
printf '{"version":1,"architecture":"%s","kernel":"%s","inputs":"%s"}\n' "$machine" "$version" "$inputs" \
  >"$work/image/image.json"
chmod 0644 "$work"/image/*
# Two builds at once make the same folder; the loser throws its own away.
mv -T "$work/image" "$image" 2>/dev/null || [ -f "$image/image.json" ] || fail "cannot write $image"
say "kernel $version, initramfs $(($(wc -c <"$image/initramfs") / 1024)) KiB"
echo "$image"
