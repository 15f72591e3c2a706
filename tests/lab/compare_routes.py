#!/usr/bin/env python3
"""Asks wharfd and dockerd the same about everything but what a container does and what a build makes: images, networks,
volumes, execs, the system, a registry, and every route's refusals.

Each answer is taken apart into facts (its status, its type, each value of its body by its path), without what belongs
to one run, and compared fact by fact. Differences that are meant stand in KNOWN with their reason; any other one is
printed, and the exit code is 1.

    tests/lab/compare_routes.py --agent FILE --peer FOLDER     (FOLDER: docker.io, containerd and runc, unpacked)
"""

import argparse
import collections
import contextlib
import fnmatch
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

from bench_engine import Connection, Engine
from compare_requests import CONVERSATIONS, ask_images

# Patterns of "REQUEST: FACT", and why the answers differ there.
KNOWN = {
    "* ping*: *": "we say who we are, and what newer dockerds say, too (Builder-Version, Swarm)",
    "version: *": "we say who we are",
    "info: .ID": "of another form", "info: .DriverStatus*": "our storage", "info: .Plugins.*": "no ipvlan, macvlan, overlay, and three log drivers",
    "info: .ServerVersion": "we say who we are", "info: .*Commit.*": "one program is all of them", "info: .*Runtime*": "our runtime", "info: .InitBinary": "our init",
    "info: .LiveRestoreEnabled": "containers always outlive the daemon", "info: .SecurityOptions*": "newer dockerds' word for it",
    "info: .Warnings*": "forwarding is switched on with the first network that needs it", "info: .IPv4Forwarding": "the same",
    "info: .KernelMemory*": "gone from newer dockerds", "info: .BridgeNf*": "the same", "info: .RegistryConfig.AllowNon*": "the same",
    "events of nothing: *": "we say who we are",
    "too new: .message": "our newest version",
    "too old: *": "our oldest version is 1.24, and errors are JSON",
    "no version: *": "no version of one number was ever served",
    "two slashes: *": "no redirection to what was not asked for",
    "get plugins/privileges*: *": "there are no plugins",
    "post swarm/join: *": "there is no swarm to join",
    "session without an upgrade: *": "there is no BuildKit here; the text says what to do",
    "build cancel: type": "no body, no type", "df *: .BuildCache*": "no BuildKit, and a list is a list",
    "search *: *": "not offered, and said so", "pull with wrong credentials: *": "the header is read first",
    "push without credentials: *": "not demanded, as with newer dockerds",
    "*: .Descriptor.size": "our manifests are shorter", "push*: row *": "our manifests are shorter",
    "load garbage: *": "what fails before the stream has a status", "load nothing: *": "the same",
    "import of garbage: row 0": "the reason is the archive's",
    "pull all tags: row *": "the tag is named when there is one",
    "pull for a wrong platform: row 0": "newer dockerds' text", "pull of a wrong tag: row 0": "the reference as a whole is wrong",
    "distribution of nobody: .message": "what was asked for is named",
    "inspect *: .ContainerConfig.Labels": "none are {}, as with newer dockerds", "inspect *: .Config.Labels": "the same", "inspect *: .Config.Env": "none are [], as with newer dockerds",
    "inspect *: .DockerVersion": "we are no version of it", "*GraphDriver.Data.*": "our folders",
    "*Size*": "dockerd counts the lengths of links",
    "save*: names": "an OCI layout at the same time, as with newer dockerds",
    "* nobody*: .message": "newer dockerds' text", "inspect *no *: .message": "newer dockerds' text", "inspect an image by a digest: .message": "newer dockerds' text",
    "*RepoDigests*": "<none>, as in the other lists of this version",
    "volume with no body: *": "an anonymous volume, as with newer dockerds",
    "*com.docker.volume.anonymous": "newer dockerds' label", "*.Labels": "the same, where there were none",
    "prune volumes by a wrong all: *": "newer dockerds' filter",
    "network*: .message": "newer dockerds' texts, which name what is wrong", "network with a range outside: *": "it could never be used",
    "inspect member*: *Aliases*": "also before the first start, as with newer dockerds",
    "inspect member, connected: *Networks.six.*": "dockerd keeps an end that it has just refused",
    "post plugins/x/upgrade*: .message": "as it was typed",
    "inspect network *: .IPAM.Config[[]0].Gateway": "shown, as with newer dockerds", "*IPAM.Config*": "the gateway is shown, and none is null, as with newer dockerds",
    "*com.docker.network.bridge.name": "our bridge", "remove a network in use: .message": "newer dockerds' text",
    "connect to *: *": "403, as for every network that is not to be connected to",
    "networks by *: [[]*": "networks that only one of them made", "*DNSNames*": "since 1.44, and sent to all", "*GwPriority": "since 1.48, and sent to all",
    "inspect conflicting: *": "what a start that failed had is given back",
    "create on no network: *": "what could never start is not made", "start on no network: *": "the same", "lost goes: *": "the same",
    "inspect*: .HostConfig.[!M]*": "a list that is empty is [], defaults are named, and kernel memory is gone, as with newer dockerds",
    "inspect*: .HostConfig.MaskedPaths*": "newer dockerds' list",
    "*.HostConfig.NetworkMode": "by its name, as with newer dockerds", "inspect *: .*Path": "known from the create on",
    "inspect *: .NetworkSettings.SandboxKey": "our place", "list *: *Mounts*": "a new volume's place is known", "*: *.Mounts[[]*].Source": "the same",
    "inspect member*: .NetworkSettings.Networks.inside.Gateway": "an internal network has no way out",
    "list member: *Aliases*": "shown in lists, too",
    "exec *, started again: *": "409, as described", "exec *, resized: *": "409 for what does not run", "exec *: body": "without what only a shell of another runtime says",
    "exec *: .ExitCode": "127 for what is not there, 128 for what cannot be, as with newer dockerds",
    "* with no body: *": "an empty body is an empty wish, as with newer dockerds", "resize with no size: *": "the exec is looked for first",
    "create with kernel memory: *": "no kernel limits it any more",
    "create with weight: *": "out of range wherever it is",
    "create with a weight of no device: .Warnings*": "said at the start", "start with *: .message": "the same, without another runtime's words",
    "start with a weight of no device: *": "400, where dockerd drops it", "state with *: Error": "the same words",
    "*POST attach*: *": "errors are JSON", "attach *: *": "errors are JSON", "logs *: type": "since 1.42, and sent to all",
    "wait for a wrong condition: *": "400, as described",
    "resize with*: .message": "what is missing is named", "rename to a wrong name: .message": "without what it was doing",
    "containers by *: .message": "what is wrong is named",
    "events by a volume: *": "dockerd's filter lets other kinds of that name through", "events by a network: *": "the same",
    "events *: container die": "how long it ran is told, too, as by newer dockerds", "events *: volume destroy": "volumes that are pruned are told, too",
    "events *: container commit": "the whole name of the image",
}

