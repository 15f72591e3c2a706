#!/usr/bin/env bash
# Installs what the tests need, runs them all, and ends with how many passed, failed and were skipped.
#
#   tests/run.sh [FILTER]      only the tests whose name contains FILTER, and no lints
#
# WHARF_TEST_AGENT names an agent to put on hosts, such as the one that ships (runtime-agent/build.sh prints its path);
# without it they get the one that is built here with everything else, unoptimised.
#
# Needs Debian or Ubuntu, a Rust toolchain, and root or sudo: test hosts are network namespaces with a root of their
# own. Everything it starts, it ends; what an earlier run left behind when it was killed, it removes first.
set -euo pipefail
cd "$(dirname "$0")/.."
filter=${1:-}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wharf
mkdir -p "$cache"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
export CARGO_TERM_COLOR=never
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
export WHARF_TEST_SKIPS="$results/skips"
: >"$WHARF_TEST_SKIPS"

say() { printf '\n== %s\n' "$*"; }

as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "tests/run.sh: needs root, or sudo" >&2; exit 1; }
    as_root=(sudo --preserve-env)
fi

install_packages() {
    local wanted=(busybox-static ca-certificates cpio curl debootstrap dbus docker-registry dropbear-bin e2fsprogs gcc
        gnome-keyring iproute2 iptables libc6-dev libcap-ng-dev libseccomp-dev libssl-dev lz4 make nftables openssh-client openssh-server openssl perl
        pkg-config python3 python3-venv
        qemu-system-x86 qemu-utils sshfs systemd-container util-linux xz-utils zstd)
    local missing=()
    for package in "${wanted[@]}"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "installing ${missing[*]}"
    # Their services must not start here: the tests start what they need, where they need it.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
        "${as_root[@]}" chmod +x $policy
        trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d; rm -rf "$results"' EXIT
    fi
    "${as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$results/apt" 2>&1 ||
        { tail -n 20 "$results/apt" >&2; exit 1; }
    "${as_root[@]}" rm -f $policy
}

# The docker client, without its daemon: from the PATH, or unpacked from the distribution's package.
find_docker() {
    if command -v docker >/dev/null; then
        export WHARF_TEST_DOCKER="$(command -v docker)"
        return
    fi
    export WHARF_TEST_DOCKER="$cache/docker-client/usr/bin/docker"
    [ -x "$WHARF_TEST_DOCKER" ] && return
    say "unpacking the docker client"
    mkdir -p "$cache/docker-client"
    (
        cd "$results"
        local package=docker.io
        apt-cache show docker-cli >/dev/null 2>&1 && package=docker-cli
        apt-get download -qq "$package"
        dpkg-deb -x "$package"_*.deb "$cache/docker-client"
    )
}

# AppArmor's compiler, for a guest: unpacked and not installed, since here it would confine programs.
find_apparmor() {
    local folder="$cache/apparmor"
    if [ ! -d "$folder" ]; then
        say "unpacking AppArmor's compiler"
        mkdir "$results/apparmor"
        (cd "$results/apparmor" && apt-get download -qq apparmor && dpkg-deb -x apparmor_*.deb .)
        mv "$results/apparmor" "$folder"
    fi
    export WHARF_TEST_APPARMOR=$(find "$folder" -name apparmor_parser -type f)
}

# A simulated EC2 needs moto, in a Python of its own; a shared store is tried on its S3, too. What its extra for servers
# would bring, for clouds of all kinds, is as large again.
MOTO=('moto[ec2,s3,ssm,sts,iam]==5.*' flask flask-cors)
export WHARF_TEST_MOTO="$cache/moto/bin/python"
install_moto() {
    "$WHARF_TEST_MOTO" -c 'import moto.server' 2>/dev/null && return
    rm -rf "$cache/moto"
    python3 -m venv "$cache/moto"
    # Of thousands of modules hardly a tenth is ever imported, and compiled then.
    "$cache/moto/bin/pip" install -q --disable-pip-version-check --no-compile "${MOTO[@]}"
}

