#!/usr/bin/env bash
# Test hosts and the network they stand in, by hand or from the library beside this file.
#
#   lab.sh up LAB OWNER            a network namespace with a bridge, 10.99.0.1/24; OWNER is the pid it belongs to
#   lab.sh host LAB NAME ADDRESS [KIND]
#                                  boot one host of a kind that base.sh knows; returns when it was started, not when
#                                  it answers
#   lab.sh machine LAB NAME ADDRESS PRIVATE [KIND]
#                                  the same for a simulated cloud's: nobody's keys, and what standard input says is run
#                                  as root before sshd first starts; ADDRESS or PRIVATE may be empty. One of the kind
#                                  cloud-init reads its seed instead, which stands in its upper layer already.
#                                  Hosts of either verb find on their disk what is in LAB/brought
#   lab.sh move LAB NAME ADDRESS PRIVATE
#                                  give a host other addresses, at once if it is on
#   lab.sh stop|start|remove LAB NAME
#                                  cut a host's power, boot it again, or take it away
#   lab.sh down LAB                end every host and remove everything; harmless when there is nothing
#   lab.sh guard LAB               the same, as soon as standard input ends: the owner holds the other end
#   lab.sh sweep                   bring down every lab whose owner is gone
#
# LAB is a folder; its last part names the namespace. Needs root and systemd-nspawn.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
labs=/var/tmp/wharf-labs
unified=$(findmnt --noheadings --first-only --output TARGET --types cgroup2 || true)
legacy=/sys/fs/cgroup/systemd

netns() { basename "$1"; }

up() {
    local lab=$1 owner=$2 name
    name=$(netns "$lab")
    mkdir -p "$lab/hosts"
    echo "$owner $(start_time "$owner")" >"$lab/owner"
    ip netns add "$name"
    ip -n "$name" link set lo up
    ip -n "$name" link add br0 type bridge
    ip -n "$name" address add 10.99.0.1/24 dev br0
    ip -n "$name" link set br0 up
}

host() {
    local lab=$1 name=$2 address=$3 kind=${4:-systemd} dir=$1/hosts/$2
    mkdir -p "$dir"/{upper,work,root,data}
    echo "$kind" >"$dir/kind"
    identity "$dir" "$name"
    network "$dir" "$address" ""
    keys "$dir" "$name"
    start "$lab" "$name"
}

machine() {
    local lab=$1 name=$2 address=$3 private=$4 kind=${5:-systemd} dir=$1/hosts/$2
    mkdir -p "$dir"/{upper,work,root,data}
    echo "$kind" >"$dir/kind"
    identity "$dir" "$name"
    network "$dir" "$address" "$private"
    [ "$kind" = cloud-init ] || first_boot "$dir/upper"
    start "$lab" "$name"
}

first_boot() {
    local upper=$1 units=$1/etc/systemd/system
    mkdir -p "$units/multi-user.target.wants"
    cat >"$upper/etc/first-boot"
    cat >"$units/first-boot.service" <<'UNIT'
[Unit]
Before=ssh.service
ConditionPathExists=!/var/lib/cloud/instance/boot-finished
[Service]
Type=oneshot
ExecStart=/bin/sh /etc/first-boot
StandardOutput=journal+console
StandardError=journal+console
UNIT
    ln -s ../first-boot.service "$units/multi-user.target.wants/"
}

start() {
    local lab=$1 name=$2 kind=systemd base group
    # Started twice it would be there twice, and stopped once.
    stop "$lab" "$name"
    [ ! -e "$lab/hosts/$name/kind" ] || kind=$(cat "$lab/hosts/$name/kind")
    base=$("$here/base.sh" "$kind" | tail -n 1)
    # Hosts of one cgroup would share its payload group.
    group=$(netns "$lab")-$name
    # Either the lab is still up and finds this host when it goes down, or it is gone and nothing is started any more.
    exec 8>"$lab/lock"
    flock 8
    if [ ! -e "$lab/owner" ] || [ -e "$lab/closed" ]; then
        # Its folder may have been made again for this host.
        [ -e "$lab/owner" ] || rm -rf --one-file-system "$lab"
        echo "lab.sh: $lab is down" >&2
        return 1
    fi
    [ -z "$unified" ] || mkdir -p "$unified/$group"
    setsid "$here/lab.sh" boot "$lab" "$name" "$base" "$group" "$kind" >>"$lab/hosts/$name/console" 2>&1 </dev/null 8>&- &
    echo $! >"$lab/hosts/$name/launcher"
    exec 8>&-
}

stop() {
    local lab=$1 name=$2 tree
    [ -e "$lab/hosts/$name/launcher" ] || return 0
    end "$(cat "$lab/hosts/$name/launcher")"
    rm -f "$lab/hosts/$name/launcher"
    for tree in ${unified:+"$unified/$(netns "$lab")-$name"} "$legacy/$(netns "$lab")-$name"; do
        remove_group "$tree"
    done
}

remove() {
    stop "$1" "$2"
    rm -rf --one-file-system "$1/hosts/$2"
}

# The upper layer is written before the mount, so that the host finds it when it boots.
identity() {
    local name=$2 upper=$1/upper
    mkdir -p "$upper/etc/ssh"
    echo "$name" >"$upper/etc/hostname"
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >"$upper/etc/hosts"
    : >"$upper/etc/resolv.conf"
    tr -d - </proc/sys/kernel/random/uuid >"$upper/etc/machine-id"
}

