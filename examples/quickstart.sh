#!/usr/bin/env bash
# From nothing to a container: builds wharf, makes a machine on this computer, and runs a container on it with the
# ordinary docker client over mutual TLS.
#
#   examples/quickstart.sh                    builds what is missing, makes the machine `demo`, runs a container
#   examples/quickstart.sh --registry WHERE   takes the image from a registry instead of making one on the spot: a host
#                                             (its library/busybox is taken) or a whole image name; also WHARF_REGISTRY
#   examples/quickstart.sh --clean            removes the machine and everything that this script made
#
# Needs Debian or Ubuntu, a Rust toolchain, and root or sudo for installing packages; no daemon is installed, and the
# docker client is unpacked into a folder of its own where there is none. Running it again is quick and harmless.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
machine=demo
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wharf
own=$cache/quickstart
registry=${WHARF_REGISTRY:-}
clean=

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$repository/examples/quickstart.sh"; }
fail() { # fail MESSAGE HINT
    printf 'quickstart: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --clean) clean=yes ;;
    --registry) registry=${2:?--registry needs a host or an image} && shift ;;
    --registry=*) registry=${1#*=} ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
    shift
done

# Under sudo the toolchain is the calling user's.
if ! command -v cargo >/dev/null; then
    home=$(getent passwd "${SUDO_USER:-$(id -un)}" | cut -d: -f6)
    [ -x "$home/.cargo/bin/cargo" ] || fail "there is no Rust toolchain" "install one from https://rustup.rs and run this again"
    export PATH="$home/.cargo/bin:$PATH" RUSTUP_HOME="${RUSTUP_HOME:-$home/.rustup}"
fi
# A build folder of the person's own choice is used, and left alone by --clean.
if [ -n "${CARGO_TARGET_DIR:-}" ]; then target=$CARGO_TARGET_DIR; else target=$own/target; fi
export CARGO_TARGET_DIR="$target"
wharf=$target/release/wharf

store=${WHARF_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/wharf}
contexts=${DOCKER_CONFIG:-$HOME/.docker}
answer=$cache/local-accelerator.json

phases=()
began=
now() { date +%s%3N; }
phase() { # phase WHAT COMMAND…: runs it, and remembers how long it took
    local what=$1 start
    shift
    printf '== %s\n' "$what"
    start=$(now)
    "$@"
    phases+=("$(printf '%7.1f s  %s' "$(awk -v ms=$(($(now) - start)) 'BEGIN { print ms / 1000 }')" "$what")")
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
    local wanted=(busybox-static ca-certificates cpio gcc libc6-dev libseccomp-dev make openssh-client perl pkg-config
        qemu-system-x86 xz-utils zstd) missing=()
    for package in "${wanted[@]}"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && echo "nothing is missing" && return
    echo "installing ${missing[*]}"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || fail "packages are missing: ${missing[*]}" "run this as root, or install sudo"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$own/apt.log" 2>&1 ||
        fail "the packages could not be installed" "see $own/apt.log"
    printf '%s\n' "${missing[@]}" >>"$own/installed"
}

# The docker client alone: the one on PATH if it is one (there are others by that name), or the distribution's
# unpacked, never its daemon.
find_docker() {
    docker=$(command -v docker || true)
    case $([ -z "$docker" ] || "$docker" --version 2>/dev/null || true) in
    "Docker version"*) ;;
    *) docker=$own/docker/usr/bin/docker ;;
    esac
    if [ ! -x "$docker" ]; then
        local package=docker.io download
        apt-cache show docker-cli >/dev/null 2>&1 && package=docker-cli
        download=$(mktemp -d "$own/download.XXXXXX")
        (cd "$download" && apt-get download -qq -o APT::Sandbox::User=root "$package" && dpkg-deb -x ./*.deb "$own/docker") ||
            fail "the docker client could not be fetched" "run: apt-get update"
        rm -rf "$download"
    fi
    "$docker" --version
}

build_wharf() {
    cargo build --quiet --locked --release -p wharf
    local agent
    agent=$(runtime-agent/build.sh | tail -n 1)
    # Beside the program is where it looks for its parts.
    ln -sfn "$agent" "$target/release/wharfd"
    "$wharf" version
}

build_guest() {
    local guest
    guest=$(drivers/local/guest/build.sh "$own/guest" | tail -n 1)
    ln -sfn "$guest" "$target/release/guest"
    echo "$guest"
}

make_machine() {
    local state
    state=$("$wharf" status "$machine" 2>/dev/null || true)
    case $state in
    Running) echo "$machine is there already" && "$wharf" context "$machine" >/dev/null ;;
    Stopped) "$wharf" start "$machine" && "$wharf" context "$machine" >/dev/null ;;
    # New, or begun by a run that was interrupted: create goes on with that.
    *) "$wharf" create "$machine" ;;
    esac
}

on_machine() { env -u DOCKER_HOST -u DOCKER_CONTEXT "$docker" --context "$machine" "$@"; }

get_image() {
    case $registry in
    "")
        image=wharf-quickstart/busybox:latest
        if on_machine image inspect "$image" >/dev/null 2>&1; then echo "$image is there already"; else make_image; fi
        ;;
    */*) image=$registry && on_machine pull --quiet "$image" ;;
    *) image=$registry/library/busybox:latest && on_machine pull --quiet "$image" ;;
    esac
}

