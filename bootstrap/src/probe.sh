# One POSIX shell script, run as root where that is possible; one JSON object on standard output. Changes nothing.
# Arguments: how we became root (root, sudo, doas, none), why not, the engine's port, who signed in.
access=$1 refusal=$2 port=$3 user=$4
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
export LC_ALL=C

have() { command -v "$1" >/dev/null 2>&1; }
# A JSON string; line breaks stay, other control characters go. Most need nothing of that, and no process either, which
# are dear on an emulated machine.
string() {
    case $1 in *[!A-Za-z0-9\ ._:/@+=,-]*) ;; *) printf '"%s"' "$1"; return ;; esac
    printf '"'
    printf '%s\n' "$1" | tr -d '\000-\010\013-\037\177' | sed 's/\\/\\\\/g;s/"/\\"/g;s/	/ /g' | {
        first=1
        while IFS= read -r line; do
            [ "$first" ] || printf '\\n'
            first=
            printf '%s' "$line"
        done
    }
    printf '"'
}
field() { printf '"%s":' "$1"; string "$2"; printf ','; }
truth() { if "$@" >/dev/null 2>&1; then printf true; else printf false; fi; }
fact() { name=$1; shift; printf '"%s":%s,' "$name" "$(truth "$@")"; }
content() { if [ -r "$1" ]; then cat "$1" 2>/dev/null; fi; }

os() { if [ -r /etc/os-release ]; then (. /etc/os-release; eval "printf %s \"\${$1:-}\""); fi; }
loadable() { have modprobe && modprobe -n -q "$1"; }
overlay() { grep -qw overlay /proc/filesystems || loadable overlay; }
nf_tables() { grep -q '^nf_tables ' /proc/modules || [ -d /sys/module/nf_tables ] || grep -q nf_tables /proc/kallsyms || loadable nf_tables; }
enforcing() { [ "$(content /sys/fs/selinux/enforce)" = 1 ]; }
cloud_init() { [ -d /run/cloud-init ] && [ -e /run/cloud-init/enabled ] && [ ! -e /run/cloud-init/result.json ]; }
init() {
    if [ -d /run/systemd/system ]; then echo systemd
    elif [ -e /etc/wharf-guest ] || [ -d /etc/wharf/boot.d ]; then echo folder
    elif [ -d /run/openrc ] && have rc-service; then echo openrc
    else echo none; fi
}
cgroup() {
    v1=$(grep -c ' - cgroup ' /proc/self/mountinfo)
    v2=$(grep -c ' - cgroup2 ' /proc/self/mountinfo)
    if [ "$v1" -gt 0 ] && [ "$v2" -gt 0 ]; then echo hybrid
    elif [ "$v2" -gt 0 ]; then echo v2
    elif [ "$v1" -gt 0 ]; then echo v1
    else echo none; fi
}
# Free space and mount options of the folder, or of what will hold it.
folder() {
    at=$1
    while [ ! -d "$at" ]; do at=${at%/*}; [ "$at" ] || at=/; done
    set -- "$1" $(df -Pk "$at" 2>/dev/null | tail -n 1)
    free=${5:-0} mount=${7:-/}
    options=,$(mount_options "$mount"),
    case $options in *,ro,*) ro=true ;; *) ro=false ;; esac
    case $options in *,noexec,*) noexec=true ;; *) noexec=false ;; esac
    case $free in *[!0-9]*|'') free=0 ;; esac
    printf '{"path":"%s","free":%s,"read_only":%s,"no_exec":%s}' "$1" "$free" "$ro" "$noexec"
}
# The options of the last mount there.
mount_options() {
    while read -r _ at _ options _; do [ "$at" = "$1" ] && found=$options; done </proc/mounts
    printf %s "${found:-}"
}
listening() { grep -q "$listener" /proc/net/tcp /proc/net/tcp6 2>/dev/null; }
# The program that holds the port: its socket's inode, looked up among all descriptors.
port_owner() {
    inode=$(grep -h "$listener" /proc/net/tcp /proc/net/tcp6 2>/dev/null | head -n 1 | {
        read -r _ _ _ _ _ _ _ _ _ inode _; printf %s "$inode"; })
    [ "$inode" ] || return 0
    for fds in /proc/[0-9]*/fd; do
        if ls -l "$fds" 2>/dev/null | grep -q "socket:\[$inode\]"; then
            content "${fds%/fd}/comm"
            return 0
        fi
    done
}
listener=$(printf '^ *[0-9]*: [0-9A-F]*:%04X [0-9A-F]*:[0-9A-F]* 0A ' "$port")
init=$(init)
case $init in
    systemd) service=/etc/systemd/system/wharfd.service enabled=/etc/systemd/system/multi-user.target.wants/wharfd.service ;;
    openrc) service=/etc/init.d/wharfd enabled=/etc/runlevels/default/wharfd ;;
    folder) service=/etc/wharf/boot.d/50-wharfd enabled=/etc/wharf/boot.d/50-wharfd ;;
    none) service=/etc/wharf/start enabled=/nowhere ;;
