#!/usr/bin/env python3
"""Measures wharfd beside dockerd: both run now, on this machine, each in a network and mount namespace of its own.

Prints one line a measurement: wharfd's median, dockerd's median, and the ratio, which is all that counts. Everything
that is started is ended, also when this is interrupted.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

BUSYBOX = "/bin/busybox"


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("engine", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(self.path)


class Engine:
    """One engine in namespaces of its own."""

    def __init__(self, name, folder, command, environment):
        self.name, self.folder = name, folder
        self.socket = str(folder / "sock")
        # What is for the time of one boot lies in memory, as /run does.
        run = folder / "run"
        run.mkdir()
        script = f"ip link set lo up; mount -t tmpfs none {run}; exec {command}"
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            ["unshare", "-nm", "--fork", "--kill-child", "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment, start_new_session=True,
        )
        until = time.monotonic() + 60
        while True:
            try:
                self.call("GET", "/_ping")
                return
            except OSError:
                if time.monotonic() > until:
                    raise SystemExit(f"{name} does not answer: see {folder}/log") from None
                time.sleep(0.05)

    def call(self, method, path, body=None, kind="application/json"):
        connection = Connection(self.socket)
        payload = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, payload, {"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 400:
            raise RuntimeError(f"{self.name}: {method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text.startswith((b"{", b"[")) and method != "GET" else text

    def drain(self, path):
        """Reads an answer to its end and keeps nothing."""
        connection = Connection(self.socket)
        connection.request("GET", path)
        answer = connection.getresponse()
        while answer.read(1 << 20):
            pass
        connection.close()

    def docker(self, *words):
        environment = dict(os.environ, DOCKER_HOST=f"unix://{self.socket}", DOCKER_CONFIG=str(self.folder / "config"))
        return subprocess.run(["docker", *words], env=environment, check=True, stdout=subprocess.DEVNULL, stderr=self.log, timeout=300)

    def create(self, *command, **host):
        body = {"Image": "busybox", "Cmd": list(command), "HostConfig": {"NetworkMode": "none", **host}}
        return self.call("POST", "/containers/create", body)["Id"]

    def beside(self, *words):
        """A program in the engine's network, which this object ends."""
        inside = ["nsenter", f"--net=/proc/{descendants(self.process.pid)[-1]}/ns/net", *words]
        return subprocess.Popen(inside, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def one(self):
        """Create, start, wait, remove."""
        made = self.create("true")
        self.call("POST", f"/containers/{made}/start")
        self.call("POST", f"/containers/{made}/wait")
        self.call("DELETE", f"/containers/{made}")

    def memory(self):
        """KiB of everything of the engine's own: what is in memory, shared pages divided by their users."""
        total = 0
        for pid in descendants(self.process.pid):
            try:
                name = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            if any(own in name for own in (b"wharfd", b"dockerd", b"containerd", b"/proc/self/fd")):
                total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return total

    def end(self):
        try:
            ids = [row["Id"] for row in json.loads(self.call("GET", "/containers/json?all=1"))]
            for made in ids:
                self.call("DELETE", f"/containers/{made}?force=1")
        except (OSError, RuntimeError, ValueError):
            pass
        family = descendants(self.process.pid)
        for how in (signal.SIGTERM, signal.SIGKILL):
            for pid in family:
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    pass
            time.sleep(1)
        self.process.wait()
        self.log.close()


def descendants(root):
    """A process and all below it; shims that stand apart are found by the namespace that they share."""
    parents, spaces = {}, {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                parents[int(entry.name)] = int(stat[stat.rindex(")") + 1:].split()[1])
                spaces[int(entry.name)] = os.readlink(entry / "ns/mnt")
            except OSError:
                continue
    family = {root}
    while True:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        if not more:
            break
        family |= more
    own = {spaces[pid] for pid in family if pid in spaces} - {os.readlink("/proc/self/ns/mnt")}
    return sorted(family | {pid for pid, space in spaces.items() if space in own})


def image(folder):
    """An archive of a busybox with all its names."""
    root = folder / "image"
    (root / "bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    names = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in {*names} - {"busybox"}:
        (root / "bin" / name).symlink_to("busybox")
    subprocess.run(["tar", "-C", root, "-cf", folder / "image.tar", "."], check=True)
    return (folder / "image.tar").read_bytes()


LAYERS, LAYER = 10, 30 << 20
BIG = "localhost:5000/big"


def big_image(folder):
    """An archive of an image of ten layers, 300 MB: a half of each cannot be packed, the other can."""
    place = folder / "big"
    place.mkdir()
    layers = []
    for number in range(LAYERS):
        content = place / f"file{number}"
        content.write_bytes(os.urandom(LAYER // 2) + bytes(f"{number} lines of text\n", "ascii") * (LAYER // 2 // 17))
        layers.append(f"{number}/layer.tar")
        (place / str(number)).mkdir()
        subprocess.run(["tar", "-C", place, "-cf", place / layers[-1], content.name], check=True)
        content.unlink()
    sums = [hashlib.sha256((place / layer).read_bytes()).hexdigest() for layer in layers]
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{one}" for one in sums]}
    configuration = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}
    (place / "config.json").write_text(json.dumps(configuration))
    (place / "manifest.json").write_text(json.dumps([{"Config": "config.json", "RepoTags": [BIG], "Layers": layers}]))
    subprocess.run(["tar", "-C", place, "-cf", folder / "big.tar", *os.listdir(place)], check=True)
    shutil.rmtree(place)
    return folder / "big.tar"


class Registries:
    """The same images, served in each engine's network."""

    def __init__(self, folder, engines):
        configuration = folder / "registry.yml"
        storage = {"filesystem": {"rootdirectory": str(folder / "registry")}}
        configuration.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": "127.0.0.1:5000"}}))
        self.processes = [engine.beside("docker-registry", "serve", str(configuration)) for engine in engines]
        archive = big_image(folder)
        time.sleep(1)
        engines[0].docker("load", "-i", str(archive))
        engines[0].docker("push", BIG)
        engines[0].docker("rmi", BIG)
        archive.unlink()

    def end(self):
        for process in self.processes:
            process.terminate()
            process.wait()


def pull(engine):
    """Milliseconds until an image is there; it is removed again."""
    os.sync()
    took = milliseconds(lambda: engine.docker("pull", "-q", BIG))
    engine.docker("rmi", BIG)
    return took


SAID = 100_000_000
SAYS = ("sh", "-c", f"yes 'what a container says, in lines of sixty-four characters or so' | head -c {SAID}")


def rate(work):
    """Megabytes a second."""
    return SAID / 1000 / milliseconds(work)


def logged(engine):
    """A container writes into its log; then the log is read."""
    made = engine.create(*SAYS)

    def write():
        engine.call("POST", f"/containers/{made}/start")
        engine.call("POST", f"/containers/{made}/wait")

    wrote = rate(write)
    read = rate(lambda: engine.drain(f"/containers/{made}/logs?stdout=1"))
    engine.call("DELETE", f"/containers/{made}")
    return wrote, read


def attached(engine):
    """A client takes all that a container writes, which nobody keeps."""
    words = ("run", "--rm", "--network", "none", "--log-driver", "none", "-a", "stdout", "busybox", *SAYS)
    return rate(lambda: engine.docker(*words))


def milliseconds(work):
    start = time.monotonic()
    work()
    return (time.monotonic() - start) * 1000


def at_once(engine, count, width):
    """Milliseconds a container when so many clients work at once."""
    left = threading.Semaphore(count)

    def client():
        while left.acquire(blocking=False):
            engine.one()

    clients = [threading.Thread(target=client) for _ in range(width)]

    def all_of_them():
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()

    return milliseconds(all_of_them) / count


def measure(engines, runs, containers):
    def row(what, unit, samples):
        ours, theirs = (statistics.median(samples[engine]) for engine in engines)
        # Above one ours is better, be it the smaller figure or the greater.
        ratio = ours / theirs if unit == "MB/s" else theirs / ours
        print(f"{what:44} {ours:9.1f} {theirs:9.1f} {unit:4} {ratio:6.2f}", flush=True)

    def in_turns(work, times):
        samples = {engine: [] for engine in engines}
        for _ in range(times):
            for engine in engines:
                samples[engine].append(work(engine))
        return samples

    print(f"{'':44} {'wharfd':>9} {'dockerd':>9} {'':4} {'ratio':>6}")
    row("idle memory, daemon", "KiB", in_turns(Engine.memory, 1))
    row("create+start+wait+remove", "ms", in_turns(lambda engine: milliseconds(engine.one), runs * 4))
    row("the same, 16 at a time, each", "ms", in_turns(lambda engine: at_once(engine, 64, 16), max(1, runs // 2)))
    run = ("run", "--rm", "--network", "none", "busybox", "true")
    row("docker run --rm busybox true", "ms", in_turns(lambda engine: milliseconds(lambda: engine.docker(*run)), runs * 2))
    row("pull and unpack 300 MB in ten layers", "ms", in_turns(pull, runs))
    told = in_turns(logged, max(1, runs // 2))
    row("a container writes into its log", "MB/s", {engine: [wrote for wrote, _ in told[engine]] for engine in engines})
    row("the log is read", "MB/s", {engine: [read for _, read in told[engine]] for engine in engines})
    row("a client is attached, no log", "MB/s", in_turns(attached, max(1, runs // 2)))
    idle = {engine: engine.memory() for engine in engines}
    for engine in engines:
        for _ in range(containers):
            engine.call("POST", f"/containers/{engine.create('sleep', '9999')}/start")
    each = {engine: [(engine.memory() - idle[engine]) / containers] for engine in engines}
    row(f"memory of each of {containers} running containers", "KiB", each)
    shown = in_turns(lambda engine: milliseconds(lambda: engine.docker("ps")), runs * 2)
    row(f"docker ps with {containers} containers", "ms", shown)
    row("the list alone", "ms", in_turns(lambda engine: milliseconds(lambda: engine.call("GET", "/containers/json")), runs * 4))


@contextlib.contextmanager
def side_by_side(agent, peer, prefix):
    """Both engines with a busybox each, and the folder that they lie in. Nothing of them is left afterwards."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    engines = []
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        archive = image(folder)
        path = f"{peer}/usr/sbin:{peer}/usr/bin:{os.environ['PATH']}"
        flags = "-H unix://{0}/sock --data-root {0}/data --exec-root {0}/run --pidfile {0}/pid"
        for name, program in (("wharfd", agent), ("dockerd", "dockerd")):
            place = folder / name
            place.mkdir()
            engines.append(Engine(name, place, f"{program} {flags.format(place)}", dict(os.environ, PATH=path)))
        for engine in engines:
            engine.call("POST", "/images/create?fromSrc=-&repo=busybox&changes=ENV+PATH%3D%2Fbin", archive, "application/x-tar")
            engine.one()
        yield folder, engines
    finally:
        for engine in engines:
            engine.end()
        for mounted in sorted((line.split()[4] for line in open("/proc/self/mountinfo") if str(folder) in line), reverse=True):
            subprocess.run(["umount", "-l", mounted], check=False)
        shutil.rmtree(folder, ignore_errors=True)
        # Engines keep their empty control groups for the next container; those that are in use stay.
        for group in ("docker", "wharf"):
            places = [*pathlib.Path("/sys/fs/cgroup").glob(group), *pathlib.Path("/sys/fs/cgroup").glob(f"*/{group}")]
            if places:
                subprocess.run(["find", *places, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"], stderr=subprocess.DEVNULL, check=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--containers", type=int, default=200)
    wanted = parser.parse_args()
    with side_by_side(wanted.agent, wanted.peer, "wbench-") as (folder, engines):
        registries = Registries(folder, engines)
        try:
            measure(engines, wanted.runs, wanted.containers)
        finally:
            registries.end()


if __name__ == "__main__":
    main()
