#!/usr/bin/env bash
# Makes the root that every test host is an overlay of, once, and prints its folder as the last line.
#
#   tests/lab/base.sh
#
# A minimal Debian with systemd, sshd and sudo, and none of what the agent should do without: no nft, no iptables, no
# zstd. Cached by the hash of this file. Needs root.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wharf/lab
recipe=$(sha256sum "$0" | cut -c1-16)
base=$cache/base-$recipe
exec 9>"$(mkdir -p "$cache" && echo "$cache/base.lock")"
flock 9
if [ ! -e "$base/etc/wharf-lab" ]; then
    rm -rf "$cache/new"
    suite=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME" || echo bookworm)
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,openssh-server,ca-certificates,iproute2,sudo,procps \
        "$suite" "$cache/new" >&2
    cd "$cache/new"
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
    echo "$recipe" >etc/wharf-lab
    rm -rf "$base"
    mv "$cache/new" "$base"
fi
echo "$base"