esac
agent=
for at in /usr/local/bin/wharfd /opt/wharf/bin/wharfd /var/lib/wharf/bin/wharfd; do
    if [ -f "$at" ]; then agent=$at; break; fi
done
running() {
    case $init in
        systemd) systemctl is-active --quiet wharfd.service ;;
        openrc) rc-service wharfd status ;;
        *) [ -r /run/wharf-watchdog.pid ] && kill -0 "$(cat /run/wharf-watchdog.pid)" ;;
    esac
}
engines() {
    comma=
    for engine in dockerd containerd podman crio balena-engine; do
        have "$engine" && { printf '%s"%s"' "$comma" "$engine"; comma=,; }
    done
}
sha256() { [ "$1" ] && sha256sum "$1" 2>/dev/null | { read -r sum _; printf %s "$sum"; }; }

# The registries whose authority is ours to look after, by the mark that its file begins with.
registries() {
    comma=
    for file in /etc/wharf/certs.d/*/ca.crt; do
        [ -r "$file" ] && IFS= read -r first <"$file" && [ "$first" = '# brought by wharf' ] || continue
        at=${file%/ca.crt}
        printf %s "$comma"; string "${at##*/}"; printf :; string "$(sha256 "$file")"
        comma=,
    done
}

printf '{'
field system "$(uname -s)"
field architecture "$(uname -m)"
field kernel "$(uname -r)"
field os_id "$(os ID)"
field os_version "$(os VERSION_ID)"
field os_name "$(os PRETTY_NAME)"
field host_name "$(uname -n)"
field user "$user"
field access "$access"
field refusal "$refusal"
field init "$init"
field cgroup "$(cgroup)"
fact overlay overlay
fact nf_tables nf_tables
fact selinux enforcing
fact gzip have gzip
fact cloud_init_running cloud_init
printf '"clock":%s,' "$(date +%s)"
printf '"folders":['
if [ "$init" != folder ]; then folder /usr/local/bin; printf ,; folder /opt/wharf/bin; printf ,; fi
folder /var/lib/wharf/bin
printf '],"data":'
folder /var/lib/wharf
printf ','
fact port_taken listening
field port_owner "$(if listening; then port_owner; fi)"
printf '"engines":[%s],' "$(engines)"
printf '"agent":{'
field path "$agent"
field sha256 "$(sha256 "$agent")"
fact running running
field service "$(content "$service")"
fact enabled test -e "$enabled"
field authority "$(content /etc/wharf/tls/ca.pem)"
field server "$(content /etc/wharf/tls/server.pem)"
field revoked "$(content /etc/wharf/tls/crl.pem)"
printf '"registries":{%s},' "$(registries)"
printf '"key":%s}}\n' "$(truth test -s /etc/wharf/tls/server-key.pem)"