# What a client got wrong has a status of its own in the descriptions and in newer dockerds; 20.10 answers 500.
MENDED = {"400", "403", "404", "409", "501", "503"}


def reason(name, fact, mine, yours):
    """Why this differs, if it is meant."""
    if fact == "status" and yours == "500" and mine in MENDED:
        return "500"
    if fact in ("status", "type", ".Id", ".Warnings", ".message") and name.startswith("create with"):
        return "refused at the create"
    if name.startswith("start with") and mine is None:
        return "refused at the create"
    if mine is not None and yours is not None and mine.lower() == yours.lower():
        return "case"
    if mine and any(words in mine for words in ("EOF while", "line 1 column", "os error", "(library/UPPER)")):
        return "the parser's own words"
    return next((pattern for pattern in KNOWN if fnmatch.fnmatchcase(f"{name}: {fact}", pattern)), None)


def plain(text):
    """Without what belongs to one run."""
    for pattern, word in (
        (r"/var/tmp/wroutes-\w+/(wharfd|dockerd)", "ROOT"),
        (r"\b[0-9a-f]{64}\b", "ID"), (r"\b[0-9a-f]{12}\b", "ID"), (r"(?i)\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC"),
        (r"\d{4}-\d\d-\d\d[T ][0-9:.]+(Z|[+-]\d\d:?\d\d)?", "TIME"), (r"\b1[67]\d{8}(\.?\d{9})?\b", "MOMENT"),
        (r"\b(/?)[a-z]+_[a-z]+\d?\b(?=\"$)", r"\1NAME"),
    ):
        text = re.sub(pattern, word, text)
    return text.strip()