network() {
    local upper=$1/upper address=$2 private=$3
    {
        echo "ip link set lo up"
        [ -z "$address" ] || echo "ip address add $address/24 dev host0"
        [ -z "$private" ] || echo "ip address add $private/24 dev host0"
        echo "ip link set host0 up"
        [ -z "$address" ] || echo "ip route add default via 10.99.0.1"
    } >"$upper/etc/lab-network"
}

move() {
    local lab=$1 name=$2 address=$3 private=$4 dir=$1/hosts/$2 child
    network "$dir" "$address" "$private"
    [ -e "$dir/launcher" ] || return 0
    for child in $(descendants "$(cat "$dir/launcher")"); do
        # The host is who is on a network of its own.
        [ "$(readlink "/proc/$child/ns/net")" != "$(stat -L -c 'net:[%i]' "/run/netns/$(netns "$lab")")" ] || continue
        nsenter --target "$child" --net -- ip address flush dev host0 scope global
        nsenter --target "$child" --net -- sh -e "$dir/upper/etc/lab-network"
        return
    done
}

keys() {
    local dir=$1 name=$2 upper=$1/upper home
    mkdir -p "$upper/root/.ssh" "$upper/home/ann/.ssh" "$upper/home/bob/.ssh"
    [ -e "$dir/../../key" ] || ssh-keygen -q -t ed25519 -N '' -C lab -f "$dir/../../key"
    ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$upper/etc/ssh/ssh_host_ed25519_key"
    for home in root home/ann home/bob; do
        cp "$dir/../../key.pub" "$upper/$home/.ssh/authorized_keys"
        chmod 700 "$upper/$home" "$upper/$home/.ssh"
    done
    chown -R 1000:1000 "$upper/home/ann"
    chown -R 1001:1001 "$upper/home/bob"
}

# The launcher: everything it mounts goes with it.
boot() {
    local lab=$1 name=$2 base=$3 group=$4 kind=$5 dir=$1/hosts/$2
    [ -z "$unified" ] || echo $$ >"$unified/$group/cgroup.procs"
    export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
    exec nsenter --net="/run/netns/$(netns "$lab")" unshare --mount --propagation private --fork --kill-child \
        "$here/lab.sh" nspawn "$name" "$base" "$dir" "$kind"
}

nspawn() {
    local name=$1 lower=$2 dir=$3 kind=$4 status
    [ ! -d "$dir/../../brought" ] || lower=$(realpath "$dir/../../brought"):$lower
    local -a first=(--boot --kill-signal=SIGRTMIN+3) program=()
    # sysvinit would look for SELinux otherwise, by mounting another /sys that hides the control groups.
    [ "$kind" != openrc ] || first+=(--setenv=SELINUX_INIT=YES)
    [ "$kind" != bare ] || first=(--as-pid2) program=(/etc/lab-init)
    mount -t overlay overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
    mkdir -p "$dir/root/var/lib/wharf" /run/systemd/nspawn
    mount -t tmpfs -o size=1m tmpfs /run/systemd/nspawn
    while :; do
        status=0
        systemd-nspawn --quiet "${first[@]}" --directory="$dir/root" --machine="$name" --register=no --keep-unit \
            --network-veth --network-bridge=br0 --resolv-conf=off --timezone=off \
            --link-journal=no --console=pipe --capability=all --system-call-filter=@keyring \
            --system-call-filter=bpf --bind="$dir/data:/var/lib/wharf" "${program[@]}" || status=$?
        # 133 asks for a reboot.
        [ $status = 133 ] || exit $status
    done
}

down() {
    local lab=$1 name dir
    name=$(netns "$lab")
    [ ! -d "$lab" ] || close "$lab"
    for dir in "$lab"/hosts/*/; do
        [ ! -d "$dir" ] || stop "$lab" "$(basename "$dir")"
    done
    [ ! -e "/run/netns/$name" ] || ip netns delete "$name"
    rm -rf --one-file-system "$lab"
}

# From here on no host is started in the lab.
close() {
    exec 8>"$1/lock"
    flock 8
    : >"$1/closed"
    exec 8>&-
}

# Killing the launcher takes its namespaces and everybody in them along; wait until they are gone.
end() {
    local launcher=$1 child tries=0 family='' found
    # Held still first: a host that just reboots is started by one of them, and would be nobody's.
    while found="$launcher $(descendants "$launcher")" && [ "$found" != "$family" ]; do
        family=$found
        kill -STOP $family 2>/dev/null || true
    done
    kill -KILL $family 2>/dev/null || true
    for child in $family; do
        while kill -0 "$child" 2>/dev/null && [ $tries -lt 300 ]; do
            sleep 0.05
            tries=$((tries + 1))
        done
    done
}

descendants() {
    local child children=''
    read -r children 2>/dev/null <"/proc/$1/task/$1/children" || true
    for child in $children; do
        echo "$child"
        descendants "$child"
    done
}

remove_group() {
    [ -d "$1" ] || return 0
    local tries=0
    until find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || [ $tries -ge 100 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
}

start_time() { awk '{print $22}' "/proc/$1/stat" 2>/dev/null; }

sweep() {
    local lab owner since
    for lab in "$labs"/*/; do
        [ -d "$lab" ] || continue
        lab=${lab%/}
        # A lab that is just being made has no owner yet.
        [ -e "$lab/owner" ] || continue
        read -r owner since <"$lab/owner"
        [ "$(start_time "$owner")" = "$since" ] || down "$lab"
    done
}

case "$1" in
    up | host | machine | move | start | stop | remove | boot | nspawn | down) "$@" ;;
    guard)
        cat >/dev/null
        down "$2"
        ;;
    sweep) sweep ;;
    *) echo "lab.sh: there is no $1" >&2 && exit 2 ;;
esac
