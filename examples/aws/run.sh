#!/usr/bin/env bash
# A machine in EC2: made, used, stopped, started and removed, in a simulated account. See README.md.
set -euo pipefail
python=${1:-${WHARF_TEST_MOTO:?names the Python that moto is installed for}}
work=$(mktemp -d)
simulator=
trap 'kill $simulator 2>/dev/null || true; wait; rm -rf "$work"' EXIT
# Machines, keys and contexts end with the account.
export WHARF_HOME="$work/wharf" WHARF_KEYRING=off DOCKER_CONFIG="$work/docker" XDG_CONFIG_HOME="$work/config"

fact() { sed -n "s/^$1  *//p" "$work/facts"; } # fact NAME

: >"$work/facts"
# Twenty of its seconds are one of ours, beside what its hosts really take; it ends with this script, however that ends.
setpriv --pdeathsig TERM wharf-ec2-sim-lab "$python" 20 >"$work/facts" &
simulator=$!
for _ in $(seq 600); do
    ! grep -q ^endpoint "$work/facts" || break
    sleep 0.1
done

there() { nsenter --net="$(fact network)" -- "$@"; } # there COMMAND…: where the account's machines are reached

# All that differs from a real account: where it answers.
export AWS_ENDPOINT_URL=$(fact endpoint) AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=$(fact key) AWS_SECRET_ACCESS_KEY=$(fact secret)

mkdir -p "$work/root/bin"
cp "$(command -v busybox)" "$work/root/bin/busybox"
tar -C "$work/root" --owner=0 --group=0 -cf "$work/busybox.tar" bin

there wharf create --driver aws web1
there docker --context web1 import "$work/busybox.tar" example/busybox >/dev/null
there docker --context web1 run --rm example/busybox /bin/busybox echo "hello from $(there wharf ip web1)"
there wharf stop web1
there wharf start web1
there docker --context web1 run --rm example/busybox /bin/busybox echo "hello again from $(there wharf ip web1)"
there wharf ls
there wharf rm -y web1
