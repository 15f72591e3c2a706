#!/usr/bin/env python3
"""Has Docker's own SDK for Python do the same with wharfd and with dockerd, and compares what it makes of the answers.

The SDK reads fields, follows streams and takes connections over in its own ways; what it returns or raises is what a
program written with it sees. Differences that are meant stand in KNOWN with their reason; any other one is printed, and
the exit code is 1.

    tests/lab/compare_sdk.py --agent FILE --peer FOLDER     (a Python that has the package docker, as root)
"""

import argparse
import fnmatch
import io
import json
import socket
import tarfile
import threading
import time

import docker
from docker.types import IPAMConfig, IPAMPool, LogConfig, Mount, Ulimit

from bench_engine import side_by_side
from compare_routes import facts

# Patterns of "STEP: FACT", and why they differ there. 20.10 is what stands beside.
KNOWN = {
    "*: *.Error": "newer dockerds leave it out where there is none",
    "an exec's command that is not there: [0]": "127, as a shell and newer dockerds say",
    "*not there: [1]": "the runtimes name themselves",
    "what info tells: *": "fields that newer dockerds no longer have", "keys of HostConfig: *": "the same",
    "errors: .image*": "newer dockerds' text", "errors: .pull*": "the system's words for a refused connection",
    "errors: .login*": "the same", "errors: .search*": "not offered, and said so",
    "events: *die*": "the time that it ran, as newer dockerds tell",
}


def said(raised):
    """An error as a program sees it."""
    return [raised.status_code, raised.explanation]


def error_of(work):
    try:
        return str(work())[:40]
    except docker.errors.APIError as raised:
        return said(raised)


def until_closed(stream):
    """What comes over a connection that was taken over, without the frames, whose lengths are chance."""
    received, content = b"", b""
    while piece := stream.recv(4096):
        received += piece
    while received:
        length = int.from_bytes(received[4:8], "big")
        content, received = content + received[8:8 + length], received[8 + length:]
    return content


