#!/usr/bin/env bash
# A web server in a container, asked from this computer. See README.md.
set -euo pipefail
machine=${1:-published-port}
port=18080
made=
if ! wharf ls -q | grep -qx "$machine"; then
    wharf create "$machine"
    made=yes
fi
context=$(wharf context "$machine")
root=$(mktemp -d)
trap 'rm -rf "$root"; docker --context "$context" rm -f web >/dev/null 2>&1 || true; [ -z "$made" ] || wharf rm -y "$machine"' EXIT

mkdir -p "$root/bin" "$root/www"
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/httpd"
echo "hello from $machine" >"$root/www/index.html"
tar -C "$root" --owner=0 --group=0 -c bin www | docker --context "$context" import - example/web:latest >/dev/null

docker --context "$context" run -d --name web -p "$port:80" example/web:latest /bin/httpd -f -p 80 -h /www >/dev/null
for _ in $(seq 50); do
    if answer=$(busybox wget -q -O - "http://127.0.0.1:$port/" 2>/dev/null); then break; fi
    sleep 0.2
done
echo "${answer:?nobody answered on 127.0.0.1:$port}"
