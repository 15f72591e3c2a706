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
amd64) machine=x86_64 ;;
arm64) machine=aarch64 ;;
*) echo "build.sh: no guest for architecture $arch" >&2; exit 3 ;;
esac

say() { echo "guest: $*" >&2; }
fail() { say "$*"; exit 1; }

packages=$("$here/packages.sh" "$arch") || fail "its packages are not known here"

mkdir -p "$out"
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

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
# Every distribution's layout becomes the one where /bin, /lib and the like are parts of /usr.
mkdir -p "$work/unpacked/usr" "$work/root"
for folder in bin sbin lib lib64; do
  mkdir "$work/unpacked/usr/$folder"
  ln -s "usr/$folder" "$work/unpacked/$folder"
done
fetch() { # fetch PACKAGE…: downloads and unpacks
  rm -rf "$work/debs" && mkdir "$work/debs"
  (cd "$work/debs" && apt-get -q -o APT::Sandbox::User=root download "$@") >"$work/apt.log" 2>&1 || {
    cat "$work/apt.log" >&2
    fail "the packages could not be downloaded"
  }
  for deb in "$work"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$work/unpacked" -f -
  done
}
# shellcheck disable=SC2086
fetch $packages
version=$(ls "$work/unpacked/lib/modules")
# Where a kernel's modules are split over packages, the second one is large and rarely needed.
if ! "$here/modules.sh" "$work/unpacked" "$here/modules" >/dev/null 2>&1 &&
  apt-cache show "linux-modules-extra-$version" >/dev/null 2>&1; then
  fetch "linux-modules-extra-$version"
fi

say "assembling"
"$here/assemble.sh" "$work/unpacked" "$work/root" "$machine"
busybox=$work/unpacked/bin/busybox

mkdir "$work/image"
"$here/kernel.sh" "$work/unpacked/boot/vmlinuz-$version" >"$work/image/kernel"
# Uncompressed on purpose: under emulation, unpacking costs more than reading.
(cd "$work/root" && find . | sort | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$work/image/initramfs"
printf '{"version":2,"architecture":"%s","kernel":"%s","inputs":"%s"}\n' "$machine" "$version" "$inputs" \
  >"$work/image/image.json"
chmod 0644 "$work"/image/*
# Two builds at once make the same folder; the loser throws its own away.
mv -T "$work/image" "$image" 2>/dev/null || [ -f "$image/image.json" ] || fail "cannot write $image"
say "kernel $version, initramfs $(($(wc -c <"$image/initramfs") / 1024)) KiB"
echo "$image"
