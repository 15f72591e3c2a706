#!/usr/bin/env bash
# Makes a cloud image as distributions publish them, once, and prints its path as the last line: a qcow2 disk with a
# partition table, GRUB in its boot sector, an ext4 root, Debian's cloud kernel, systemd, sshd and cloud-init.
#
#   tests/lab/cloud-image.sh
#
# Cached by the hash of this file. Needs root for debootstrap alone: file systems and disks are written as files, with
# neither mounts nor loop devices, and every tool that debootstrap does not need itself is taken from inside the image.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wharf/lab
recipe=$(sha256sum "$0" | cut -c1-16)
image=$cache/cloud-$recipe.qcow2
size=2048 # MiB, of which the first is for GRUB
exec 9>"$(mkdir -p "$cache" && echo "$cache/cloud.lock")"
flock 9
if [ ! -e "$image" ]; then
    work=$cache/cloud.new root=$cache/cloud.new/root
    rm -rf "$work" "$cache"/cloud-*.qcow2
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work"
    suite=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME" || echo bookworm)
    debootstrap --variant=minbase --include=systemd-sysv,dbus,udev,openssh-server,sudo,iproute2,fdisk,ca-certificates \
        "$suite" "$root" >&2
    # What has Python in it, debootstrap cannot order.
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod +x "$root/usr/sbin/policy-rc.d"
    DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -qq -y --no-install-recommends cloud-init locales \
        cloud-guest-utils netplan.io linux-image-cloud-amd64 initramfs-tools grub-pc-bin >&2
    rm "$root/usr/sbin/policy-rc.d" "$root/etc/resolv.conf"

    # As published images are: no identity, no password, nobody who may sign in before cloud-init says who.
    rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/dbus/machine-id
    rm -rf "$root"/var/lib/apt/lists/*
    : >"$root/etc/machine-id"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
    echo 'LABEL=cloud-root / ext4 defaults,x-systemd.growfs 0 1' >"$root/etc/fstab"
    echo 'datasource_list: [ NoCloud, None ]' >"$root/etc/cloud/cloud.cfg.d/90_datasource.cfg"
    chroot "$root" systemctl enable systemd-networkd.service >&2

    version=$(ls "$root/lib/modules")
    mkdir -p "$root/boot/grub"
    cat >"$root/boot/grub/grub.cfg" <<GRUB
linux /boot/vmlinuz-$version root=LABEL=cloud-root ro console=ttyS0
initrd /boot/initrd.img-$version
boot
GRUB
    # GRUB as grub-install lays it out: its first sector in the disk's first, the rest right behind.
    chroot "$root" grub-mkimage -O i386-pc -o /core.img -p '(hd0,msdos1)/boot/grub' \
        biosdisk part_msdos ext2 linux normal configfile boot
    truncate -s "${size}M" "$root/disk"
    echo '2048,,L,*' | chroot "$root" sfdisk -q --label dos /disk
    mv "$root/disk" "$work/disk"
    cp "$root/usr/lib/grub/i386-pc/boot.img" "$work/boot"
    mv "$root/core.img" "$work/core"

    mke2fs -q -t ext4 -L cloud-root -d "$root" "$work/partition" "$((size - 1))M"
    dd if="$work/boot" of="$work/disk" bs=440 count=1 conv=notrunc status=none
    dd if="$work/core" of="$work/disk" bs=512 seek=1 conv=notrunc status=none
    dd if="$work/partition" of="$work/disk" bs=1M seek=1 conv=notrunc,sparse status=none
    qemu-img convert -O qcow2 "$work/disk" "$work/image"
    mv "$work/image" "$image"
fi
echo "$image"
