#!/usr/bin/env python3
"""Builds the same Dockerfiles with wharfd and dockerd, and shows where what they say and make differs.

The docker client runs with the classic builder. Its output and the images' configurations, histories and files are
compared after what belongs to one run (ids, digests, times) is taken out. Differences that are meant stand in KNOWN with
their reason; any other one is printed, and the exit code is 1.

    tests/lab/compare_build.py --agent FILE --peer FOLDER     (FOLDER: docker.io, containerd and runc, unpacked)
"""

import argparse
import difflib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

from bench_engine import BUSYBOX, Engine

# A build's name, and why its results differ.
KNOWN = {
    "run is not there": "the runtime's own words",
    "healthcheck": "NONE is all of it; dockerd keeps the times of the check before",
    "copy folders": "a pattern that ends in a slash means folders; dockerd finds nothing",
    "copy over a link": "dockerd counts the bytes of a link's target",
    "no base": "the line is told",
    "flag of another builder": "refused before anything is done, and the text says what to do here",
    "bad variable": "newer dockerds' text",
    "bad env": "the line is told",
    "bad expose": "newer dockerds' text",
    "bad signal": "newer dockerds' text",
    "bad owner": "the text is that of other users that are not there",
    "only an argument": "dockerd 20.10 breaks the connection off",
}

FILES = {
    "a": "a\n", "b": "b\n", "x.txt": "x\n", "y.txt": "y\n", "dir/one": "1\n", "dir/in/two": "2\n", "dir/in/x.txt": "3\n",
    ".dockerignore": "ignored\n", "ignored": "i\n",
}

