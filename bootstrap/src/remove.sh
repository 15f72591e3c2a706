# Takes what is ours off the host; `$agent` is stopped already. Being gone already is success.
data=/var/lib/wharf run=/run/wharf

# Whatever runs in our control groups, and every shim and daemon: they are our executable, or the copy of it in memory.
kill_all() {
    for processes in $(find /sys/fs/cgroup -path '*/wharf/*' -name cgroup.procs 2>/dev/null); do
        while read -r process; do kill -KILL "$process" 2>/dev/null || :; done <"$processes"
    done
    for exe in /proc/[0-9]*/exe; do
        case $(readlink "$exe" 2>/dev/null) in
            "$agent" | "$agent (deleted)" | '/memfd:wharfd (deleted)')
                process=${exe%/exe}
                kill -KILL "${process#/proc/}" 2>/dev/null || : ;;
        esac
    done
}
unmount_all() {
    while read -r _ at _; do
        case $at in "$data"/* | "$run"/*) echo "$at" ;; esac
    done </proc/mounts | sort -r | while read -r at; do umount -l "$at" 2>/dev/null || :; done
}
by_hand() {
    kill_all
    if command -v ip >/dev/null; then ip link delete wharf0 2>/dev/null || :; fi
    if command -v nft >/dev/null; then nft delete table ip wharf 2>/dev/null || :; fi
    find /sys/fs/cgroup -depth -type d -path '*/wharf/*' -exec rmdir {} \; 2>/dev/null || :
    find /sys/fs/cgroup -depth -type d -name wharf -exec rmdir {} \; 2>/dev/null || :
}
if [ -x "$agent" ]; then
    "$agent" purge --data-root "$data" --exec-root "$run" </dev/null >/dev/null 2>&1 || by_hand
else
    by_hand
fi
# The folders themselves may be mounts that are not ours: a disk, or a part of one.
left=50
until unmount_all; rm -rf "$data"/* "$data"/.[!.]* "$run" 2>/dev/null; do
    left=$((left - 1))
    if [ "$left" -eq 0 ]; then
        rm -rf "$data"/* "$run" || exit 25
        break
    fi
    kill_all
    sleep 0.1 2>/dev/null || sleep 1
done
rmdir "$data" 2>/dev/null || :
rm -f "$agent" /run/wharf-watchdog.pid
rm -rf /etc/wharf/tls
rmdir /etc/wharf /opt/wharf/bin /opt/wharf 2>/dev/null || :
