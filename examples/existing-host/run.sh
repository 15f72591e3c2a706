#!/usr/bin/env bash
# Brings the engine to a host by its address, and takes it away again. See README.md.
set -euo pipefail
address=${1:?usage: run.sh ADDRESS [USER [KEY [FINGERPRINT]]]}
flags=(--driver ssh --ssh-address "$address" --ssh-user "${2:-root}")
[ -z "${3:-}" ] || flags+=(--ssh-key "$3")
[ -z "${4:-}" ] || flags+=(--ssh-host-key "$4")
machine=existing-host

wharf create "${flags[@]}" --dry-run "$machine"
wharf create "${flags[@]}" "$machine"
root=$(mktemp -d)
trap 'rm -rf "$root"; wharf rm -y --purge "$machine"' EXIT
context=$(wharf context "$machine")

mkdir -p "$root/bin"
cp "$(command -v busybox)" "$root/bin/busybox"
tar -C "$root" --owner=0 --group=0 -c bin | docker --context "$context" import - example/busybox:latest >/dev/null
docker --context "$context" run --rm example/busybox:latest /bin/busybox echo "hello from a container on $address"