# Name, arguments, Dockerfile.
BUILDS = [
    ("run", [], "FROM busybox\nRUN echo out; busybox sleep 0.2; echo err >&2\nRUN true"),
    ("run fails", [], "FROM busybox\nRUN exit 3"),
    ("run is not there", [], 'FROM busybox\nRUN ["/nope"]'),
    ("run in JSON", [], 'FROM busybox\nRUN ["/bin/busybox","echo","x y"]'),
    ("run with its own shell", [], 'FROM busybox\nSHELL ["/bin/busybox","sh","-c"]\nRUN echo a\nCMD echo b'),
    ("run as somebody", [], "FROM busybox\nUSER web\nRUN id -u"),
    ("run beside an entrypoint", [], 'FROM busybox\nENTRYPOINT ["/nope"]\nCMD ["x"]\nRUN echo a'),
    ("run in a volume", [], "FROM busybox\nVOLUME /v\nRUN echo a > /v/a; echo b > /b"),
    ("env", [], "FROM busybox\nENV A=1 B=\"2 $A\" C='3 $A'\nENV D $A  x\nENV A=4 E=${A:-n}${N:-y}${A:+z}\nRUN echo $A$B$C$D$E"),
    ("label", ["--label", "z=1", "--label", "a=$x"], 'FROM busybox\nLABEL b=c "d e"="f\\\n g"\nLABEL old style'),
    ("arg", ["--build-arg", "A=given", "--build-arg", "HTTP_PROXY=p", "--build-arg", "U=unused"],
     "ARG T=latest\nFROM busybox:$T\nARG A=default\nARG N\nARG T\nRUN echo $A $N $T $HTTP_PROXY\nENV A=$A"),
    ("arg before use", ["--build-arg", "A=1"], "FROM busybox\nRUN echo a$A\nARG A\nRUN echo b$A"),
    ("cmd", [], 'FROM busybox\nCMD echo "a"\nCMD ["a", "b\\"c"]\nENTRYPOINT ["e"]\nENTRYPOINT e f\nCMD []'),
    ("expose", [], "FROM busybox\nENV P=\"1 2/udp\"\nEXPOSE 80 $P 3-5/tcp"),
    ("user, workdir, volume", [], 'FROM busybox\nUSER 5:6\nWORKDIR /a\nWORKDIR b/../c\nVOLUME /v /w\nVOLUME ["/x y"]\nWORKDIR /data'),
    ("healthcheck", [], "FROM busybox\nHEALTHCHECK --interval=90s --timeout=5s --retries=3 CMD a b\nHEALTHCHECK CMD [\"c\"]\nHEALTHCHECK NONE"),
    ("stopsignal, maintainer", [], "FROM busybox\nMAINTAINER me <a@b>\nSTOPSIGNAL SIGQUIT\nRUN true"),
    ("onbuild", ["-t", "parent"], "FROM busybox\nONBUILD COPY a /a\nONBUILD RUN cat /a\nONBUILD ENV X=1"),
    ("onbuild's child", [], "FROM parent\nRUN echo $X"),
    ("copy files", [], "FROM busybox\nCOPY a /new\nCOPY a b /folder/\nCOPY *.txt /texts/\nCOPY a /data/\nCOPY a rel\nCOPY [\"a\", \"/b c\"]"),
    ("copy folders", [], "FROM busybox\nCOPY dir /dir\nCOPY dir/ /data\nCOPY . /all/\nCOPY dir/*/ /in/"),
    ("copy for somebody", [], "FROM busybox\nCOPY --chown=web a /a\nCOPY --chown=7:8 dir /d\nCOPY --chown=web:root dir/ /data/"),
    ("copy from a stage", [], "FROM busybox AS One\nRUN mkdir /o && echo 1 > /o/f && chown 3:4 /o/f\nFROM busybox\nCOPY --from=one /o /p\nCOPY --from=0 /o/f /f\nCOPY --from=busybox /etc/passwd /pw"),
    ("copy over a link", [], "FROM busybox\nRUN ln -s /data /l\nCOPY a /l/\nCOPY dir /l"),
    ("copy over a link to a file", [], "FROM busybox\nRUN ln -s /data/f /l; ln -s ../data/g /tmp/m; echo 1 > /data/f\nCOPY a /l\nCOPY b /tmp/m"),
    ("add an archive", [], "FROM busybox\nADD archive.tar.gz /t/\nADD a /t/\nADD archive.tar.gz b /u/"),
    ("stages and target", ["--target", "two"], "FROM busybox AS one\nRUN echo 1\nFROM one AS two\nRUN echo 2\nFROM busybox\nRUN exit 1"),
    ("scratch", [], 'FROM scratch\nCOPY a /a\nCMD ["/a"]'),
    ("nothing from scratch", [], "FROM scratch"),
    ("escape", [], "# escape=`\nFROM busybox\nRUN echo a `\n  b\nENV A=c`\\d"),
    ("continued", [], "FROM busybox\nRUN echo a \\\n# comment\n\n  b"),
    ("several tags", ["-t", "t1", "-t", "t2:x"], "FROM busybox\nENV A=1"),
    ("quiet", ["-q"], "FROM busybox\nENV Q=1"),
    ("quiet and wrong", ["-q"], "FROM busybox\nRUN echo seen; exit 2"),
    ("again", [], "FROM busybox\nRUN echo out; busybox sleep 0.2; echo err >&2\nRUN true"),
    ("no cache", ["--no-cache"], "FROM busybox\nRUN true"),
    ("containers stay", ["--rm=false"], "FROM busybox\nENV A=stay\nRUN true"),
    ("unknown instruction", [], "FROM busybox\nMOVE a b"),
    ("no base", [], "RUN x"),
    ("no such target", ["--target", "x"], "FROM busybox"),
    ("no such source", [], "FROM busybox\nCOPY none /"),
    ("an ignored source", [], "FROM busybox\nCOPY ignored /"),
    ("no such pattern", [], "FROM busybox\nCOPY none* /"),
    ("too many for a file", [], "FROM busybox\nCOPY a b /c"),
    ("one argument", [], "FROM busybox\nCOPY a"),
    ("unknown flag", [], "FROM busybox\nCOPY --x=1 a b"),
    ("flag of another builder", [], "FROM busybox\nRUN --mount=type=cache,target=/x true"),
    ("bad variable", [], "FROM busybox\nENV A=${B"),
    ("bad env", [], "FROM busybox\nENV A=1 B"),
    ("bad expose", [], "FROM busybox\nEXPOSE x"),
    ("bad signal", [], "FROM busybox\nSTOPSIGNAL BOGUS"),
    ("bad stage", [], "FROM busybox\nCOPY --from=9 a /"),
    ("bad owner", [], "FROM busybox\nCOPY --chown=nosuch a /"),
    ("two stages of one name", [], "FROM busybox AS a\nFROM busybox AS a"),
    ("only an argument", [], "ARG A=1"),
    ("empty", [], ""),
    ("only a comment", [], "# x"),
]


