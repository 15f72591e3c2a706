#!/usr/bin/env bash
# Measures what a person waits for, and prints each phase.
#
#   tests/bench.sh host [RUNS]     a test host: from "SSH answers" to "docker version answers over mutual TLS"
#   tests/bench.sh local [RUNS]    the local driver: from the command to its end, and docker version after it
#   tests/bench.sh engine [RUNS]   the engine beside dockerd, both in this run: containers, memory, lists, as ratios
#   tests/bench.sh azure           the driver alone: 1, 20 and 100 machines in a simulated cloud with its published limits,
#                                  in real time; what the client adds to what the cloud takes (seven minutes)
#   tests/bench.sh fleet           `ls` of 200 machines in two clouds, whose engines all listen; the memory of an apply of a
#                                  hundred; the processor time of `env`
#
# Five runs by default; the median is what to quote. The guest image and the host's base are built before the clock
# starts. Needs root for `host`, `fleet` and `engine`. Run it on a quiet machine, and compare only figures of one run. `engine`
# unpacks the distribution's docker.io, containerd and runc into the cache and installs nothing; WHARF_AGENT names an
# agent that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wharf
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
what=${1:-host} runs=${2:-5}
scratch=$(mktemp -d)
lab=/var/tmp/wharf-labs/bench-$$
trap 'tests/lab/lab.sh down "$lab" 2>/dev/null; rm -rf "$scratch"' EXIT

if [ "$what" = azure ]; then
    cargo test --locked --quiet --release -p wharf-driver-azure --test conformance -- \
        --ignored --exact --nocapture bench::what_the_client_adds
    exit
fi

if [ "$what" = fleet ]; then
    cargo build --locked --quiet --release -p wharf
    # No agent is ever brought anywhere: the program only wants one to be there.
    WHARF_TEST_WHARF=$CARGO_TARGET_DIR/release/wharf WHARF_TEST_AGENT=${WHARF_AGENT:-/bin/true} \
        cargo test --locked --quiet -p wharf-tests --test it -- --ignored --exact --nocapture many::figures
    exit
fi

[ -n "${WHARF_AGENT:-}" ] || WHARF_AGENT=$(runtime-agent/build.sh | tail -n 1)
export WHARF_AGENT
wharf=$CARGO_TARGET_DIR/release/wharf
[ "$what" = engine ] || cargo build --locked --quiet --release -p wharf

now() { date +%s%N; }
milliseconds() { echo $((($2 - $1) / 1000000)); }

# The clock starts where the issue says: SSH answers.
on_a_host() {
    local number=$1 host=h$1 address=10.99.0.$((10 + $1)) start end
    tests/lab/lab.sh host "$lab" "$host" "$address"
    local in_lab=(nsenter "--net=/run/netns/$(basename "$lab")")
    until "${in_lab[@]}" ssh-keyscan -T 1 -t ed25519 "$address" >"$scratch/key" 2>/dev/null && [ -s "$scratch/key" ]; do
        sleep 0.05
    done
    local fingerprint
    fingerprint=$(ssh-keygen -lf "$scratch/key" | awk '{print $2}')
    export WHARF_HOME=$scratch/store$number DOCKER_CONFIG=$scratch/docker$number
    start=$(now)
    "${in_lab[@]}" "$wharf" create -o json --driver ssh --ssh-address "$address" --ssh-user root \
        --ssh-key "$lab/key" --ssh-host-key "$fingerprint" "bench$number" >"$scratch/created" 2>/dev/null
    "${in_lab[@]}" docker --context "bench$number" version >/dev/null
    end=$(now)
    row "$start" "$end"
}

on_this_computer() {
    local number=$1 start end
    export WHARF_HOME=$scratch/store$number DOCKER_CONFIG=$scratch/docker$number
    start=$(now)
    "$wharf" create -o json "bench$number" >"$scratch/created" 2>/dev/null
    end=$(now)
    docker --context "bench$number" version >/dev/null
    "$wharf" rm -y "bench$number" >/dev/null 2>&1
    row "$start" "$end"
}

row() {
    local whole
    whole=$(milliseconds "$1" "$2")
    echo "$whole" >>"$scratch/wholes"
    python3 - "$whole" "$scratch/created" <<'PYTHON'
import json, sys
created = json.load(open(sys.argv[2]))
created = created[0] if isinstance(created, list) else created
phases = created.get("timings", [])
shown = "  ".join(f"{p['phase']} {p['milliseconds']:.0f}" for p in phases)
print(f"{int(sys.argv[1]):6d} ms in all: {shown}")
PYTHON
}

# Two engines, each in namespaces of its own, measured by the same client in turns.
beside_dockerd() {
    python3 tests/lab/bench_engine.py --agent "$WHARF_AGENT" --peer "$(tests/lab/dockerd.sh | tail -n 1)" --runs "$runs"
}

case $what in
    engine)
        beside_dockerd
        exit
        ;;
    host)
        tests/lab/base.sh >/dev/null
        tests/lab/lab.sh up "$lab" $$
        for number in $(seq "$runs"); do on_a_host "$number"; done
        ;;
    local)
        WHARF_GUEST=$(drivers/local/guest/build.sh | tail -n 1)
        export WHARF_GUEST
        for number in $(seq "$runs"); do on_this_computer "$number"; done
        ;;
    *) echo "tests/bench.sh: there is no $what" >&2 && exit 2 ;;
esac
sort -n "$scratch/wholes" | awk '{all[NR] = $1} END {printf "median %d ms of %d runs (least %d, most %d)\n", all[int((NR + 1) / 2)], NR, all[1], all[NR]}'