# One static executable under every name it answers to: a whole image in a few lines.
make_image() {
    local root
    root=$(mktemp -d "$own/image.XXXXXX")
    mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/root"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in $("$root/bin/busybox" --list); do
        [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    tar -C "$root" --owner=0 --group=0 -c . | on_machine import --change 'CMD ["sh"]' --change 'ENV PATH=/bin' - "$image"
    rm -rf "$root"
}

run_container() {
    on_machine run --rm "$image" sh -c 'echo "hello from a container on $(uname -n), Linux $(uname -r)"'
}

# What is not there yet is this script's, and goes with --clean; what was there before stays.
remember() {
    local path
    for path in "$@"; do
        [ -e "$path" ] || printf '%s\n' "$path" >>"$own/made"
    done
}

was_made() { grep -qxF "$1" "$own/made" 2>/dev/null; }

remove_everything() {
    # A machine half made or half removed is removed too; one that is not there needs nothing.
    if [ -x "$wharf" ] && "$wharf" ls -q | grep -qx "$machine"; then "$wharf" rm -y "$machine"; fi
    if was_made "$store"; then
        # Machines that were made since then keep their store.
        if [ -z "$(ls -A "$store/machines" 2>/dev/null)" ]; then rm -rf "$store"; else echo "leaving $store, which has machines"; fi
    fi
    if was_made "$contexts" && [ -d "$contexts" ]; then find "$contexts" -depth -type d -empty -delete; fi
    if was_made "$answer"; then rm -f "$answer"; fi
    if [ "$target" = "$own/target" ]; then
        echo "removing $own"
    else
        echo "leaving the build folder $target, which CARGO_TARGET_DIR names"
        rm -f "$target/release/wharfd" "$target/release/guest"
    fi
    [ ! -s "$own/installed" ] || echo "these packages were installed and stay: $(sort -u "$own/installed" | tr '\n' ' ')"
    rm -rf "$own"
    rmdir "$cache" 2>/dev/null || true
}

if [ -n "$clean" ]; then
    remove_everything
    exit 0
fi

mkdir -p "$own"
remember "$store" "$contexts" "$answer"
began=$(now)
phase "installing what is missing" install_packages
phase "finding a docker client" find_docker
phase "building wharf and its agent (release)" build_wharf
phase "making the guest's image" build_guest
phase "making the machine $machine" make_machine
phase "getting an image" get_image
phase "running a container" run_container

printf '\nWhat took how long:\n'
printf '%s\n' "${phases[@]}"
printf '%7.1f s  in all\n' "$(awk -v ms=$(($(now) - began)) 'BEGIN { print ms / 1000 }')"
cat <<END

How to go on:
  export PATH=$target/release:$(dirname "$docker"):\$PATH
  docker --context $machine run --rm -it $image     # a shell in a container
  eval "\$(wharf env $machine)"                      # or point this terminal's docker client at it
  wharf ls                                        # all machines
  wharf ssh $machine                                 # a shell on the machine itself
  wharf stop $machine; wharf start $machine             # its data stays
  $repository/examples/quickstart.sh --clean      # remove everything again
END
