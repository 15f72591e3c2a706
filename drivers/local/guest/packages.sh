#!/bin/sh
# Prints the packages that the guest is made of, one a line, the kernel's first.
#
#   packages.sh [ARCHITECTURE]
#
# Distributions and releases name them differently, so nothing is taken for granted that apt-cache does not know: the
# kernel is the first of those that is there (not the one that Debian makes for clouds, which lacks 9p), the libraries are
# what the programs depend on. Reads only.
set -eu
export LC_ALL=C

case ${1:-$(dpkg --print-architecture)} in
amd64) flavours="linux-image-virtual linux-image-kvm linux-image-generic linux-image-amd64" ;;
arm64) flavours="linux-image-virtual linux-image-kvm linux-image-generic linux-image-arm64" ;;
*) echo "packages.sh: no guest for architecture $1" >&2; exit 3 ;;
esac

# A flavour's package names the real one, with a version in its name.
for flavour in $flavours; do
  kernel=$(apt-cache depends "$flavour" 2>/dev/null | awk '$1 ~ /Depends:$/ && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
  [ -z "$kernel" ] || break
done
[ -n "$kernel" ] || { echo "packages.sh: none of $flavours is known here; run: apt-get update" >&2; exit 1; }
echo "$kernel"
# Ubuntu's kernels have their modules in a package of their own.
modules=linux-modules-${kernel#linux-image-}
if apt-cache show "$modules" >/dev/null 2>&1; then echo "$modules"; fi

programs="busybox-static ca-certificates dropbear-bin e2fsprogs openssh-sftp-server"
printf '%s\n' $programs
# shellcheck disable=SC2086
apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
  dropbear-bin e2fsprogs | grep -E '^(lib|zlib)[a-z0-9.+-]*$' | sort -u