# A shared store is tried on Azurite, too: Azure's blobs, from the registry of npm. Without npm that is skipped.
AZURITE='azurite@3'
azurite="$cache/azurite/node_modules/azurite/dist/src/blob/main.js"
install_azurite() {
    [ -f "$azurite" ] && return
    command -v npm >/dev/null || { echo "azurite: there is no npm to install it with" >>"$WHARF_TEST_SKIPS"; return; }
    mkdir -p "$cache/azurite"
    npm install --silent --no-audit --no-fund --prefix "$cache/azurite" "$AZURITE" ||
        echo "azurite: npm could not install it" >>"$WHARF_TEST_SKIPS"
}

count() { # the sum of one column of cargo's closing lines
    cat "$results"/*.log 2>/dev/null | sed -n "s/^test result:.* \([0-9][0-9]*\) $1;.*/\1/p" | awk '{n += $1} END {print n + 0}'
}

failures() { find "$results" -name '*.failed' | wc -l; }
run() { # run NAME COMMAND…: output to a log, the log shown when it fails; says how long it took, and how much of a processor
    local name=$1 status=0 TIMEFORMAT='%0R s %0U %0S'
    shift
    { time "$@" >"$results/$name.log" 2>&1; } 2>"$results/$name.time" || status=$?
    local took
    took=$(awk '{ printf "%5d s %5d s of a processor", $1, $3 + $4 }' "$results/$name.time")
    if [ $status = 0 ]; then
        printf '%-28s ok     %s\n' "$name" "$took"
    else
        printf '%-28s FAILED %s\n' "$name" "$took"
        : >"$results/$name.failed"
        grep -vE '^test .* \.\.\. ok$|^ +Compiling |^ +Running |^running [0-9]+ tests$|^$' "$results/$name.log" | tail -n 120 || true
    fi
}

install_packages
find_docker
find_apparmor

if [ -z "$filter" ]; then
    say "form"
    run format cargo fmt --all --check
    run shell-scripts bash -c 'for f in $(git ls-files "*.sh" .ci/run); do bash -n "$f" || exit 1; done'
fi

# Clippy is a compiler: what it lints, it builds, in one pass; `cargo clippy` would only check, and every crate that
# ours depend on would be compiled once for it and once for the tests. Nobody steps through these builds or edits them. The
# program that ships has an OpenSSL of its own in it, which is three minutes of C; tests are linked with the system's.
# All of it is as static as the agent: that one is among what is built, and needs no build of its own. Overflows are looked
# for; what the standard library would check at each access of a slice is left out, as in what ships.
. runtime-agent/static.sh
export RUSTC_WRAPPER="$PWD/tests/rustc.sh" RUSTC_WORKSPACE_WRAPPER=clippy-driver CARGO_INCREMENTAL=0
export CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false CARGO_PROFILE_DEV_OVERFLOW_CHECKS=true
export CARGO_PROFILE_DEV_DEBUG=false CARGO_BUILD_TARGET="$target" RUSTDOCFLAGS=$RUSTFLAGS OPENSSL_NO_VENDOR=1 OPENSSL_STATIC=1
built="$CARGO_TARGET_DIR/$target/debug"

# What `cargo … --message-format=json` says of ours in words; an error where there is any, be it a warning. Prints the
# test binaries: package, its folder, executable.
read_messages() {
    python3 -c '
import json, os, sys
told = 0
for line in sys.stdin:
    message = json.loads(line)
    if message.get("reason") == "compiler-message" and message["message"]["level"] in ("warning", "error"):
        told += 1
        print(message["message"]["rendered"], file=sys.stderr)
    if message.get("executable") and message.get("profile", {}).get("test"):
        folder = os.path.dirname(message["manifest_path"])
        package = message["package_id"].split("#")[-1].split("@")[0]
        if package[0].isdigit():
            package = os.path.basename(message["package_id"].split("#")[0])
        print(package, folder, message["executable"], sep="\t")
sys.exit(told > 0)'
}

