#!/usr/bin/env bash
# Makes the root that test hosts of one kind are an overlay of, once, and prints its folder as the last line.
#
#   tests/lab/base.sh [systemd|openrc|bare|cloud-init|firewalls]
#
# A minimal Debian with sshd and sudo, and none of what the agent should do without: no nft, no iptables, no zstd. Its
# init is systemd, or OpenRC under sysvinit, or there is none at all: a shell script that ends in sshd. `cloud-init` is
# systemd with the real cloud-init, which finds its seed under /var/lib/cloud/seed/nocloud. `firewalls` is systemd with
# everybody else who makes rules (iptables in both forms, nft, ufw, firewalld, dockerd), none of which is started. What
# all kinds have is unpacked and configured once, and each is a copy of that with what it has beside it. Cached by the
# hash of this file. Needs root.
set -euo pipefail
kind=${1:-systemd}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wharf/lab
recipe=$(sha256sum "$0" | cut -c1-16)
base=$cache/$kind-$recipe
common=$cache/common-$recipe
mkdir -p "$cache"

packages() {
    case $kind in
        systemd) echo systemd systemd-sysv dbus ;;
        cloud-init) echo systemd systemd-sysv dbus cloud-init ;;
        firewalls) echo systemd systemd-sysv dbus docker.io firewalld iptables nftables ufw ;;
        openrc) echo openrc sysvinit-core ;;
        bare) ;;
        *) echo "base.sh: there is no kind $kind" >&2 && return 2 ;;
    esac
}

# What every host has, whatever starts it.
common() {
    # Every host gets an identity of its own when it starts.
    rm -f etc/ssh/ssh_host_* etc/machine-id var/lib/dbus/machine-id var/cache/apt/archives/*.deb
    chroot . useradd --password '*' --create-home --shell /bin/bash ann
    chroot . useradd --password '*' --create-home --shell /bin/bash bob
    echo 'ann ALL=(ALL) NOPASSWD: ALL' >etc/sudoers.d/ann
    chmod 0440 etc/sudoers.d/ann
    cat >etc/ssh/sshd_config <<'SSHD'
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
MaxStartups 100:30:200
Subsystem sftp internal-sftp
SSHD
}

systemd() {
    cat >etc/systemd/system/lab-network.service <<'UNIT'
[Unit]
DefaultDependencies=no
Before=ssh.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /etc/lab-network
[Install]
WantedBy=sysinit.target
UNIT
    mkdir -p etc/systemd/system/sysinit.target.wants
    ln -s ../lab-network.service etc/systemd/system/sysinit.target.wants/
    # Nothing that a host of two seconds' age needs.
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
        e2scrub_reap.service systemd-timesyncd.service systemd-networkd.service systemd-resolved.service \
        getty.target console-getty.service systemd-update-utmp.service \
        systemd-random-seed.service systemd-journal-flush.service systemd-tmpfiles-clean.timer motd-news.timer; do
        ln -sf /dev/null "etc/systemd/system/$unit"
    done
}

cloud-init() {
    systemd
    # No other source of data is looked for, and the lab's own network stays.
    cat >etc/cloud/cloud.cfg.d/90-lab.cfg <<'CFG'
datasource_list: [NoCloud]
network: {config: disabled}
apt: {preserve_sources_list: true}
locale: C.UTF-8
CFG
    echo 'policy: enabled' >etc/cloud/ds-identify.cfg
    # A user without a password is locked, and only PAM lets one in by key, as on every published image.
    sed -i 's/^UsePAM no/UsePAM yes/' etc/ssh/sshd_config
    # Nobody is known here before cloud-init says who.
    chroot . userdel --remove ann
    chroot . userdel --remove bob
    rm -f etc/sudoers.d/ann
    echo 'Include /etc/ssh/sshd_config.d/*.conf' | cat - etc/ssh/sshd_config >etc/ssh/sshd_config.new
    mv etc/ssh/sshd_config.new etc/ssh/sshd_config
}

firewalls() {
    systemd
    # A test starts the one that it is about.
    chroot . systemctl disable containerd.service docker.service docker.socket firewalld.service ufw.service >&2
}

# debootstrap takes the first of several alternatives, which OpenRC does not go with, and configures Python's packages in
# an order that they do not bear; apt knows better.
install() { # install PACKAGE…
    cp /etc/resolv.conf etc/resolv.conf
    printf '#!/bin/sh\nexit 101\n' >usr/sbin/policy-rc.d
    chmod 755 usr/sbin/policy-rc.d
    [ $# = 0 ] || DEBIAN_FRONTEND=noninteractive chroot . \
        apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-unsafe-io "$@" >&2
    rm -rf usr/sbin/policy-rc.d etc/resolv.conf var/lib/apt/lists/* var/cache/apt/archives/*.deb var/cache/apt/*.bin
}

openrc() {
    # Only the runlevels; terminals that nobody sits at would be started again and again.
    cat >etc/inittab <<'INITTAB'
id:2:initdefault:
si::sysinit:/sbin/openrc sysinit
rc::bootwait:/sbin/openrc boot
l0:0:wait:/sbin/openrc shutdown
l2:2:wait:/sbin/openrc default
l6:6:wait:/sbin/openrc reboot
x0:0:wait:/sbin/halt -f -p
x6:6:wait:/sbin/reboot -f
INITTAB
    printf 'rc_sys="systemd-nspawn"\nrc_logger="NO"\n' >>etc/rc.conf
    cat >etc/init.d/lab-network <<'SCRIPT'
#!/sbin/openrc-run
description="the lab's network"
depend() {
    provide net
}
start() {
    /bin/sh /etc/lab-network
}
SCRIPT
    chmod 755 etc/init.d/lab-network
    # A container has no clock, consoles, disks or kernel modules of its own to look after.
    rm -f etc/runlevels/*/*
    ln -s /etc/init.d/lab-network etc/runlevels/default/lab-network
    ln -s /etc/init.d/ssh etc/runlevels/default/ssh
}

bare() {
    cat >etc/lab-init <<'SCRIPT'
#!/bin/sh
sh /etc/lab-network
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e
SCRIPT
    chmod 755 etc/lab-init
}

# make FOLDER COMMAND…: what the command makes in a new folder, unless it is there; one at a time.
make() {
    local folder=$1 new=${1%-*}-new
    shift
    exec 9>"${folder%-*}.lock"
    flock 9
    [ ! -e "$folder/etc/wharf-lab" ] || return 0
    rm -rf "$new"
    "$@" "$new"
    echo "$recipe" >"$new/etc/wharf-lab"
    rm -rf "$folder"
    mv "$new" "$folder"
}

make_common() {
    local suite
    suite=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME" || echo bookworm)
    debootstrap --variant=minbase --include=openssh-server,ca-certificates,iproute2,sudo,procps "$suite" "$1" >&2
    cp /etc/resolv.conf "$1/etc/resolv.conf"
    chroot "$1" apt-get update -qq >&2
}

make_kind() {
    cp -a --reflink=auto "$common" "$1"
    cd "$1"
    install $(packages)
    common
    "$kind"
}

packages >/dev/null
if [ ! -e "$base/etc/wharf-lab" ]; then
    make "$common" make_common
    make "$base" make_kind
fi
echo "$base"