def base():
    """A busybox with accounts."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "data", "dev", "proc", "sys"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        tar.add(BUSYBOX, "bin/busybox")
        for name in ("sh", "echo", "cat", "id", "mkdir", "ln", "true", "chown", "find", "stat", "sort", "xargs"):
            info = tarfile.TarInfo("bin/" + name)
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
        for name, text in {"etc/passwd": b"root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n", "etc/group": b"root:x:0:\nweb:x:33:\n"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return data.getvalue()


def plain(text):
    """Without what belongs to one run."""
    for pattern, word in (
        (r"\x1b\[\d*m", ""), (r"(sha256|file|dir|multi):[0-9a-f]{64}", r"\1:HASH"), (r"\b[0-9a-f]{12}\b", "ID"),
        (r"(?m)^.*DEPRECATED: The legacy builder(.*\n)*?\n", ""), (r"Sending build context.*\n", ""),
    ):
        text = re.sub(pattern, word, text)
    return text.strip()


def built(engine, folder, name, arguments, dockerfile):
    """What a build says, and what the image is."""
    (folder / "Dockerfile").write_text(dockerfile)
    environment = dict(os.environ, DOCKER_HOST=f"unix://{engine.socket}", DOCKER_CONFIG=str(engine.folder / "config"), DOCKER_BUILDKIT="0")
    iid = engine.folder / "iid"
    iid.unlink(missing_ok=True)
    command = ["docker", "build", "--network", "none", "--iidfile", str(iid), *arguments, str(folder)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    shown = {"output": plain(said.stdout), "errors": plain(said.stderr), "code": said.returncode}
    if said.returncode:
        return shown
    image = json.loads(engine.call("GET", f"/v1.41/images/{iid.read_text().strip()}/json"))
    config = {key: value for key, value in image["Config"].items() if value and key not in ("Hostname", "Image")}
    shown["config"] = json.dumps(config, sort_keys=True, indent=1)
    step = image["ContainerConfig"]
    shown["step"] = plain(json.dumps([step["Cmd"], step["Entrypoint"]]))
    shown["facts"] = [image["Author"], image["Os"], bool(image["Parent"]), len(image["RootFS"].get("Layers") or [])]
    history = json.loads(engine.call("GET", f"/v1.41/images/{iid.read_text().strip()}/history"))
    shown["history"] = [plain(row["CreatedBy"]) + (" +" if row["Size"] else "") for row in history]
    shown["files"] = listing(engine, image["Id"])
    return shown


def listing(engine, image):
    """Names, modes, owners and contents of everything, without times."""
    made = engine.call("POST", "/v1.41/containers/create", {"Image": image, "Cmd": ["x"], "HostConfig": {"NetworkMode": "none"}})["Id"]
    data = engine.call("GET", f"/v1.41/containers/{made}/export")
    engine.call("DELETE", f"/v1.41/containers/{made}?v=1")
    lines = []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for entry in tar:
            name = entry.name.strip("/")
            if name.split("/")[0] in ("dev", "proc", "sys", ".dockerenv", "bin") or name in ("etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/mtab", "etc"):
                continue
            text = tar.extractfile(entry).read(40) if entry.isreg() else entry.linkname
            lines.append(f"{name} {entry.mode & 0o7777:o} {entry.uid}:{entry.gid} {entry.type!r} {text!r}")
    return sorted(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--only")
    wanted = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wbuild-", dir="/var/tmp"))
    context = folder / "context"
    for name, text in FILES.items():
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(text)
    with tarfile.open(context / "archive.tar.gz", "w:gz") as tar:
        tar.add(context / "dir", "packed")
    builds = [build for build in BUILDS if wanted.only in (None, build[0])]
    engines, results = [], []
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
            engine = Engine(name, place, command, dict(os.environ, PATH=path))
            engines.append(engine)
            query = "fromSrc=-&repo=busybox&tag=latest&changes=CMD%20sh&changes=ENV%20PATH%3D/bin"
            engine.call("POST", f"/v1.41/images/create?{query}", base(), "application/x-tar")
            results.append({build[0]: built(engine, context, *build) for build in builds})
    finally:
        for engine in engines:
            engine.end()
        for mounted in sorted((line.split()[4] for line in open("/proc/self/mountinfo") if str(folder) in line), reverse=True):
            subprocess.run(["umount", "-l", mounted], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    ours, theirs = results
    differing = [name for name in ours if ours[name] != theirs[name]]
    new = [name for name in differing if name not in KNOWN]
    for name in new:
        print(f"== {name}")
        for part in sorted(ours[name].keys() | theirs[name].keys()):
            lines = [str_lines(side[name].get(part)) for side in (theirs, ours)]
            for line in difflib.unified_diff(*lines, "dockerd", "wharfd", lineterm="", n=1):
                print(f"  {part}: {line}")
    stale = [name for name in KNOWN if name not in differing and name in ours]
    if stale:
        print("no longer different:", ", ".join(stale))
    print(f"{len(ours)} builds, {len(differing)} differ, {len(new)} of them without a reason")
    raise SystemExit(1 if new else 0)


def str_lines(value):
    return value if isinstance(value, list) and all(isinstance(line, str) for line in value) else str(value).split("\n")


if __name__ == "__main__":
    main()
