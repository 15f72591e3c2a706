#!/usr/bin/env bash
# The long forms of what tests/run.sh runs short: hours, not minutes.
#
#   tests/soak.sh [all]        all of them
#   tests/soak.sh fuzz         ten minutes of random input for each parser (MINUTES=10)
#   tests/soak.sh lives        ten thousand containers leave a host as it was (LIVES=10000): needs root or sudo
#   tests/soak.sh cloud-image  a machine of the local driver from a cloud image with cloud-init: minutes under emulation
#   tests/soak.sh azure        simulated clouds with real hosts: a create killed everywhere, and the clouds that tests/run.sh
#                              leaves out: needs root or sudo
#   tests/soak.sh local        machines in QEMU with a full disk, a damaged one and a clock that stood still, and with shares
#                              by virtiofs: needs root or sudo
#   tests/soak.sh html         the book as HTML has every page and every place that links may name
#   tests/soak.sh points       killed at every point in simulated clouds, where tests/run.sh leaves some out
#   tests/soak.sh shipped      all of tests/run.sh, with the agent that ships on its hosts
#   tests/soak.sh clients      Docker's SDK for Python and docker-compose do the same with the engine and with the
#                              distribution's dockerd: needs root, and the Python package index
#   tests/soak.sh judge        Microsoft's own Python SDK and Azure CLI, of today and the last that knew hybrid profiles,
#                              judge the simulated clouds (needs python3-venv and the Python package index)
#
# Needs what tests/run.sh needs; run that first.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wharf
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
minutes=${MINUTES:-10}
failed=0 passed=0

tally() { # tally NAME COMMAND…
    printf '%-60s ' "$1"
    if "${@:2}" >/tmp/wharf-soak.$$ 2>&1; then
        passed=$((passed + 1)) && echo ok
    else
        failed=$((failed + 1)) && echo FAILED && tail -n 40 /tmp/wharf-soak.$$
    fi
    rm -f /tmp/wharf-soak.$$
}

fuzz() {
    local package target
    for package in wharfd wharfd-api-types; do
        for target in $(cargo test --locked --quiet -p "$package" --lib -- --list 2>/dev/null | sed -n 's/^\(.*fuzz_.*\): test$/\1/p'); do
            tally "$package $target" env BOLERO_RANDOM_TEST_TIME_MS=$((minutes * 60000)) BOLERO_RANDOM_ITERATIONS=1000000000 \
                cargo test --locked --quiet -p "$package" --lib -- --exact "$target"
        done
    done
}

# A machine from a cloud image is made, runs a container, is stopped and started, keeps its data, and leaves nothing.
cloud_image() {
    local image
    image=$(tests/lab/cloud-image.sh | tail -n 1)
    cargo build --locked --quiet -p wharf
    export WHARF_AGENT="${WHARF_TEST_AGENT:-$(runtime-agent/build.sh | tail -n 1)}"
    # Shown as it goes, since it takes minutes.
    if tests/lab/cloud-machine.sh "$CARGO_TARGET_DIR/debug/wharf" "$image"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo --preserve-env)

