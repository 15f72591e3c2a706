#!/usr/bin/env bash
# Unpacks the distribution's dockerd with what it needs, installs nothing, and prints the folder as the last line.
set -euo pipefail
folder=${XDG_CACHE_HOME:-$HOME/.cache}/wharf/dockerd
if [ ! -x "$folder/usr/sbin/dockerd" ]; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    for package in docker.io containerd runc; do
        (cd "$scratch" && apt-get download -qq "$package" && dpkg-deb -x "$package"_*.deb unpacked)
    done
    mkdir -p "$(dirname "$folder")"
    rm -rf "$folder"
    mv "$scratch/unpacked" "$folder"
fi
echo "$folder"