class Steps:
    """What is done; each method is a step, named by its first line, and returns what is compared."""

    def __init__(self, path):
        self.client = docker.DockerClient(base_url=f"unix://{path}", version="1.41", timeout=60)
        self.api = self.client.api

    def sleeping(self, **options):
        return self.client.containers.run("busybox", "sleep 600", detach=True, **options)

    def system(self):
        """what info tells"""
        return [sorted(self.client.info()), sorted(self.client.version()), sorted(self.client.df()), self.client.ping()]

    def runs(self):
        """runs"""
        run = self.client.containers.run
        try:
            run("busybox", ["sh", "-c", "echo no >&2; exit 3"], remove=True)
        except docker.errors.ContainerError as raised:
            failed = [raised.exit_status, raised.stderr.decode()]
        return [run("busybox", ["echo", "hi"], remove=True).decode(), failed]

    def missing(self):
        """a program that is not there"""
        return error_of(lambda: self.client.containers.run("busybox", "nosuchprogram", remove=True))

    def logs(self):
        """logs"""
        made = self.client.containers.run("busybox", ["sh", "-c", "echo a; sleep 0.3; echo b >&2; sleep 0.3; echo c"], detach=True)
        followed = [line.decode() for line in made.logs(stream=True, follow=True)]
        read = [made.logs(), made.logs(stderr=False), made.logs(tail=1), made.logs(timestamps=True)[:2]]
        ended = made.wait()
        made.remove()
        return [followed, [text.decode() for text in read], ended]

    def terminal(self):
        """a terminal"""
        made = self.client.containers.run("busybox", "tty", tty=True, detach=True)
        made.wait()
        shown = made.logs().decode()
        made.remove()
        return shown

    def execs(self):
        """execs"""
        made = self.sleeping()
        ran = made.exec_run
        plain = [ran("echo x"), ran(["sh", "-c", "echo o; echo e >&2; exit 4"], demux=True), ran("id -u", user="7"), ran("pwd", workdir="/bin")]
        plain.append(b"A=b" in ran("env", environment={"A": "b"}).output)
        streamed = b"".join(ran(["sh", "-c", "echo 1; echo 2"], stream=True).output)
        taken = ran(["sh", "-c", "cat; echo done"], stdin=True, socket=True).output._sock
        taken.sendall(b"in\n")
        taken.shutdown(socket.SHUT_WR)
        spoken = until_closed(taken)
        fields = sorted(self.api.exec_inspect(self.api.exec_create(made.id, "true")["Id"]))
        made.remove(force=True)
        return [[list(one) if isinstance(one, tuple) else one for one in plain], streamed, spoken, fields]

    def exec_missing(self):
        """an exec's command that is not there"""
        made = self.sleeping()
        ran = made.exec_run("nosuch")
        made.remove(force=True)
        return list(ran)

    def attached(self):
        """an attached client's stdin"""
        made = self.client.containers.create("busybox", "cat", stdin_open=True)
        taken = made.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})._sock
        made.start()
        taken.sendall(b"hello\n")
        heard = taken.recv(4096)
        made.kill()
        ended = made.wait()
        made.remove()
        return [heard, ended]

    def waited(self):
        """waiting for the next exit"""
        made, ends = self.client.containers.create("busybox", "true"), []
        waiter = threading.Thread(target=lambda: ends.append(made.wait(condition="next-exit")))
        waiter.start()
        time.sleep(0.5)
        made.start()
        waiter.join(30)
        made.remove()
        return ends

    def archives(self):
        """archives"""
        made, packed = self.client.containers.create("busybox", "true"), io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo("f")
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"abc"))
        put = made.put_archive("/", packed.getvalue())
        pieces, facts_of_it = made.get_archive("/f")
        names = tarfile.open(fileobj=io.BytesIO(b"".join(pieces))).getnames()
        missing = error_of(lambda: made.get_archive("/nosuch"))[0]
        changed = made.diff()
        made.remove()
        return [put, facts_of_it["name"], facts_of_it["size"], names, missing, changed]

    def life(self):
        """a life"""
        made = self.sleeping(name="life")
        seen = [sorted(made.stats(stream=False)), sorted(next(made.stats(decode=True))), made.top()["Titles"]]
        made.pause()
        seen.append(self.client.containers.get("life").status)
        made.unpause()
        made.rename("renamed")
        made.update(mem_limit="64m", memswap_limit="128m")
        made.restart(timeout=0)
        made.stop(timeout=0)
        made.reload()
        seen += [made.name, made.status, made.attrs["State"]["ExitCode"]]
        made.remove()
        return seen

    def lists(self):
        """lists"""
        made = self.sleeping(name="listed", labels={"x": "y"})
        wanted = [{"label": "x=y"}, {"status": "running"}, {"name": "listed"}, {"ancestor": "busybox"}, {"exited": 0}, {"label": ["x"]}]
        found = [[one.name for one in self.client.containers.list(filters=one)] for one in wanted]
        made.remove(force=True)
        return found

    def kept(self):
        """commit, history, save and load"""
        made = self.client.containers.run("busybox", ["sh", "-c", "echo z >/zz"], detach=True)
        made.wait()
        image = made.commit("kept", "1", message="m", changes="ENV Q=1")
        made.remove()
        shown = self.client.containers.run("kept:1", ["sh", "-c", "cat /zz; echo $Q"], remove=True)
        history = [sorted(row) for row in image.history()]
        saved = b"".join(image.save(named=True))
        self.client.images.remove("kept:1")
        loaded = [one.tags for one in self.client.images.load(saved)]
        self.client.images.remove("kept:1")
        return [shown, image.tags, history, loaded]

    def built(self):
        """builds"""
        lines = b'FROM busybox\nARG V=1\nRUN echo $V >/v\nLABEL a=b\nCMD ["cat","/v"]\n'
        image, told = self.client.images.build(fileobj=io.BytesIO(lines), tag="built:1", buildargs={"V": "9"}, rm=True)
        shown, kinds = self.client.containers.run("built:1", remove=True), sorted({key for row in told for key in row})
        self.client.images.remove("built:1")
        try:
            self.client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 5\n"))
        except docker.errors.BuildError as raised:
            failed = raised.msg
        return [shown, kinds, image.labels, failed]

    def networks(self):
        """networks"""
        pool = IPAMPool(subnet="10.77.0.0/24", gateway="10.77.0.9")
        made = self.client.networks.create("net", driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels={"q": "1"})
        one, two = self.sleeping(name="one", network="net"), self.sleeping(name="two")
        made.connect(two, aliases=["other"], ipv4_address="10.77.0.50")
        made.reload()
        seen = [one.exec_run("ping -c1 -W2 other").exit_code, one.exec_run("nslookup two").exit_code, sorted(c.name for c in made.containers)]
        seen += [made.attrs["IPAM"]["Config"], [n.name for n in self.client.networks.list(filters={"label": "q=1"})]]
        made.disconnect(two)
        one.remove(force=True)
        two.remove(force=True)
        made.remove()
        return seen

    def volumes(self):
        """volumes and mounts"""
        made = self.client.volumes.create("vol", labels={"a": "1"})
        wrote = self.client.containers.run("busybox", ["sh", "-c", "echo 1 >/d/f; cat /d/f"], volumes={"vol": {"bind": "/d", "mode": "rw"}}, remove=True)
        mounts = [Mount("/m", "vol"), Mount("/t", None, type="tmpfs", tmpfs_size=1_000_000)]
        holder = self.client.containers.create("busybox", "true", mounts=mounts)
        holder.reload()
        seen = [wrote, sorted((m["Type"], m["Destination"]) for m in holder.attrs["Mounts"]), error_of(made.remove)[0]]
        seen += [[v.name for v in self.client.volumes.list(filters={"label": "a=1"})], sorted(made.attrs)]
        holder.remove()
        made.remove()
        return [*seen, self.client.volumes.prune()]

    def ports(self):
        """ports"""
        made = self.sleeping(ports={"80/tcp": None, "53/udp": ("127.0.0.1", 5353), "90/tcp": [9091, 9092]})
        made.reload()
        seen = {port: len(places) for port, places in made.ports.items()}
        made.remove(force=True)
        return seen

    def configured(self):
        """a whole configuration"""
        script = "ulimit -n; hostname; sort /etc/resolv.conf; grep ex /etc/hosts; id; df /dev/shm | tail -1; cat /proc/self/oom_score_adj"
        made = self.client.containers.run(
            "busybox", ["sh", "-c", script], detach=True, ulimits=[Ulimit(name="nofile", soft=64, hard=64)], hostname="hh",
            dns=["9.9.9.9"], dns_search=["ex.org"], extra_hosts={"ex": "1.2.3.4"}, user="5:6", group_add=[8], shm_size="2m",
            cap_add=["NET_ADMIN"], cap_drop=["CHOWN"], security_opt=["no-new-privileges"], read_only=True,
            tmpfs={"/r": "size=1m"}, pids_limit=50, cpu_shares=512, mem_limit="50m", cpuset_cpus="0",
            devices=["/dev/null:/dev/n:r"], oom_score_adj=500, restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
            stop_signal="SIGINT", healthcheck={"test": ["CMD", "true"], "interval": 1_000_000_000},
            log_config=LogConfig(type="json-file", config={"max-size": "1m"}), sysctls={"net.core.somaxconn": "99"},
            environment=["X=1"], labels=["lab"], working_dir="/r",
        )
        made.wait()
        shown = made.logs().decode()
        made.reload()
        kept = {key: made.attrs["HostConfig"][key] for key in ("Ulimits", "CapAdd", "CapDrop", "Devices", "LogConfig", "Sysctls", "Tmpfs")}
        fields = [sorted(made.attrs[key]) for key in ("Config", "State")]
        made.remove(force=True)
        return [shown, kept, fields, sorted(made.attrs)]

    def host_fields(self):
        """keys of HostConfig"""
        made = self.client.containers.create("busybox", "true")
        made.reload()
        fields = dict.fromkeys(made.attrs["HostConfig"], True)
        made.remove()
        return fields

    def events(self):
        """events"""
        told, stream = [], self.client.events(decode=True, filters={"type": "container"})

        def listen():
            for event in stream:
                told.append({event["Action"]: sorted(event["Actor"]["Attributes"])})
                if event["Action"] == "destroy":
                    return

        listener = threading.Thread(target=listen)
        listener.start()
        time.sleep(0.5)
        self.client.containers.run("busybox", "true", remove=True)
        listener.join(30)
        stream.close()
        return told

    def errors(self):
        """errors"""
        client, api = self.client, self.api
        works = {
            "container": lambda: client.containers.get("nosuch"), "image": lambda: client.images.get("nosuch"),
            "network": lambda: client.networks.get("nosuch"), "volume": lambda: client.volumes.get("nosuch"),
            "name": lambda: api.create_container("busybox", "true", name="bad name"), "start": lambda: api.start("nosuch"),
            "services": client.services.list, "nodes": client.nodes.list, "plugins": client.plugins.list,
            "secrets": client.secrets.list, "configs": client.configs.list, "swarm": client.swarm.reload,
            "pull": lambda: api.pull("localhost:1/x"), "login": lambda: api.login("u", "p", registry="localhost:1"),
            "search": lambda: api.search("x"),
        }
        return {name: error_of(work) for name, work in works.items()}

    def pruned(self):
        """prunes"""
        made = self.client.containers.create("busybox", "true")
        pruned = self.client.containers.prune()
        return [pruned["ContainersDeleted"] == [made.id], self.client.networks.prune(), sorted(self.api.prune_builds())]