# The tests of `it`, and what they put on hosts.
build_it() {
    cargo build --locked --quiet -p wharf
    it=$(cargo test --locked --no-run -p wharf-tests --test it 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
    WHARF_TEST_AGENT="${WHARF_TEST_AGENT:-$(runtime-agent/build.sh | tail -n 1)}"
    WHARF_TEST_DOCKER="${WHARF_TEST_DOCKER:-$(command -v docker || echo "$cache/docker-client/usr/bin/docker")}"
}
with_it() { # with_it [VARIABLE=VALUE…] ARGUMENTS…: of the tests of `it`
    local -a variables=()
    while [[ $1 == *=* ]]; do variables+=("$1") && shift; done
    "${as_root[@]}" env PATH="$PATH" HOME="$HOME" WHARF_TEST_AGENT="$WHARF_TEST_AGENT" \
        WHARF_TEST_DOCKER="$WHARF_TEST_DOCKER" WHARF_TEST_WHARF="$CARGO_TARGET_DIR/debug/wharf" "${variables[@]}" "$it" "$@"
}
ignored() { # ignored PREFIX: the long tests whose names begin with it
    "$it" --list --ignored 2>/dev/null | sed -n "s/^\($1.*\): test$/\1/p"
}

azure() {
    local long
    build_it
    for long in $(ignored azure::); do tally "$long" with_it --ignored --exact "$long"; done
}

local_machines() {
    local long guest
    build_it
    guest=$(drivers/local/guest/build.sh | tail -n 1)
    install_virtiofsd
    for long in $(ignored local_); do
        tally "$long" with_it WHARF_TEST_GUEST="$guest" WHARF_TEST_VIRTIOFSD="$virtiofsd" --ignored --exact "$long"
    done
}

# What shares folders by virtiofs: from the PATH where it is new enough, or built into the cache, which takes 35 seconds of
# a processor and leaves 10 MB.
install_virtiofsd() {
    for virtiofsd in "$(command -v virtiofsd || true)" /usr/libexec/virtiofsd /usr/lib/virtiofsd "$cache/virtiofsd/bin/virtiofsd"; do
        if [ -x "$virtiofsd" ] && "$virtiofsd" --help 2>/dev/null | grep -q -- --readonly; then return; fi
    done
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_TARGET_DIR="$CARGO_TARGET_DIR/virtiofsd" \
        cargo install --quiet --locked --root "$cache/virtiofsd" virtiofsd@1.14.0
    rm -rf "$CARGO_TARGET_DIR/virtiofsd"
}

lives() {
    build_it
    tally "${LIVES:-10000} lives" with_it WHARF_TEST_LIVES="${LIVES:-10000}" \
        --exact cycles::three_hundred_lives_leave_a_host_as_it_was
}

points() {
    tally "killed at every point in Azure" env WHARF_TEST_EVERY_POINT=1 \
        cargo test --locked --quiet -p wharf-driver-azure --test conformance -- suite::
    tally "killed at every point in EC2" env WHARF_TEST_EVERY_POINT=1 \
        WHARF_TEST_MOTO="${WHARF_TEST_MOTO:-$cache/moto/bin/python}" \
        cargo test --locked --quiet -p wharf-driver-aws --features sdk --test conformance -- suite::
}

html() {
    tally "the book as HTML" cargo test --locked --quiet -p wharf-docs --features html --test book links::
}

shipped() {
    local agent
    agent=$(runtime-agent/build.sh | tail -n 1)
    tally "tests/run.sh with the agent that ships" env WHARF_TEST_AGENT="$agent" tests/run.sh
}

sdk() { # sdk NAME PACKAGE…: a Python of its own with these packages
    [ -x "$cache/sdk-$1/bin/python" ] || python3 -m venv "$cache/sdk-$1"
    "$cache/sdk-$1/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
}

clients() {
    local agent
    agent=${WHARF_TEST_AGENT:-$(runtime-agent/build.sh | tail -n 1)}
    sdk docker 'docker==7.*'
    tally "Docker's SDK for Python, beside dockerd" env PYTHONDONTWRITEBYTECODE=1 "$cache/sdk-docker/bin/python" \
        tests/lab/compare_sdk.py --agent "$agent" --peer "$(tests/lab/dockerd.sh | tail -n 1)"
    tally "docker-compose, beside dockerd" env PYTHONDONTWRITEBYTECODE=1 python3 tests/lab/compare_compose.py \
        --agent "$agent" --peer "$(tests/lab/dockerd.sh | tail -n 1)" --compose "$(unpacked_compose)"
}

unpacked_compose() { # the distribution's docker-compose with what it imports, not installed
    local folder=$cache/docker-compose scratch
    if [ ! -x "$folder/usr/bin/docker-compose" ]; then
        scratch=$(mktemp -d)
        (
            cd "$scratch"
            apt-get download -qq docker-compose python3-attr python3-certifi python3-chardet python3-charset-normalizer \
                python3-distro python3-distutils python3-docker python3-dockerpty python3-docopt python3-dotenv python3-idna \
                python3-jsonschema python3-paramiko python3-pkg-resources python3-pyrsistent python3-requests python3-setuptools \
                python3-six python3-texttable python3-urllib3 python3-websocket python3-yaml 2>/dev/null
            for package in *.deb; do dpkg-deb -x "$package" unpacked; done
        ) >&2
        rm -rf "$folder"
        mv "$scratch/unpacked" "$folder"
        rm -rf "$scratch"
    fi
    echo "$folder"
}

judged_by() { # judged_by "SIMULATOR'S OPTIONS" COMMAND…, which is given the simulator's facts last
    local facts pid status=0
    facts=$(mktemp)
    # Words, not one option.
    # shellcheck disable=SC2086
    "$CARGO_TARGET_DIR/debug/wharf-sim" $1 >"$facts" &
    pid=$!
    for _ in $(seq 100); do grep -q ^control "$facts" && break || sleep 0.1; done
    timeout 600 "${@:2}" "$facts" || status=$?
    kill $pid
    rm -f "$facts"
    return $status
}

judge() {
    cargo build --locked --quiet -p wharf-sim
    sdk current azure-identity azure-mgmt-resource azure-mgmt-network azure-mgmt-compute
    sdk hybrid azure-identity azure-mgmt-resource==23.1.1 azure-mgmt-network==25.4.0 azure-mgmt-compute==30.6.0
    local judge=drivers/testkit/sim/tests/judge.py az=drivers/testkit/sim/tests/az.sh
    tally "judge: today's SDK, public" judged_by "--cloud public" "$cache/sdk-current/bin/python" "$judge"
    for cloud in public usgov hub-2020-09-01 hub-2019-03-01; do
        tally "judge: the last hybrid SDK, $cloud" judged_by "--cloud $cloud" "$cache/sdk-hybrid/bin/python" "$judge"
    done
    sdk az-current azure-cli
    sdk az-hybrid azure-cli==2.63.0 setuptools
    # US Gov's versions lag here: today's az asks for newer ones, and the older one looks for that cloud in public Azure.
    tally "judge: today's az, public" judged_by "--real-names --cloud public" "$az" "$cache/sdk-az-current/bin/az" latest
    # AD FS gives no token to a program that asks it as it asks Entra, as these do.
    for profile in 2020-09-01 2019-03-01; do
        tally "judge: the last hybrid az, hub-$profile" judged_by "--real-names --entra --cloud hub-$profile" \
            "$az" "$cache/sdk-az-hybrid/bin/az" "$profile-hybrid"
    done
}

case "${1:-all}" in
    fuzz) fuzz ;;
    lives) lives ;;
    cloud-image) cloud_image ;;
    azure) azure ;;
    local) local_machines ;;
    html) html ;;
    points) points ;;
    shipped) shipped ;;
    clients) clients ;;
    judge) judge ;;
    all)
        lives
        cloud_image
        azure
        local_machines
        html
        points
        shipped
        clients
        judge
        fuzz
        ;;
    *) echo "tests/soak.sh: there is no $1" >&2 && exit 2 ;;
esac
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ $failed = 0 ]
