#!/bin/sh
# assemble.sh UNPACKED ROOT MACHINE: lays out the guest's root folder from unpacked packages and this folder's files.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
unpacked=$1 root=$2 machine=$3
busybox=$unpacked/bin/busybox
version=$(ls "$unpacked/lib/modules")

for folder in bin sbin etc lib lib64 usr/bin usr/sbin usr/lib proc sys dev run tmp var/root disk new var/lib/wharf \
  var/log etc/wharf etc/ssl/certs "lib/modules/$version"; do
  mkdir -p "$root/$folder"
done
chmod 1777 "$root/tmp"
chmod 0700 "$root/var/root"
cp -R "$here/root/." "$root/"
chmod 0755 "$root/init" "$root"/usr/lib/wharf-guest/*

cp "$busybox" "$root/bin/busybox"
"$busybox" --list-full | while read -r applet; do
  [ -e "$root/$applet" ] || { mkdir -p "$root/$(dirname "$applet")" && ln -s /bin/busybox "$root/$applet"; }
done

# Programs, and exactly the libraries that they name.
libraries=/lib/$machine-linux-gnu
program() {
  rm -f "$root/$2" && cp "$unpacked/$1" "$root/$2" && chmod 0755 "$root/$2"
  needs "$unpacked/$1"
}
needs() {
  # Names of shared libraries stand as plain text in an ELF file; those that the packages bring are what it needs.
  tr -c '[:alnum:]_.+-' '\n' <"$1" | grep -E '^lib[a-z0-9_+-]+\.so\.[0-9]+$' | sort -u | while read -r name; do
    [ ! -e "$root$libraries/$name" ] || continue
    [ -e "$unpacked$libraries/$name" ] || continue
    mkdir -p "$root$libraries"
    cp -L "$unpacked$libraries/$name" "$root$libraries/$name"
    needs "$unpacked$libraries/$name"
  done
}
program usr/sbin/dropbear usr/sbin/dropbear
program usr/bin/dropbearconvert usr/bin/dropbearconvert
program usr/lib/openssh/sftp-server usr/lib/sftp-server
program sbin/mke2fs sbin/mke2fs
program sbin/e2fsck sbin/e2fsck
program sbin/resize2fs sbin/resize2fs
ln -sf mke2fs "$root/sbin/mkfs.ext4"
cp "$unpacked/etc/mke2fs.conf" "$root/etc/"
for loader in lib64/ld-linux-x86-64.so.2 lib/ld-linux-aarch64.so.1; do
  [ ! -e "$unpacked/$loader" ] || cp -L "$unpacked/$loader" "$root/$loader"
done

# A program without one of its libraries would be found out by whoever boots the guest.
loader=$(ls "$root"/lib64/ld-linux-*.so.* "$root"/lib/ld-linux-*.so.* 2>/dev/null | head -n 1)
for program in usr/sbin/dropbear usr/bin/dropbearconvert usr/lib/sftp-server sbin/mke2fs sbin/e2fsck sbin/resize2fs; do
  found=$("$loader" --inhibit-cache --library-path "$root$libraries" --list "$root/$program" 2>&1) || found="$found => /"
  if echo "$found" | grep '=> /' | grep -qv "=> $root/"; then
    echo "guest: no package brings what $program needs: $found" >&2
    exit 1
  fi
done

cat "$unpacked"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"

modules=lib/modules/$version
files=$("$here/modules.sh" "$unpacked" "$here/modules")
for file in $files; do
  mkdir -p "$root/$modules/$(dirname "$file")"
  cp "$unpacked/$modules/$file" "$root/$modules/$file"
done
cp "$unpacked/$modules"/modules.builtin* "$root/$modules/"
"$busybox" depmod -b "$root" "$version"