def facts(value, path=""):
    """Each value by its path; what has no order of its own is sorted first."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from facts(part, f"{path}.{plain(key)}")
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from facts(part, f"{path}[{number}]")
    else:
        volatile = path.rsplit(".", 1)[-1] in ("Pid", "NFd", "NGoroutines") and value
        yield path, "SOME" if volatile else plain(json.dumps(value))


class Asked:
    """One engine's answers, by the request's name."""

    def __init__(self, engine):
        self.engine, self.answers, self.version = engine, {}, "/v1.41"

    def __call__(self, name, method, path, body=None, kind="application/json", show="facts", headers=None, prefix=None):
        payload = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        sent = {"Content-Type": kind} if payload is not None and kind else {}
        connection = Connection(self.engine.socket)
        with contextlib.suppress(BrokenPipeError):  # dockerd answers what it refuses before it has read it
            connection.request(method, (self.version if prefix is None else prefix) + path, payload, sent | (headers or {}))
        answer = connection.getresponse()
        data = answer.read() if show != "head" else b""
        connection.close()
        shown = {"status": str(answer.status), "type": answer.headers.get("Content-Type") or "-"} if show != "none" else {}
        text = data.decode(errors="replace")
        if show == "headers":
            for header in ("Api-Version", "Docker-Experimental", "Ostype", "Builder-Version", "Cache-Control", "Pragma", "Server", "Swarm", "Location"):
                shown[header] = str(answer.headers.get(header))
        if show == "events":
            told = [json.loads(row) for row in text.splitlines() if row]
            for event in told:
                shown[f"{event['Type']} {event['Action']}"] = row_text(json.dumps(event))
            # What is told of a container's networks and volumes at the same moment has no order.
            shown["order"] = " ".join(event["Action"] for event in told if event["Type"] == "container")
        elif show == "rows":
            rows = [line for line in text.replace("}{", "}\n{").splitlines() if line.strip()]
            shown |= {f"row {number}": row for number, row in enumerate(dict.fromkeys(map(row_text, rows)))}
        elif show == "names" and answer.status == 200:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                shown["names"] = " ".join(sorted(plain(entry.name) for entry in tar))
        elif show in ("facts", "sorted") and text.strip()[:1] in ("{", "["):
            try:
                value = json.loads(text)
            except ValueError:
                value = text
            if show == "sorted":
                value = ordered(value)
            shown |= {path or ".": fact for path, fact in facts(value)}
        elif show not in ("status", "none"):
            shown["body"] = plain(text)
        assert name not in self.answers, name
        self.answers[name] = shown
        try:
            return json.loads(text)
        except ValueError:
            return data

    def quietly(self, method, path, body=None, kind="application/json"):
        return self.engine.call(method, self.version + path, body, kind)


def row_text(row):
    """A row of a stream, without how far it is."""
    try:
        value = json.loads(row)
    except ValueError:
        return plain(row)
    for part in ("progressDetail", "progress", "time", "timeNano"):
        value.pop(part, None)
    return plain(json.dumps(value, sort_keys=True))


def ordered(value):
    """A list of things by their names, which are the same everywhere."""
    if isinstance(value, dict):
        return {key: ordered(part) for key, part in value.items()}
    if isinstance(value, list):
        def name(part):
            part = part if isinstance(part, dict) else {"Name": part}
            return plain(str([part.get(key) for key in ("Name", "Names", "RepoTags", "Destination", "Target", "Labels", "PrivatePort", "IP", "HostIp")]))
        return sorted((ordered(part) for part in value), key=name)
    return value


def registry(engine, folder):
    """A registry on the engine's own loopback."""
    (folder / "registry.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\nhttp: {{addr: '127.0.0.1:5000'}}\n"
    )
    inside = pathlib.Path(f"/proc/{engine.process.pid}/task/{engine.process.pid}/children").read_text().split()[0]
    command = ["nsenter", "-t", inside, "-n", "-m", "docker-registry", "serve", str(folder / "registry.yml")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=engine.log, stderr=engine.log, start_new_session=True)
    until = time.monotonic() + 10
    while subprocess.run([*command[:5], "bash", "-c", "</dev/tcp/127.0.0.1/5000"], capture_output=True, check=False).returncode:
        if time.monotonic() > until:
            raise SystemExit("the registry does not answer")
        time.sleep(0.05)
    return process