def every_step(engine):
    steps, answers = Steps(engine.socket), {}
    for step in [value for name, value in vars(Steps).items() if getattr(value, "__doc__", None) and not name.startswith("_")]:
        try:
            found = step(steps)
        except Exception as raised:  # whatever the SDK raises is what is compared
            found = [type(raised).__name__, str(raised)]
        answers[step.__doc__] = dict(facts(json.loads(json.dumps(found, default=lambda one: one.decode("utf8", "replace")))))
    return answers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", required=True)
    parser.add_argument("--peer", required=True)
    wanted = parser.parse_args()
    with side_by_side(wanted.agent, wanted.peer, "wsdk-") as (_, engines):
        ours, theirs = (every_step(engine) for engine in engines)
    differing, new, used = 0, 0, set()
    for step in theirs:
        for fact in dict.fromkeys([*theirs[step], *ours[step]]):
            mine, yours = ours[step].get(fact), theirs[step].get(fact)
            if mine == yours:
                continue
            differing += 1
            why = next((pattern for pattern in KNOWN if fnmatch.fnmatchcase(f"{step}: {fact}", pattern.replace("[", "[[]"))), None)
            used.add(why)
            if not why:
                new += 1
                print(f"{step}: {fact}\n    dockerd: {yours}\n    wharfd:  {mine}")
    if stale := KNOWN.keys() - used:
        print("no longer different:", "; ".join(stale))
    print(f"{len(theirs)} steps, {differing} facts differ, {new} of them without a reason")
    raise SystemExit(1 if new else 0)


if __name__ == "__main__":
    main()
