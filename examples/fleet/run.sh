#!/usr/bin/env bash
# A fleet over two simulated clouds: planned, applied, killed in the middle, applied again, destroyed. See README.md.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
simulators=()
trap 'kill "${simulators[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
# Machines, keys and clouds end with this script.
export WHARF_HOME="$work/wharf" WHARF_KEYRING=off DOCKER_CONFIG="$work/docker" XDG_CONFIG_HOME="$work/config" TEAM=shop

fact() { sed -n "s/^$2  *//p" "$work/$1"; } # fact CLOUD NAME

start() { # start NAME CLOUD
    setpriv --pdeathsig TERM wharf-sim --cloud "$2" --scale 0.02 >"$work/$1" &
    simulators+=($!)
    for _ in $(seq 300); do
        ! grep -q ^control "$work/$1" || return 0
        sleep 0.1
    done
    echo "the simulated $1 does not start" >&2 && exit 1
}

set_up() { # set_up NAME: a profile of the cloud, once
    AZURE_CA=$(fact "$1" ca) AZURE_SUBSCRIPTION_ID=$(fact "$1" subscription) \
        AZURE_CLIENT_ID=$(fact "$1" "client id") AZURE_CLIENT_SECRET=$(fact "$1" "client secret") \
        wharf cloud add "$(fact "$1" endpoint)" --name "$1" >/dev/null 2>"$work/set-up" ||
        { cat "$work/set-up" >&2 && exit 1; }
    # There is no keyring here that the secret could be in.
    (umask 077 && fact "$1" "client secret" >"$work/$1.secret")
    sed -i "s|  env: AZURE_CLIENT_SECRET|  file: $work/$1.secret|" "$XDG_CONFIG_HOME/wharf/clouds/$1.yaml"
}

step() { printf '\n$ %s\n' "$*"; }

start public public
start stamp hub-2020-09-01
set_up public
set_up stamp

step wharf plan
wharf plan || [ $? = 11 ] # 11: there is something to do

step wharf apply --yes, killed in the middle
setsid wharf apply --yes &
apply=$!
until [ "$(wharf ls -q | wc -l)" -ge 4 ]; do sleep 0.05; done
kill -KILL $apply
wait $apply || true

step wharf plan
wharf plan || [ $? = 11 ]

step wharf apply --yes
wharf apply --yes

step wharf plan
wharf plan # 0: everything is as it should be

step wharf ls
wharf ls

step wharf destroy --yes
wharf destroy --yes
[ -z "$(wharf ls -q)" ]
