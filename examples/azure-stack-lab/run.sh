#!/usr/bin/env bash
# The same command, first at a simulated public Azure, then at a simulated Azure Stack Hub. See README.md.
set -euo pipefail
clouds=("$@")
[ $# != 0 ] || clouds=(public hub-2020-09-01)
work=$(mktemp -d)
simulators=()
trap 'kill "${simulators[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
# Machines, keys and contexts end with the clouds.
export WHARF_HOME="$work/wharf" WHARF_KEYRING=off DOCKER_CONFIG="$work/docker" XDG_CONFIG_HOME="$work/config"

fact() { sed -n "s/^$2  *//p" "$work/$1"; } # fact CLOUD NAME

start() { # start CLOUD
    # A minute of a real cloud's takes it half a second; it ends with this script, however that ends.
    setpriv --pdeathsig TERM wharf-sim-lab --cloud "$1" --scale 0.01 >"$work/$1" &
    simulators+=($!)
    for _ in $(seq 300); do
        ! grep -q ^control "$work/$1" || return 0
        sleep 0.1
    done
    echo "the simulated $1 does not start" >&2 && exit 1
}

at() { # at CLOUD COMMAND…: in the network of that cloud
    local cloud=$1
    shift
    nsenter --net="$(fact "$cloud" network)" -- "$@"
}

set_up() { # set_up CLOUD: once for each, with what its user has; this is all that differs
    AZURE_CA=$(fact "$1" ca) AZURE_SUBSCRIPTION_ID=$(fact "$1" subscription) \
        AZURE_CLIENT_ID=$(fact "$1" "client id") AZURE_CLIENT_SECRET=$(fact "$1" "client secret") \
        at "$1" wharf cloud add "$(fact "$1" endpoint)" --name "$1"
    # There is no keyring here that the secret could be in.
    (umask 077 && fact "$1" "client secret" >"$work/$1.secret")
    sed -i "s|  env: AZURE_CLIENT_SECRET|  file: $work/$1.secret|" "$XDG_CONFIG_HOME/wharf/clouds/$1.yaml"
}

mkdir -p "$work/root/bin"
cp "$(command -v busybox)" "$work/root/bin/busybox"
tar -C "$work/root" --owner=0 --group=0 -cf "$work/busybox.tar" bin

for cloud in "${clouds[@]}"; do
    start "$cloud"
    set_up "$cloud"
    export WHARF_CLOUD=$cloud
    at "$cloud" wharf create web1
    at "$cloud" docker --context web1 import "$work/busybox.tar" example/busybox >/dev/null
    at "$cloud" docker --context web1 run --rm example/busybox /bin/busybox echo "hello from $(fact "$cloud" endpoint)"
    at "$cloud" wharf rm -y web1
done
