#!/usr/bin/env python3
"""Has docker-compose put a small project through its life on wharfd and on dockerd, and compares what it prints.

Lines that come in no order of their own are sorted, and what belongs to one run is left out. Anything else that differs
is printed, and the exit code is 1.

    tests/lab/compare_compose.py --agent FILE --peer FOLDER --compose FOLDER     (FOLDER: the packages, unpacked; as root)
"""

import argparse
import difflib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from bench_engine import side_by_side

INSIDE = "cat /src/index.html /built; echo kept >/data/file; nslookup store >/dev/null && echo named; env | grep ^A="
LIFE = (
    ["version"], ["config"], ["up", "-d", "--build"], ["ps"], ["exec", "-T", "web", "sh", "-c", INSIDE], ["logs", "db"],
    ["port", "web", "80"], ["run", "--rm", "-T", "web", "cat", "/data/file"], ["up", "-d", "--scale", "db=2"], ["ps", "-q"],
    ["restart", "-t", "0", "web"], ["top", "db"], ["kill", "db"], ["pause", "web"], ["unpause", "web"], ["stop", "-t", "0"],
    ["ps"], ["up", "-d"], ["exec", "-T", "web", "cat", "/data/file"], ["images"], ["up", "-d", "--force-recreate", "web"],
    ["exec", "web", "no-such-program"], ["down", "-v", "--rmi", "local"], ["ps", "-a"],
)


def plain(text):
    for pattern, word in (
        (r"\x1b\[[0-9;]*[A-Za-z]", ""), (r"\r", "\n"), (r"\b[0-9a-f]{64}\b", "ID"), (r"\b[0-9a-f]{12}\b", "ID"), (r"app_web_run_\w+", "RUN"),
        (r"\b\d+(\.\d+)? ?[kM]?B\b", "SIZE"), (r"\b\d\d:\d\d(:\d\d)?\b", "TIME"), (r"\(health: starting\)|\(healthy\)", "(HEALTH)"),
        # The runtimes name themselves.
        (r"OCI runtime exec failed: .*(exec: \"[^\"]+\"[^:]*: executable file not found in \$PATH).*", r"\1"),
        (r" +", " "), (r"-{5,}", "-----"),
    ):
        text = re.sub(pattern, word, text)
    return text


def lived(engine, folder, compose):
    """What was printed, a paragraph a command."""
    project = folder / engine.name / "project"
    shutil.copytree(pathlib.Path(__file__).parent / "compose", project)
    packages = compose / "usr/lib/python3/dist-packages"
    environment = dict(os.environ, PYTHONPATH=str(packages), DOCKER_HOST=f"unix://{engine.socket}", COMPOSE_PROJECT_NAME="app")
    environment["DOCKER_CONFIG"] = str(folder / "config")
    told = []
    for words in LIFE:
        command = [sys.executable, "-W", "ignore", compose / "usr/bin/docker-compose", *words]
        ran = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, check=False)
        lines = plain(ran.stdout + ran.stderr).replace(str(project), "PROJECT").splitlines()
        # What is done to several at once is told as it is done; processes are listed as they come.
        lines = [re.sub(r"\b\d{2,}\b", "N", line) if words[0] == "top" else line.rstrip() for line in lines]
        told += [f"$ docker-compose {' '.join(words)}", *sorted({line for line in lines if line.strip()}), f"[exit {ran.returncode}]"]
        if words[0] == "up":
            time.sleep(2)
    return told


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--compose", required=True, type=pathlib.Path)
    wanted = parser.parse_args()
    with side_by_side(wanted.agent, wanted.peer, "wcompose-") as (folder, engines):
        ours, theirs = (lived(engine, folder, wanted.compose) for engine in engines)
    lines = list(difflib.unified_diff(theirs, ours, "dockerd", "wharfd", lineterm="", n=4))
    print(*lines, f"{len(LIFE)} commands, {len(theirs)} lines", sep="\n")
    raise SystemExit(1 if lines else 0)


if __name__ == "__main__":
    main()
