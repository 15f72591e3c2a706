#!/usr/bin/env bash
# Puts a machine from a cloud image through its life.
#
#   tests/lab/cloud-machine.sh WHARF IMAGE
#
# Needs curl, a docker client on PATH or in WHARF_TEST_DOCKER, and WHARF_AGENT. Ends with an error at the first thing that is
# not as it should be, and leaves nothing behind either way.
set -euo pipefail
wharf=$1 image=$2
docker=${WHARF_TEST_DOCKER:-docker}
home=$(mktemp -d)
export HOME=$home WHARF_HOME=$home/wharf DOCKER_CONFIG=$home/docker
machine=cloud
# After the command that runs: a store that is taken away under it is no test of anything.
trap 'exit 130' INT TERM
trap '"$wharf" rm -y "$machine" >/dev/null 2>&1 || true; rm -rf "$home"' EXIT

say() { printf '%5d s  %s\n' "$SECONDS" "$*"; }
fail() { say "FAILED: $*" && exit 1; }
until_open() { # until_open URL WORD: at most ten seconds
    for _ in $(seq 50); do
        [ "$(curl -sf -m 2 --noproxy '*' "$1")" = "$2" ] && return
        sleep 0.2
    done
    fail "$1 does not answer $2"
}

# By a relative path, and the image may go afterwards: the machine has a copy of its own.
cp "$image" "$home/image.qcow2"
# A first boot under emulation may outlast one command's patience; the next one goes on where that stopped.
create() { (cd "$home" && "$wharf" create --local-image image.qcow2 --local-disk 6 "$machine"); }
create || create || create
rm "$home/image.qcow2"
say "made"
room=$("$wharf" ssh "$machine" 'df -P / | tail -n 1' | awk '{ print int($2 / 1048576) }')
[ "$room" -ge 5 ] || fail "the root has $room GiB, and the disk 6"
[ "$("$wharf" ssh "$machine" hostname)" = "$machine" ] || fail "the host name is another"

mkdir -p "$home/root/bin" "$home/root/www"
cp "$(command -v busybox)" "$home/root/bin/busybox"
echo hello >"$home/root/www/index.html"
tar -C "$home/root" --owner=0 --group=0 -c . | "$docker" --context "$machine" import - test/web >/dev/null
"$docker" --context "$machine" run -v kept:/kept --rm test/web /bin/busybox sh -c 'echo kept >/kept/file'
"$docker" --context "$machine" run -d --restart always -p 18180:80 -p 127.0.0.1:18181:80 test/web \
    /bin/busybox httpd -f -p 80 -h /www >/dev/null
until_open http://127.0.0.1:18180/ hello
until_open http://127.0.0.1:18181/ hello
say "a container ran, and another is reached at both of its ports"

# What systemd does with its units, itself and the daemon's leaves containers and their limits alone, with control groups 2.
"$docker" --context "$machine" run -d --name limited --memory 64m --pids-limit 50 --cpus 0.5 test/web /bin/busybox sleep 9999 >/dev/null
limits() {
    "$wharf" ssh "$machine" sudo sh -s "$("$docker" --context "$machine" inspect -f '{{.State.Pid}}' limited)" <<'SCRIPT'
set -eu
group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$1/cgroup")
echo "$1" "$(stat -fc %T /sys/fs/cgroup)" "$(cat "$group/memory.max" "$group/pids.max" "$group/cpu.max" | tr '\n' ' ')"
SCRIPT
}
before=$(limits)
case $before in *" cgroup2fs 67108864 50 50000 100000 "*) ;; *) fail "its limits are $before" ;; esac
delegated=$("$wharf" ssh "$machine" 'systemctl show wharfd -p Delegate -p KillMode | sort | tr "\n" " "')
[ "$delegated" = "Delegate=yes KillMode=process " ] || fail "the unit says $delegated"
for step in daemon-reload daemon-reexec "restart wharfd"; do
    "$wharf" ssh "$machine" "sudo systemctl $step"
    until "$docker" --context "$machine" version >/dev/null 2>&1; do sleep 0.5; done
    [ "$(limits)" = "$before" ] || fail "after systemctl $step the limits are $(limits), and were $before"
done
"$docker" --context "$machine" rm -f limited >/dev/null
say "systemd was reloaded, executed anew, and had the daemon restarted under a container"

"$wharf" stop "$machine"
[ "$("$wharf" status "$machine")" = Stopped ] || fail "it does not stop"
"$wharf" start "$machine"
say "stopped and started"
kept=$("$docker" --context "$machine" run -v kept:/kept --rm test/web /bin/busybox cat /kept/file)
[ "$kept" = kept ] || fail "the data is gone"
until_open http://127.0.0.1:18180/ hello
say "the data is there, and so is the container"

"$wharf" rm -y "$machine"
[ ! -e "$WHARF_HOME/machines/$machine" ] || fail "its folder is there"
for process in /proc/[0-9]*; do
    if tr '\0' ' ' 2>/dev/null <"$process/cmdline" | grep -q "$home/wharf"; then fail "${process#/proc/} runs on"; fi
done
say "removed, and nothing is left"
