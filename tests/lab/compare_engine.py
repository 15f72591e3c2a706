#!/usr/bin/env python3
"""Asks wharfd and dockerd the same, one request after another, and shows where their answers differ.

Statuses, content types and bodies are compared after what belongs to one run (ids, times, pids, addresses) is taken
out; of numbers that nobody can repeat (stats, inspect) only the names and kinds are. Differences that are meant stand in
KNOWN with their reason; any other one is printed, and the exit code is 1.

    tests/lab/compare_engine.py --agent FILE --peer FOLDER     (FOLDER: docker.io, containerd and runc, unpacked)
"""

import argparse
import base64
import http.client
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import time

from bench_engine import BUSYBOX, Connection, Engine

# A request's name, and why its answers differ.
KNOWN = {
    "put into a file": "400 by the description; dockerd says 500",
    "put into a read-only volume": "403 by the description; dockerd says 500",
    "put into a read-only root": "403 by the description; dockerd says 500",
    "put what is no archive": "400 by the description; dockerd says 500",
    "put a folder over a file": "dockerd names the exit status of its helper",
    "put a file over a folder": "dockerd names the exit status of its helper",
    "put what climbs out": "dockerd names the exit status of its helper",
    "put as the container's user": "dockerd asks the host's accounts, and the user is the image's",
    "top without a pid": "400: the client asked for it",
    "update with an unknown policy": "the text lists what is known, as newer dockerds do",
    "commit with a wrong change": "the instruction as it was typed",
    "commit under a wrong name": "400, and the text names the repository",
    "attach without a websocket": "errors are JSON",
    "wait": "no error is no field, as with newer dockerds",
    "pause twice": "newer dockerds' text",
    "exec in a paused one": "newer dockerds' text",
    "kill of one that does not run": "newer dockerds' text",
    "remove of one that runs": "newer dockerds' text",
    "rename to a taken name": "dockerd puts before it what it was doing",
    "stats of one that runs": "we pass on all that the kernel says about memory",
}


def archive(*entries):
    """A tar of (name, kind, content)."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mtime, info.uid = kind, len(content), 1_700_000_000, 1234
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def image():
    """A busybox with accounts, links and a file to remove."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "data"):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
            tar.addfile(info)
        tar.add(BUSYBOX, "bin/busybox")
        links = {name: "busybox" for name in ("bin/sh", "bin/sleep", "bin/rm", "bin/true")}
        links |= {"linkdir": "/data", "linkfile": "/etc/passwd", "dangling": "/nowhere"}
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mtime = tarfile.SYMTYPE, target, 1_700_000_000
            tar.addfile(info)
        for name, text in {"etc/passwd": b"root:x:0:0::/:/bin/sh\nnobodys:x:77:77::/:/bin/sh\n", "data/seed": b"seed\n"}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text), 1_700_000_000
            tar.addfile(info, io.BytesIO(text))
    return data.getvalue()