# One build of everything: a build of one package alone would choose other features, and compile half the tree again.
# So the driver for AWS is in it, and in the program, which cargo builds for its own package's tests; its SDK is one
# rustc of minutes and gigabytes, which goes on beside the others. Only a FILTER that it has nothing to do with spares it.
with_aws() { [[ -z $filter || $filter == *aws* || $filter == *ec2* || $filter == *fleets* ]]; }
features=()
if with_aws; then features=(--features wharf/aws,wharf-driver-aws/sdk); fi
build_tests() {
    cargo test --workspace --locked "${features[@]}" --no-run --message-format=json | read_messages >"$results/binaries"
}
# The agent goes over the network many times, and into guests: without its symbols it is two thirds as large.
build_agent() { [ -n "${WHARF_TEST_AGENT:-}" ] || strip -o "$built/wharfd-stripped" "$built/wharfd"; }
# What else tests need, where it isn't there yet: mostly waiting for packages.
make_ready() {
    local kind
    install_moto || return 1
    install_azurite
    drivers/local/guest/build.sh | tail -n 1 >"$results/guest" || return 1
    for kind in systemd openrc bare cloud-init firewalls; do "${as_root[@]}" tests/lab/base.sh "$kind" || return 1; done
}
stop_unless() { # stop_unless NAME…: without what these make, no test says anything
    local name
    for name in "$@"; do
        [ ! -e "$results/$name.failed" ] || { wait; echo "0 passed, $(failures) failed"; exit 1; }
    done
}

say "lints and builds"
run make-ready make_ready &
ready=$!
run build-tests build_tests
run build-agent build_agent
wait "$ready"
stop_unless format shell-scripts make-ready build-tests build-agent
[ ! -f "$azurite" ] || export WHARF_TEST_AZURITE="$azurite"
export WHARF_TEST_WHARF="$built/wharf" WHARF_TEST_AGENT="${WHARF_TEST_AGENT:-$built/wharfd-stripped}"
if with_aws; then export WHARF_TEST_WHARF_AWS=$WHARF_TEST_WHARF; fi
WHARF_TEST_GUEST=$(cat "$results/guest")
export WHARF_TEST_GUEST

# The test binaries of one package, each from its package's folder, as cargo would run them.
test_package() { # test_package PACKAGE [COMMAND…]: what runs them, where root is needed
    local wanted=$1 package folder binary status=0
    shift
    while IFS=$'\t' read -r package folder binary; do
        [ "$package" = "$wanted" ] || continue
        echo "     Running $binary"
        (cd "$folder" && CARGO_MANIFEST_DIR=$folder exec env "$@" "$binary" $filter) || status=1
    done <"$results/binaries"
    return $status
}

say "tests"
# Minutes in which little is computed: they wait for clouds, hosts and guests, in which things take their time. So two
# lanes go on beside each other, and in those that wait most more tests run at once than there are processors. What is
# timed by simulated clouds and by real hosts bears no third.
waiting=$(($(nproc) * 2))
# These need root: containers, namespaces, test hosts and virtual machines.
root=("${as_root[@]}" env PATH="$PATH" HOME="$HOME" CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}"
    RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}")
clouds() {
    run wharf-driver-azure test_package wharf-driver-azure RUST_TEST_THREADS=$waiting
    if with_aws; then run wharf-driver-aws test_package wharf-driver-aws RUST_TEST_THREADS=$waiting; fi
    run wharf-driver-local test_package wharf-driver-local RUST_TEST_THREADS=$waiting
    run wharf test_package wharf RUST_TEST_THREADS=$waiting
    run book test_package wharf-docs "${root[@]}"
    run wharfd test_package wharfd "${root[@]}"
}
hosts() {
    local package apart=(-e wharf -e wharfd -e wharf-tests -e wharf-docs -e 'wharf-driver-\(azure\|aws\|local\)')
    for package in $(cut -f1 "$results/binaries" | sort -u | grep -vx "${apart[@]}"); do
        run "$package" test_package "$package"
    done
    run examples-in-docs cargo test --workspace --locked "${features[@]}" --doc -- $filter
    run it test_package wharf-tests "${root[@]}" RUST_TEST_THREADS=$waiting
}
clouds &
beside=$!
hosts
wait "$beside"
# The agent keeps its empty control groups for the next container; here there is none.
"${as_root[@]}" find /sys/fs/cgroup -depth -type d \( -path '*/wharf/shim' -o -name wharf \) \
    -exec rmdir {} \; 2>/dev/null || true

passed=$(count passed)
failed=$(count failed)
# A test binary that died has no closing line; its failure counts all the same.
[ "$(failures)" -le "$failed" ] || failed=$(failures)
skipped=$(sort -u "$WHARF_TEST_SKIPS" | grep -c . || true)
if [ "$skipped" != 0 ]; then
    say "skipped"
    sort -u "$WHARF_TEST_SKIPS"
fi
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ] && [ "$(failures)" = 0 ]