def compare(answers, verbose):
    """Prints what differs without a reason, and tells how much of it there is."""
    ours, theirs = answers
    used, differing, new = collections.Counter(), 0, 0
    for name in theirs:
        mine, yours = ours.get(name, {}), theirs[name]
        lines = []
        for fact in dict.fromkeys([*yours, *mine]):
            if mine.get(fact) == yours.get(fact):
                continue
            differing += 1
            why = reason(name, fact, mine.get(fact), yours.get(fact))
            if fact in (".message", "row 0") and reason(name, "status", mine.get("status"), yours.get("status")) == "500":
                why = "the text that goes with the status"
            used[why] += 1
            if verbose or not why:
                lines.append(f"  {fact}\n    dockerd: {yours.get(fact)}\n    wharfd:  {mine.get(fact)}")
                new += not why
        if lines:
            print(name, *lines, sep="\n")
    stale = [pattern for pattern in KNOWN if not used[pattern]]
    if stale:
        print("no longer different:", "; ".join(stale))
    print(f"{len(theirs)} requests, {differing} facts differ, {new} of them without a reason")
    return new


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--only", help="one conversation, and images before it")
    parser.add_argument("--verbose", action="store_true", help="shows what has a reason, too")
    parser.add_argument("--keep", help="writes the answers to this file")
    wanted = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wroutes-", dir="/var/tmp"))
    engines, registries, answers = [], [], []
    try:
        flags = "-H unix://{0}/sock --data-root {0}/data --exec-root {0}/run --pidfile {0}/pid"
        path = f"{wanted.peer}/usr/sbin:{wanted.peer}/usr/bin:{os.environ['PATH']}"
        for name, program in (("wharfd", wanted.agent), ("dockerd", "dockerd")):
            place = folder / name
            place.mkdir()
            engine = Engine(name, place, f"{program} {flags.format(place)}", dict(os.environ, PATH=path))
            engines.append(engine)
            registries.append(registry(engine, place))
            asked = Asked(engine)
            answers.append(asked.answers)
            for conversation in CONVERSATIONS:
                if wanted.only in (None, conversation.__name__[4:]) or conversation is ask_images:
                    conversation(asked)
    finally:
        for process in registries:
            process.kill()
            process.wait()
        for engine in engines:
            engine.end()
        for mounted in sorted((line.split()[4] for line in open("/proc/self/mountinfo") if str(folder) in line), reverse=True):
            subprocess.run(["umount", "-l", mounted], check=False)
        shutil.rmtree(folder, ignore_errors=True)
        if wanted.keep:
            pathlib.Path(wanted.keep).write_text(json.dumps(answers, indent=1))
    raise SystemExit(1 if compare(answers, wanted.verbose) else 0)


if __name__ == "__main__":
    main()
