# Takes what is ours off the host; the service is stopped already. Being gone already is success.
data=/var/lib/wharf run=/run/wharf

# Without an agent that can be executed (it was deleted, or damaged), what it left is ended and removed from here. That
# needs `ip` and `nft` for links and rules; where they are missing, those last until the next boot.
by_hand() {
    tries=50
    until end_all; unmount_all; rm -rf "$data"/* "$data"/.[!.]* "$run" 2>/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { rm -rf "$data"/* "$run" || return 1; }
        sleep 0.1 2>/dev/null || sleep 1
    done
    find /sys/fs/cgroup -depth -type d -path '*/wharf/*' -exec rmdir {} \; 2>/dev/null || :
    find /sys/fs/cgroup -depth -type d -name wharf -exec rmdir {} \; 2>/dev/null || :
    # It may be a mount that is not ours: a disk, or a part of one.
    rmdir "$data" 2>/dev/null || :
}
# Whatever runs in our control groups, and every shim and daemon: they execute our file, or the copy of it in memory.
end_all() {
    for bridge in $(sed -n 's/.*"bridge":"\([^"]*\)".*/\1/p' "$data"/networks/*.json 2>/dev/null); do
        ip link delete "$bridge" 2>/dev/null || :
    done
    nft delete table ip wharf 2>/dev/null || :
    for processes in $(find /sys/fs/cgroup -path '*/wharf/*' -name cgroup.procs 2>/dev/null); do
        while read -r process; do kill -KILL "$process" 2>/dev/null || :; done <"$processes"
    done
    for exe in /proc/[0-9]*/exe; do
        process=${exe%/exe}
        # In another mount namespace it is another host's.
        [ "$(readlink "$process/ns/mnt")" = "$(readlink /proc/self/ns/mnt)" ] || continue
        case $(readlink "$exe" 2>/dev/null) in
            "$agent" | "$agent (deleted)" | '/memfd:wharfd (deleted)')
                kill -KILL "${process#/proc/}" 2>/dev/null || : ;;
        esac
    done
}
unmount_all() {
    while read -r _ at _; do
        case $at in "$data"/* | "$run"/*) echo "$at" ;; esac
    done </proc/mounts | sort -r | while read -r at; do umount -l "$at" 2>/dev/null || :; done
}

"$agent" purge --data-root "$data" --exec-root "$run" </dev/null >&2 || by_hand || exit 25
rm -f "$agent" /run/wharf-watchdog.pid
rm -rf /etc/wharf/tls
rmdir /etc/wharf /opt/wharf/bin /opt/wharf 2>/dev/null || :