def shape(value):
    """Names and kinds."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in sorted(value.items())}
    if isinstance(value, list):
        return [shape(part) for part in value[:1]]
    return type(value).__name__


def plain(text):
    """Without what belongs to one run."""
    for pattern, word in (
        (r"\b[0-9a-f]{64}\b", "ID"), (r"\b[0-9a-f]{12}\b", "ID"), (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r'"\d\d:\d\d"', '"CLOCK"'), (r'"\d+","\d+","\d+"', '"PIDS"'), (r'"[\d.]+","[\d.]+","[\d.]+"', '"NUMBERS"'),
    ):
        text = re.sub(pattern, word, text)
    return text.strip()


class Asked:
    """One engine's answers, by the request's name."""

    def __init__(self, engine):
        self.engine, self.answers = engine, {}

    def __call__(self, name, method, path, body=None, kind="application/json", show="text"):
        connection = Connection(self.engine.socket)
        payload = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, "/v1.41" + path, payload, {"Content-Type": kind} if payload is not None else {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        stat = answer.headers.get("X-Docker-Container-Path-Stat")
        shown = [str(answer.status), (answer.headers.get("Content-Type") or "").split(";")[0]]
        shown += [plain(base64.b64decode(stat).decode())] if stat else []
        if show == "names" and answer.status == 200:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                own = ("hostname", "hosts", "resolv.conf", "mtab", ".dockerenv", "dev", "proc", "sys", "console", "pts", "shm")
                names = (entry.name for entry in tar)
                shown.append(" ".join(sorted(name for name in names if name.split("/")[-1] not in own)))
        elif show == "shape" and answer.status < 300:
            shown.append(json.dumps(shape(json.loads(data))))
        elif show == "sorted" and answer.status < 300:
            shown.append(plain(json.dumps(sorted(json.loads(data) or [], key=str))))
        elif show != "status":
            shown.append(plain(data.decode(errors="replace")))
        self.answers[name] = shown
        return data


def ask(asked):
    """The conversation."""
    def create(name, **more):
        body = {"Image": "busybox", "Cmd": ["sleep", "600"]} | more
        body["HostConfig"] = {"NetworkMode": "none"} | body.get("HostConfig", {})
        return asked(f"create {name}", "POST", f"/containers/create?name={name}", body)

    asked.engine.call("POST", "/images/create?fromSrc=-&repo=busybox&changes=ENV+PATH%3D%2Fbin", image(), "application/x-tar")
    create("still", HostConfig={"Binds": ["vol:/v", "vol:/ro:ro"]})
    create("runs")
    create("sealed", HostConfig={"ReadonlyRootfs": True})
    create("owned", User="nobodys")
    create("changing", Cmd=["sh", "-c", "echo x > /data/new; rm /data/seed"])
    for name in ("runs", "changing"):
        asked(f"start {name}", "POST", f"/containers/{name}/start")
    asked("wait", "POST", "/containers/changing/wait")
    tar = "application/x-tar"
    for path in ("/etc", "/etc/.", "/linkdir", "/linkdir/", "/linkfile", "/dangling", "/", "/bin/sh", "/etc/../tmp", "v", "/nope"):
        asked(f"stat of {path}", "HEAD", f"/containers/still/archive?path={path}", show="status")
        asked(f"archive of {path}", "GET", f"/containers/still/archive?path={path}", show="names")
    asked("archive of nothing", "GET", "/containers/still/archive")
    put = lambda name, where, data: asked(name, "PUT", f"/containers/{where}", data, tar)  # noqa: E731
    file, folder = archive(("f", tarfile.REGTYPE, b"x")), archive(("passwd", tarfile.DIRTYPE, b""))
    put("put", "still/archive?path=/tmp", file)
    put("put through a link", "still/archive?path=/linkdir", file)
    put("put nowhere", "still/archive?path=/nope", file)
    put("put into a file", "still/archive?path=/etc/passwd", file)
    put("put into a read-only volume", "still/archive?path=/ro", file)
    put("put into a read-only root", "sealed/archive?path=/etc", file)
    put("put what is no archive", "still/archive?path=/etc", b"garbage")
    put("put nothing", "still/archive?path=/etc", b"")
    put("put a folder over a file", "still/archive?path=/etc&noOverwriteDirNonDir=1", folder)
    put("put a file over a folder", "still/archive?path=/&noOverwriteDirNonDir=1", archive(("etc", tarfile.REGTYPE, b"")))
    put("put what climbs out", "still/archive?path=/tmp", archive(("../x", tarfile.REGTYPE, b"")))
    put("put as the container's user", "owned/archive?path=/tmp&copyUIDGID=1", file)
    asked("changes", "GET", "/containers/changing/changes", show="sorted")
    asked("changes of none", "GET", "/containers/owned/changes", show="status")
    asked("export", "GET", "/containers/changing/export", show="names")
    asked("export of nobody", "GET", "/containers/nobody/export")
    asked("top", "GET", "/containers/runs/top", show="shape")
    asked("top aux", "GET", "/containers/runs/top?ps_args=aux", show="shape")
    asked("top without a pid", "GET", "/containers/runs/top?ps_args=-o+args")
    asked("top of one that does not run", "GET", "/containers/still/top")
    asked("stats of one that runs", "GET", "/containers/runs/stats?stream=0", show="shape")
    asked("stats of one that does not", "GET", "/containers/still/stats?stream=0", show="shape")
    asked("stats of nobody", "GET", "/containers/nobody/stats?stream=0")
    asked("update", "POST", "/containers/runs/update", {"Memory": 100_000_000, "MemorySwap": -1})
    asked("update with too little memory", "POST", "/containers/runs/update", {"Memory": 1000})
    asked("update with an unknown policy", "POST", "/containers/runs/update", {"RestartPolicy": {"Name": "bogus"}})
    asked("commit", "POST", "/commit?container=changing&repo=kept&tag=v1&comment=why&author=ann&changes=CMD+true", {})
    asked("commit of nobody", "POST", "/commit?container=nobody", {})
    asked("commit with a wrong change", "POST", "/commit?container=still&changes=RUN+x", {})
    asked("commit under a wrong name", "POST", "/commit?container=still&repo=UPPER", {})
    asked("attach without a websocket", "GET", "/containers/runs/attach/ws?stream=1")
    asked("pause", "POST", "/containers/runs/pause")
    asked("pause twice", "POST", "/containers/runs/pause")
    asked("exec in a paused one", "POST", "/containers/runs/exec", {"Cmd": ["true"]})
    asked("unpause", "POST", "/containers/runs/unpause")
    asked("rename to a taken name", "POST", "/containers/runs/rename?name=still")
    asked("kill of one that does not run", "POST", "/containers/still/kill")
    asked("remove of one that runs", "DELETE", "/containers/runs")
    health = {"Test": ["CMD-SHELL", "echo hi; exit 3"], "Interval": 200_000_000, "Retries": 1}
    create("ill", Healthcheck=health)
    create("unwell", Healthcheck=health | {"Interval": 1})
    asked("start ill", "POST", "/containers/ill/start")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        state = json.loads(asked.engine.call("GET", "/containers/ill/json"))["State"]["Health"]
        if state["Status"] == "unhealthy":
            break
        time.sleep(0.1)
    asked.answers["health"] = [state["Status"], str(state["Log"][0]["ExitCode"]), state["Log"][0]["Output"], str(sorted(state))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", required=True)
    parser.add_argument("--peer", required=True)
    wanted = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wcompare-", dir="/var/tmp"))
    engines, answers = [], []
    try:
        flags = "-H unix://{0}/sock --data-root {0}/data --exec-root {0}/run"
        path = f"{wanted.peer}/usr/sbin:{wanted.peer}/usr/bin:{os.environ['PATH']}"
        for name, program, more in (
            ("wharfd", wanted.agent, ""),
            ("dockerd", "dockerd", " --bridge none --iptables=false --pidfile {0}/pid"),
        ):
            place = folder / name
            place.mkdir()
            command = program + " " + (flags + more).format(place)
            engines.append(Engine(name, place, command, dict(os.environ, PATH=path)))
            asked = Asked(engines[-1])
            ask(asked)
            answers.append(asked.answers)
    finally:
        for engine in engines:
            engine.end()
        for mounted in sorted((line.split()[4] for line in open("/proc/self/mountinfo") if str(folder) in line), reverse=True):
            subprocess.run(["umount", "-l", mounted], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    ours, theirs = answers
    differing = [name for name in ours if ours[name] != theirs[name]]
    for name in differing:
        if name not in KNOWN:
            print(f"{name}\n  wharfd:  {ours[name]}\n  dockerd: {theirs[name]}")
    new = [name for name in differing if name not in KNOWN]
    stale = [name for name in KNOWN if name not in differing]
    if stale:
        print("no longer different:", ", ".join(stale))
    print(f"{len(ours)} requests, {len(differing)} differ, {len(new)} of them without a reason")
    raise SystemExit(1 if new else 0)


if __name__ == "__main__":
    main()
