"""The requests of compare_routes.py: conversations with an engine, noun by noun."""

import json
import time
import urllib.parse

from compare_engine import image

UNKNOWN = "0" * 64


def filters(**wanted):
    return "filters=" + urllib.parse.quote(json.dumps({key.replace("_", "-"): value for key, value in wanted.items()}))


def ask_system(asked):
    for method in ("GET", "HEAD"):
        asked(f"{method} ping", method, "/_ping", show="headers", prefix="")
        asked(f"{method} ping, versioned", method, "/_ping", show="headers")
    asked("version", "GET", "/version")
    asked("info", "GET", "/info")
    asked("too new", "GET", "/version", prefix="/v1.99")
    asked("too old", "GET", "/version", prefix="/v1.11")
    asked("no version", "GET", "/version", prefix="/v1", show="headers")
    asked("nonsense for a version", "GET", "/version", prefix="/vx.y")
    asked("nowhere", "GET", "/nowhere")
    asked("nowhere, unversioned", "GET", "/nowhere", prefix="")
    asked("the root", "GET", "/", prefix="")
    asked("a wrong method", "DELETE", "/version")
    asked("a wrong method on containers", "PUT", "/containers/json")
    asked("a slash too many", "GET", "/version/")
    asked("two slashes", "GET", "//version")
    asked("auth without a body", "POST", "/auth")
    asked("auth with garbage", "POST", "/auth", b"{")
    asked("auth to nobody", "POST", "/auth", {"username": "a", "password": "b", "serveraddress": "127.0.0.1:9"})
    asked("auth to the registry", "POST", "/auth", {"username": "a", "password": "b", "serveraddress": "127.0.0.1:5000"})
    asked("events with a wrong filter", "GET", "/events?until=1&" + filters(bogus=["x"]))
    asked("events with a garbled filter", "GET", "/events?until=1&filters=%7B")
    asked("events with a wrong time", "GET", "/events?until=1&since=yesterday")
    asked("events of nothing", "GET", "/events?since=1&until=2", show="headers")
    asked("df of nothing", "GET", "/system/df")
    for what in ("swarm", "swarm/unlockkey", "services", "services/x", "services/x/logs?stdout=1", "nodes", "nodes/x", "tasks", "tasks/x",
                 "tasks/x/logs?stdout=1", "secrets", "secrets/x", "configs", "configs/x", "plugins", "plugins/x/json",
                 "plugins/privileges?remote=127.0.0.1:9/x"):
        asked(f"get {what}", "GET", f"/{what}")
    for what in ("swarm/join", "swarm/leave", "swarm/update?version=1", "swarm/unlock", "services/create", "services/x/update?version=1",
                 "nodes/x/update?version=1", "secrets/create", "secrets/x/update?version=1", "configs/create",
                 "configs/x/update?version=1", "plugins/x/enable?timeout=0", "plugins/x/disable", "plugins/x/push", "plugins/x/upgrade?remote=y",
                 "plugins/x/set", "plugins/create?name=x", "plugins/pull?remote=127.0.0.1:9/x"):
        asked(f"post {what}", "POST", f"/{what}", [] if what.startswith("plugins") else {})
    for what in ("services/x", "nodes/x", "secrets/x", "configs/x", "plugins/x"):
        asked(f"delete {what}", "DELETE", f"/{what}")
    asked("session without an upgrade", "POST", "/session")
    asked("grpc without an upgrade", "POST", "/grpc")
    asked("build cancel", "POST", "/build/cancel?id=x")
    asked("build cancel of nothing", "POST", "/build/cancel")
    asked("build prune", "POST", "/build/prune")
    asked("build without a context", "POST", "/build", kind=None)
    asked("build of another type", "POST", "/build", b"x", "text/plain")
    asked("build with wrong arguments", "POST", "/build?buildargs=%7B", b"", "application/x-tar")
    asked("build with wrong labels", "POST", "/build?labels=%7B", b"", "application/x-tar")
    asked("build with wrong ulimits", "POST", "/build?ulimits=%7B", b"", "application/x-tar")
    asked("build of nothing", "POST", "/build", b"", "application/x-tar", show="rows")
    asked("build with a wrong tag", "POST", "/build?t=UPPER", b"", "application/x-tar")


def ask_images(asked):
    tar = "application/x-tar"
    asked("import", "POST", "/images/create?fromSrc=-&repo=busybox&message=why&changes=ENV+PATH%3D%2Fbin&changes=CMD+sh", image(), tar, show="rows")
    asked("import under a wrong name", "POST", "/images/create?fromSrc=-&repo=UPPER", image(), tar)
    asked("import with a wrong change", "POST", "/images/create?fromSrc=-&repo=x&changes=BOGUS+x", image(), tar)
    asked("import of garbage", "POST", "/images/create?fromSrc=-&repo=x", b"garbage", tar, show="rows")
    asked("import from nowhere", "POST", "/images/create?fromSrc=http://127.0.0.1:9/x&repo=x", show="rows")
    asked("create of nothing", "POST", "/images/create")
    asked("pull of nobody", "POST", "/images/create?fromImage=127.0.0.1:5000/nobody&tag=latest", show="rows")
    asked("pull from nowhere", "POST", "/images/create?fromImage=127.0.0.1:9/x&tag=latest", show="rows")
    asked("pull under a wrong name", "POST", "/images/create?fromImage=UPPER&tag=latest", show="rows")
    asked("pull of a wrong tag", "POST", "/images/create?fromImage=127.0.0.1:5000/x&tag=-x", show="rows")
    asked("pull for a wrong platform", "POST", "/images/create?fromImage=127.0.0.1:5000/x&tag=a&platform=a/b/c/d/e", show="rows")
    asked("pull with wrong credentials", "POST", "/images/create?fromImage=127.0.0.1:5000/nobody&tag=a", headers={"X-Registry-Auth": "?"}, show="rows")
    asked("tag", "POST", "/images/busybox/tag?repo=127.0.0.1:5000/pushed&tag=v1")
    asked("tag without a tag", "POST", "/images/busybox/tag?repo=other")
    asked("tag without a name", "POST", "/images/busybox/tag")
    asked("tag with a wrong name", "POST", "/images/busybox/tag?repo=UPPER&tag=x")
    asked("tag with a wrong tag", "POST", "/images/busybox/tag?repo=a&tag=-x")
    asked("tag with a digest", "POST", f"/images/busybox/tag?repo=a@sha256:{UNKNOWN}")
    asked("tag of nobody", "POST", "/images/nobody/tag?repo=a&tag=b")
    asked("tag with an id for a name", "POST", f"/images/busybox/tag?repo={UNKNOWN}")
    asked("push", "POST", "/images/127.0.0.1:5000/pushed/push?tag=v1", headers={"X-Registry-Auth": "e30="}, show="rows")
    asked("push without credentials", "POST", "/images/127.0.0.1:5000/pushed/push?tag=v1", show="rows")
    asked("push of all", "POST", "/images/127.0.0.1:5000/pushed/push", headers={"X-Registry-Auth": "e30="}, show="rows")
    asked("push of nobody", "POST", "/images/127.0.0.1:5000/nobody/push?tag=v1", headers={"X-Registry-Auth": "e30="}, show="rows")
    asked("push of an unknown tag", "POST", "/images/127.0.0.1:5000/pushed/push?tag=v9", headers={"X-Registry-Auth": "e30="}, show="rows")
    asked("push to nowhere", "POST", "/images/busybox/tag?repo=127.0.0.1:9/x&tag=v1")
    asked("push to nowhere, itself", "POST", "/images/127.0.0.1:9/x/push?tag=v1", headers={"X-Registry-Auth": "e30="}, show="rows")
    asked("push of a wrong name", "POST", "/images/UPPER/push?tag=v1", headers={"X-Registry-Auth": "e30="}, show="rows")
    asked("distribution", "GET", "/distribution/127.0.0.1:5000/pushed:v1/json")
    asked("distribution of nobody", "GET", "/distribution/127.0.0.1:5000/nobody/json")
    asked("distribution of a wrong name", "GET", "/distribution/UPPER/json")
    asked("distribution of an id", "GET", f"/distribution/{UNKNOWN}/json")
    asked("distribution of nowhere", "GET", "/distribution/127.0.0.1:9/x/json")
    asked("inspect an image", "GET", "/images/busybox/json")
    asked("inspect a pushed image", "GET", "/images/127.0.0.1:5000/pushed:v1/json")
    ident = asked.quietly("GET", "/images/busybox/json")
    ident = json.loads(ident)["Id"]
    asked("inspect an image by its id", "GET", f"/images/{ident}/json", show="status")
    asked("inspect an image by its digits", "GET", f"/images/{ident[7:19]}/json", show="status")
    asked("inspect an image by three digits", "GET", f"/images/{ident[7:10]}/json", show="status")
    asked("inspect an image by a digest", "GET", f"/images/busybox@sha256:{UNKNOWN}/json")
    asked("inspect no image", "GET", "/images/nobody/json")
    asked("inspect no image's tag", "GET", "/images/busybox:v9/json")
    asked("inspect no id", "GET", f"/images/{UNKNOWN}/json")
    asked("inspect a wrong name", "GET", "/images/UPPER/json")
    asked("inspect docker.io's", "GET", "/images/docker.io/library/busybox/json", show="status")
    asked("history", "GET", "/images/busybox/history")
    asked("history of nobody", "GET", "/images/nobody/history")
    asked("images", "GET", "/images/json", show="sorted")
    asked("images, all, with digests", "GET", "/images/json?all=1&digests=1", show="sorted")
    for name, query in {
        "dangling": filters(dangling=["true"]), "not dangling": filters(dangling=["false"]), "a wrong dangling": filters(dangling=["maybe"]),
        "a reference": filters(reference=["busy*"]), "a wrong reference": filters(reference=["["]), "a label": filters(label=["none"]),
        "before": filters(before=["busybox"]), "before nobody": filters(before=["nobody"]), "since": filters(since=["busybox"]),
        "an unknown filter": filters(bogus=["x"]), "garbled filters": "filters=%7B", "booleans": filters(dangling={"true": True}),
        "a shape of filters": filters(dangling="true"), "a wrong all": "all=maybe",
    }.items():
        asked(f"images by {name}", "GET", f"/images/json?{query}", show="sorted")
    asked("save", "GET", "/images/busybox/get", show="names")
    asked("save of two", "GET", "/images/get?names=busybox&names=other", show="names")
    asked("save of none", "GET", "/images/get", show="status")
    asked("save of nobody", "GET", "/images/nobody/get")
    asked("save of one and nobody", "GET", "/images/get?names=busybox&names=nobody")
    saved = asked.quietly("GET", "/images/get?names=busybox&names=other")
    asked("load what is there", "POST", "/images/load", saved, tar, show="rows")
    asked("load quietly", "POST", "/images/load?quiet=1", saved, tar, show="rows")
    asked("load garbage", "POST", "/images/load", b"garbage", tar, show="rows")
    asked("load nothing", "POST", "/images/load", b"", tar, show="rows")
    asked("search with no term", "GET", "/images/search")
    asked("search with a wrong limit", "GET", "/images/search?term=x&limit=many")
    asked("search with an unknown filter", "GET", "/images/search?term=x&" + filters(bogus=["x"]))
    user = {"Image": "busybox", "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "none"}}
    asked("create user", "POST", "/containers/create?name=user", user)
    asked("remove one of several tags in use", "DELETE", "/images/busybox")
    asked("tag an id", "POST", f"/images/{ident}/tag?repo=busybox")
    asked("import a used one", "POST", "/images/create?fromSrc=-&repo=used", image(), tar, show="status")
    asked("create of the used one", "POST", "/containers/create?name=uses", user | {"Image": "used"})
    asked("remove an only tag in use", "DELETE", "/images/used")
    asked("remove an only tag in use by force", "DELETE", "/images/used?force=1")
    asked("inspect a container without an image's name", "GET", "/containers/uses/json")
    asked("list containers without an image's name", "GET", "/containers/json?all=1&" + filters(name=["uses"]))
    asked("uses goes", "DELETE", "/containers/uses")
    asked("remove by an id in use", "DELETE", f"/images/{ident}")
    asked("start user", "POST", "/containers/user/start")
    asked("remove by an id that runs", "DELETE", f"/images/{ident}?force=1")
    asked("remove nobody", "DELETE", "/images/nobody")
    asked("remove a wrong name", "DELETE", "/images/UPPER")
    asked("remove a tag", "DELETE", "/images/other")
    asked("remove an image with a wrong force", "DELETE", "/images/127.0.0.1:9/x:v1?force=maybe", show="facts")
    asked("user goes", "DELETE", "/containers/user?force=1")
    asked("import another", "POST", "/images/create?fromSrc=-&repo=another&tag=v1", image(), tar, show="status")
    another = json.loads(asked.quietly("GET", "/images/another:v1/json"))["Id"]
    asked.quietly("POST", f"/images/{another}/tag?repo=yet&tag=v1")
    asked("remove an id with two names", "DELETE", f"/images/{another}")
    asked("remove an id with two names by force", "DELETE", f"/images/{another}?force=1")
    asked("remove what was pushed", "DELETE", "/images/127.0.0.1:5000/pushed:v1")
    asked("pull again", "POST", "/images/create?fromImage=127.0.0.1:5000/pushed&tag=v1", show="rows")
    asked("pull what is there", "POST", "/images/create?fromImage=127.0.0.1:5000/pushed:v1", show="rows")
    asked("pull all tags", "POST", "/images/create?fromImage=127.0.0.1:5000/pushed", show="rows")
    asked("prune images", "POST", "/images/prune")
    asked("prune images by an unknown filter", "POST", "/images/prune?" + filters(bogus=["x"]))
    asked("prune images, a wrong dangling", "POST", "/images/prune?" + filters(dangling=["maybe"]))
    asked("prune images, a wrong until", "POST", "/images/prune?" + filters(until=["x"]))
    asked("image routes: a wrong method", "POST", "/images/busybox/json")


def ask_volumes(asked):
    asked("volumes of nothing", "GET", "/volumes")
    asked("volume", "POST", "/volumes/create", {"Name": "vol", "Labels": {"a": "b"}})
    asked("volume again", "POST", "/volumes/create", {"Name": "vol", "Labels": {"c": "d"}})
    for name, body in (("volume without a name", {"Labels": {"mine": "1"}}), ("volume without anything", {})):
        made = asked(name, "POST", "/volumes/create", body)
        asked.quietly("DELETE", f"/volumes/{made['Name']}")
    asked("volume with a short name", "POST", "/volumes/create", {"Name": "s"}, show="status")
    asked("volume with a wrong name", "POST", "/volumes/create", {"Name": "a b"})
    asked("volume with a slash", "POST", "/volumes/create", {"Name": "/a"})
    asked("volume of an unknown driver", "POST", "/volumes/create", {"Name": "w", "Driver": "bogus"})
    asked("volume with unknown options", "POST", "/volumes/create", {"Name": "w", "DriverOpts": {"bogus": "x"}})
    asked("volume with half the options", "POST", "/volumes/create", {"Name": "w", "DriverOpts": {"type": "tmpfs"}})
    asked("volume of a tmpfs", "POST", "/volumes/create", {"Name": "t", "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}})
    asked("volume of a tmpfs, changed", "POST", "/volumes/create", {"Name": "t", "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=2m"}})
    made = asked("volume with no body", "POST", "/volumes/create")
    if "Name" in made:
        asked.quietly("DELETE", f"/volumes/{made['Name']}")
    asked("volume with garbage", "POST", "/volumes/create", b"{")
    asked("volume as text", "POST", "/volumes/create", b"{}", "text/plain")
    asked("inspect a volume", "GET", "/volumes/vol")
    asked("inspect a tmpfs volume", "GET", "/volumes/t")
    asked("inspect no volume", "GET", "/volumes/nobody")
    asked("create holder", "POST", "/containers/create?name=holder", {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none", "Binds": ["vol:/v"]}})
    asked("remove a volume in use", "DELETE", "/volumes/vol")
    asked("remove a volume in use by force", "DELETE", "/volumes/vol?force=1")
    asked("remove no volume", "DELETE", "/volumes/nobody")
    asked("remove no volume by force", "DELETE", "/volumes/nobody?force=1")
    for name, query in {
        "name": filters(name=["vol"]), "label": filters(label=["a"]), "label and value": filters(label=["a=b"]), "driver": filters(driver=["local"]),
        "dangling": filters(dangling=["true"], name=["t"]), "not dangling": filters(dangling=["false"]), "a wrong dangling": filters(dangling=["maybe"]),
        "an unknown filter": filters(bogus=["x"]), "garbled filters": "filters=%7B",
    }.items():
        asked(f"volumes by {name}", "GET", f"/volumes?{query}", show="sorted")
    asked("prune volumes by a label", "POST", "/volumes/prune?" + filters(label=["mine=2"]))
    asked("prune volumes by an unknown filter", "POST", "/volumes/prune?" + filters(bogus=["x"]))
    asked("prune volumes by a wrong all", "POST", "/volumes/prune?" + filters(all=["true"]))
    asked("holder goes", "DELETE", "/containers/holder?v=1")
    asked("prune volumes", "POST", "/volumes/prune", show="status")
    asked("volumes once pruned", "GET", "/volumes")
    asked("volume to remove", "POST", "/volumes/create", {"Name": "short-lived"})
    asked("remove a volume", "DELETE", "/volumes/short-lived")


def ask_networks(asked):
    asked("networks", "GET", "/networks", show="sorted")
    for name in ("bridge", "host", "none"):
        asked(f"inspect {name}", "GET", f"/networks/{name}")
        asked(f"remove {name}", "DELETE", f"/networks/{name}")
        asked(f"make {name}", "POST", "/networks/create", {"Name": name, "CheckDuplicate": True})
    subnet = {"IPAM": {"Config": [{"Subnet": "10.77.0.0/24", "IPRange": "10.77.0.128/25", "Gateway": "10.77.0.1", "AuxiliaryAddresses": {"a": "10.77.0.5"}}]}}
    asked("network", "POST", "/networks/create", {"Name": "n", "CheckDuplicate": True, "Labels": {"a": "b"}} | subnet)
    asked("network again", "POST", "/networks/create", {"Name": "n", "CheckDuplicate": True})
    asked("network that overlaps", "POST", "/networks/create", {"Name": "o"} | subnet)
    asked("network without a name", "POST", "/networks/create", {})
    asked("network with a wrong name", "POST", "/networks/create", {"Name": "a b"})
    asked("network of an unknown driver", "POST", "/networks/create", {"Name": "w", "Driver": "bogus"})
    asked("network of an overlay", "POST", "/networks/create", {"Name": "w", "Driver": "overlay"})
    asked("network of the host's driver", "POST", "/networks/create", {"Name": "w", "Driver": "host"})
    asked("network of the driver null", "POST", "/networks/create", {"Name": "w", "Driver": "null"})
    asked("network of an unknown ipam", "POST", "/networks/create", {"Name": "w", "IPAM": {"Driver": "bogus"}})
    for name, config in {
        "a wrong subnet": {"Subnet": "10.1.2.3.4/24"}, "a subnet with bits": {"Subnet": "10.78.0.7/24"}, "a gateway outside": {"Subnet": "10.79.0.0/24", "Gateway": "10.80.0.1"},
        "a wrong gateway": {"Subnet": "10.81.0.0/24", "Gateway": "x"}, "a range outside": {"Subnet": "10.82.0.0/24", "IPRange": "10.83.0.0/25"},
        "a wrong range": {"Subnet": "10.84.0.0/24", "IPRange": "x"}, "no subnet": {"Gateway": "10.85.0.1"}, "a subnet of one": {"Subnet": "10.86.0.1/32"},
        "an aux address outside": {"Subnet": "10.87.0.0/24", "AuxiliaryAddresses": {"a": "10.88.0.5"}},
    }.items():
        asked(f"network with {name}", "POST", "/networks/create", {"Name": "bad" + name.replace(" ", ""), "IPAM": {"Config": [config]}})
    asked("network with a wrong option", "POST", "/networks/create", {"Name": "w", "Options": {"com.docker.network.bridge.enable_icc": "maybe"}})
    asked("network with a wrong mtu", "POST", "/networks/create", {"Name": "w2", "Options": {"com.docker.network.driver.mtu": "big"}})
    asked("network with a long bridge", "POST", "/networks/create", {"Name": "w3", "Options": {"com.docker.network.bridge.name": "averyverylongname"}})
    asked("network with garbage", "POST", "/networks/create", b"{")
    asked("network with no body", "POST", "/networks/create")
    asked("network as text", "POST", "/networks/create", b"{}", "text/plain")
    asked("network inside", "POST", "/networks/create", {"Name": "inside", "Internal": True, "Attachable": True,
          "Options": {"com.docker.network.bridge.name": "wcmp0", "com.docker.network.driver.mtu": "1400"}, "IPAM": {"Config": [{"Subnet": "10.90.0.0/24"}]}})
    asked("network of two families", "POST", "/networks/create", {"Name": "six", "EnableIPv6": True, "IPAM": {"Config": [{"Subnet": "10.91.0.0/24"}, {"Subnet": "fd00:91::/64"}]}})
    for name in ("n", "inside", "six"):
        asked(f"inspect network {name}", "GET", f"/networks/{name}")
    asked("inspect no network", "GET", "/networks/nobody")
    asked("inspect a network, verbose", "GET", "/networks/n?verbose=maybe")
    asked("inspect a network in a scope", "GET", "/networks/n?scope=swarm")
    body = {"Image": "busybox", "Cmd": ["sleep", "600"], "Hostname": "member", "HostConfig": {"NetworkMode": "n"},
            "NetworkingConfig": {"EndpointsConfig": {"n": {"IPAMConfig": {"IPv4Address": "10.77.0.200"}, "Aliases": ["alias"]}}}}
    asked("create member", "POST", "/containers/create?name=member", body)
    asked("inspect member, created", "GET", "/containers/member/json")
    asked("start member", "POST", "/containers/member/start")
    asked("inspect member", "GET", "/containers/member/json")
    asked("list member", "GET", "/containers/json?" + filters(name=["member"]))
    asked("inspect network n with member", "GET", "/networks/n")
    connect = lambda name, network, body: asked(name, "POST", f"/networks/{network}/connect", body)  # noqa: E731
    connect("connect", "inside", {"Container": "member", "EndpointConfig": {"Aliases": ["second"]}})
    connect("connect again", "inside", {"Container": "member"})
    connect("connect nobody", "inside", {"Container": "nobody"})
    connect("connect to no network", "nobody", {"Container": "member"})
    connect("connect to the host", "host", {"Container": "member"})
    connect("connect to none", "none", {"Container": "member"})
    connect("connect with an address outside", "six", {"Container": "member", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.99.0.3"}}})
    connect("connect with a wrong address", "six", {"Container": "member", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "x"}}})
    connect("connect with nothing", "six", {})
    asked("connect with garbage", "POST", "/networks/six/connect", b"{")
    asked("inspect member, connected", "GET", "/containers/member/json")
    asked("remove a network in use", "DELETE", "/networks/n")
    asked("create rival", "POST", "/containers/create?name=rival", body | {"Hostname": "rival"})
    asked("start rival", "POST", "/containers/rival/start")
    asked("rival goes", "DELETE", "/containers/rival?force=1")
    asked("disconnect", "POST", "/networks/inside/disconnect", {"Container": "member"})
    asked("disconnect again", "POST", "/networks/inside/disconnect", {"Container": "member"})
    asked("disconnect nobody", "POST", "/networks/inside/disconnect", {"Container": "nobody"})
    asked("disconnect nobody by force", "POST", "/networks/inside/disconnect", {"Container": "nobody", "Force": True})
    asked("disconnect from no network", "POST", "/networks/nobody/disconnect", {"Container": "member"})
    asked("disconnect from the host", "POST", "/networks/host/disconnect", {"Container": "member"})
    for name, query in {
        "name": filters(name=["in"]), "driver": filters(driver=["host"]), "type": filters(type=["custom"]), "builtin": filters(type=["builtin"]),
        "a wrong type": filters(type=["bogus"]), "label": filters(label=["a=b"]), "scope": filters(scope=["local"]), "dangling": filters(dangling=["true"]),
        "a wrong dangling": filters(dangling=["maybe"]), "an unknown filter": filters(bogus=["x"]), "garbled filters": "filters=%7B",
    }.items():
        asked(f"networks by {name}", "GET", f"/networks?{query}", show="sorted")
    asked("create on no network", "POST", "/containers/create?name=lost", {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "nobody"}})
    asked("start on no network", "POST", "/containers/lost/start")
    asked("lost goes", "DELETE", "/containers/lost?force=1", show="status")
    asked("create published", "POST", "/containers/create?name=published", {"Image": "busybox", "Cmd": ["sleep", "600"], "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "9/sctp": {}},
          "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "18080"}, {"HostIp": "127.0.0.1", "HostPort": "18081"}], "53/udp": [{"HostPort": "18053"}]}}})
    asked("start published", "POST", "/containers/published/start")
    asked("inspect published", "GET", "/containers/published/json", show="sorted")
    asked("list published", "GET", "/containers/json?" + filters(name=["published"]), show="sorted")
    asked("create conflicting", "POST", "/containers/create?name=conflicting", {"Image": "busybox", "Cmd": ["sleep", "600"], "ExposedPorts": {"80/tcp": {}}, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "18080"}]}}})
    asked("start conflicting", "POST", "/containers/conflicting/start")
    asked("inspect conflicting", "GET", "/containers/conflicting/json")
    asked("inspect bridge with published", "GET", "/networks/bridge")
    for name in ("member", "published", "conflicting"):
        asked(f"{name} goes", "DELETE", f"/containers/{name}?force=1")
    asked("remove a network", "DELETE", "/networks/n")
    asked("remove no network", "DELETE", "/networks/nobody")
    asked("prune networks by an unknown filter", "POST", "/networks/prune?" + filters(bogus=["x"]))
    asked("prune networks", "POST", "/networks/prune", show="status")


def ask_execs(asked):
    asked("create runner", "POST", "/containers/create?name=runner", {"Image": "busybox", "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "none"}})
    asked("exec in one that does not run", "POST", "/containers/runner/exec", {"Cmd": ["true"]})
    asked("exec in nobody", "POST", "/containers/nobody/exec", {"Cmd": ["true"]})
    asked("start runner", "POST", "/containers/runner/start")
    asked("exec without a command", "POST", "/containers/runner/exec", {})
    asked("exec with no body", "POST", "/containers/runner/exec")
    asked("exec with garbage", "POST", "/containers/runner/exec", b"{")
    asked("exec as text", "POST", "/containers/runner/exec", b"{}", "text/plain")
    asked("exec as nobody", "POST", "/containers/runner/exec", {"Cmd": ["true"], "User": "bogus"}, show="status")

    def run(name, body, start=None):
        made = asked(f"exec {name}", "POST", "/containers/runner/exec", {"AttachStdout": True, "AttachStderr": True} | body)
        if "Id" not in made:
            return
        asked(f"exec {name}, not started", "GET", f"/exec/{made['Id']}/json")
        asked(f"exec {name}, started", "POST", f"/exec/{made['Id']}/start", start or {})
        until = time.monotonic() + 10
        while json.loads(asked.quietly("GET", f"/exec/{made['Id']}/json"))["Running"] and time.monotonic() < until:
            time.sleep(0.05)
        asked(f"exec {name}, ended", "GET", f"/exec/{made['Id']}/json")
        asked(f"exec {name}, started again", "POST", f"/exec/{made['Id']}/start", {})
        asked(f"exec {name}, resized", "POST", f"/exec/{made['Id']}/resize?h=1&w=1")

    run("says", {"Cmd": ["sh", "-c", "echo out; echo err >&2; exit 3"]})
    run("with a terminal", {"Cmd": ["sh", "-c", "echo out"], "Tty": True}, {"Tty": True})
    run("detached", {"Cmd": ["true"]}, {"Detach": True})
    run("of nothing there", {"Cmd": ["bogus"]})
    run("of a folder", {"Cmd": ["/etc"]})
    run("with everything", {"Cmd": ["sh", "-c", "echo $A $PWD"], "Env": ["A=b"], "WorkingDir": "/etc", "User": "77:0", "Privileged": False, "DetachKeys": "ctrl-x"})
    run("in no folder", {"Cmd": ["true"], "WorkingDir": "/bogus"})
    run("as an unknown user", {"Cmd": ["true"], "User": "bogus"})
    run("with wrong keys", {"Cmd": ["true"], "DetachKeys": "bogus"})
    asked("start no exec", "POST", f"/exec/{UNKNOWN}/start", {})
    asked("start with garbage", "POST", f"/exec/{UNKNOWN}/start", b"{")
    asked("start with no body", "POST", f"/exec/{UNKNOWN}/start")
    asked("inspect no exec", "GET", f"/exec/{UNKNOWN}/json")
    asked("resize no exec", "POST", f"/exec/{UNKNOWN}/resize?h=1&w=1")
    asked("resize with no size", "POST", f"/exec/{UNKNOWN}/resize")
    asked("runner goes", "DELETE", "/containers/runner?force=1")


def ask_containers(asked):
    """What is refused, and what is shown."""
    for method, path in (
        ("GET", "json"), ("GET", "top"), ("GET", "logs?stdout=1"), ("GET", "changes"), ("GET", "export"), ("GET", "stats?stream=0"),
        ("GET", "archive?path=/"), ("HEAD", "archive?path=/"), ("GET", "attach/ws"), ("POST", "start"), ("POST", "stop"), ("POST", "restart"),
        ("POST", "kill"), ("POST", "pause"), ("POST", "unpause"), ("POST", "attach?stream=1"), ("POST", "wait"), ("POST", "resize?h=1&w=1"),
        ("POST", "rename?name=x"), ("POST", "update"),
    ):
        asked(f"{method} {path} of nobody", method, f"/containers/nobody/{path}", {} if path == "update" else None)
    asked("put of nobody", "PUT", "/containers/nobody/archive?path=/", b"", "application/x-tar")
    asked("remove nobody's container", "DELETE", "/containers/nobody")
    asked("inspect an id of nobody", "GET", f"/containers/{UNKNOWN}/json")

    def create(name, query="", **more):
        query = query or f"name={name.replace(' ', '-').replace(chr(39), '')}"
        body = {"Image": "busybox", "Cmd": ["sleep", "600"]} | more
        body["HostConfig"] = {"NetworkMode": "none"} | (body.get("HostConfig") or {})
        return asked(f"create {name}", "POST", f"/containers/create?{query}", body)

    asked("create with no body", "POST", "/containers/create")
    asked("create with garbage", "POST", "/containers/create", b"{")
    asked("create with two values", "POST", "/containers/create?name=two", b'{"Image":"busybox"}{}', show="status")
    asked("create as text", "POST", "/containers/create", b"{}", "text/plain")
    asked("create of an empty body", "POST", "/containers/create?name=c0", {})
    asked("create of a wrong shape", "POST", "/containers/create", {"Image": 5})
    asked("create of an unknown image", "POST", "/containers/create", {"Image": "nobody"})
    asked("create of an unknown tag", "POST", "/containers/create", {"Image": "busybox:v9"})
    asked("create of a wrong image", "POST", "/containers/create", {"Image": "UPPER"})
    create("under a wrong name", "name=a+b")
    create("under a short name", "name=a")
    create("under a slash", "name=/slash")
    create("under the same", "name=slash")
    asked("slash goes", "DELETE", "/containers/slash")
    asked.quietly("POST", "/images/create?fromSrc=-&repo=bare", image(), "application/x-tar")
    asked("create without a command", "POST", "/containers/create", {"Image": "bare"})
    asked("create with an empty command", "POST", "/containers/create?name=empty", {"Image": "bare", "Cmd": [""]}, show="status")
    for name in ("two", "empty"):
        asked(f"{name} goes", "DELETE", f"/containers/{name}", show="none")
    create("with a wrong signal", StopSignal="BOGUS")
    create("with a relative folder", WorkingDir="a/b")
    create("with a wrong port", ExposedPorts={"x/tcp": {}})
    create("with a wrong protocol", ExposedPorts={"80/bogus": {}})
    create("with an empty variable", Env=["=x"])
    create("with a lone variable", Env=["A"])
    create("with a wrong check", Healthcheck={"Test": ["CMD", "x"], "Interval": 1})
    create("with a wrong start period", Healthcheck={"Test": ["CMD", "x"], "StartPeriod": 1})
    create("with wrong retries", Healthcheck={"Test": ["CMD", "x"], "Retries": -1})
    for name, host in {
        "little memory": {"Memory": 100}, "swap below memory": {"Memory": 100 << 20, "MemorySwap": 50 << 20}, "swap without memory": {"MemorySwap": 50 << 20},
        "reservation above memory": {"Memory": 100 << 20, "MemoryReservation": 200 << 20}, "little reservation": {"MemoryReservation": 100},
        "swappiness": {"MemorySwappiness": 101}, "kernel memory": {"KernelMemory": 100}, "cpus and quota": {"NanoCpus": 10**9, "CpuQuota": 1000},
        "too many cpus": {"NanoCpus": 10**12}, "a short period": {"CpuPeriod": 10}, "a short quota": {"CpuQuota": 10}, "negative shares": {"CpuShares": -1},
        "a wrong cpuset": {"CpusetCpus": "x"}, "a cpuset not there": {"CpusetCpus": "4000"}, "wrong mems": {"CpusetMems": "x"}, "weight": {"BlkioWeight": 5},
        "a weight of no device": {"BlkioWeightDevice": [{"Path": "/dev/bogus", "Weight": 5}]}, "a rate of no device": {"BlkioDeviceReadBps": [{"Path": "/dev/bogus", "Rate": 5}]},
        "a wrong score": {"OomScoreAdj": 2000}, "an unknown policy": {"RestartPolicy": {"Name": "bogus"}}, "always with a count": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}},
        "negative retries": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -1}}, "removal and restart": {"AutoRemove": True, "RestartPolicy": {"Name": "always"}},
        "an unknown log": {"LogConfig": {"Type": "bogus"}}, "an unknown log option": {"LogConfig": {"Type": "json-file", "Config": {"bogus": "x"}}},
        "a wrong log size": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "x"}}}, "a wrong log count": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "0"}}},
        "a count without a size": {"LogConfig": {"Type": "json-file", "Config": {"max-file": "3"}}}, "a wrong log mode": {"LogConfig": {"Type": "json-file", "Config": {"mode": "bogus"}}},
        "a buffer that blocks": {"LogConfig": {"Type": "json-file", "Config": {"max-buffer-size": "1m"}}}, "a wrong log pattern": {"LogConfig": {"Type": "json-file", "Config": {"labels-regex": "["}}},
        "compression alone": {"LogConfig": {"Type": "json-file", "Config": {"compress": "true"}}}, "a wrong compression": {"LogConfig": {"Type": "json-file", "Config": {"compress": "maybe"}}},
        "a wrong tag of logs": {"LogConfig": {"Type": "json-file", "Config": {"tag": "{{.Bogus"}}}, "options of no log": {"LogConfig": {"Type": "none", "Config": {"max-size": "1m"}}},
        "options of a local log": {"LogConfig": {"Type": "local", "Config": {"labels": "a"}}},
        "a relative bind": {"Binds": ["a/b:/c"]}, "a bind to nowhere": {"Binds": ["/tmp:c"]}, "a bind to the root": {"Binds": ["/tmp:/"]}, "a bind with a wrong mode": {"Binds": ["/tmp:/c:bogus"]},
        "a bind of four": {"Binds": ["/tmp:/c:ro:rw:z"]}, "an empty bind": {"Binds": [""]}, "two at one place": {"Binds": ["/tmp:/c", "/var:/c"]}, "a wrong volume": {"Binds": ["a b:/c"]},
        "volumes from nobody": {"VolumesFrom": ["nobody"]}, "volumes from a wrong mode": {"VolumesFrom": ["nobody:bogus"]},
        "a mount of nothing": {"Mounts": [{}]}, "a mount of an unknown type": {"Mounts": [{"Type": "bogus", "Target": "/c"}]}, "a mount without a target": {"Mounts": [{"Type": "volume", "Source": "v"}]},
        "a mount of no file": {"Mounts": [{"Type": "bind", "Source": "/bogus", "Target": "/c"}]}, "a mount without a source": {"Mounts": [{"Type": "bind", "Target": "/c"}]},
        "a relative mount": {"Mounts": [{"Type": "bind", "Source": "a", "Target": "/c"}]}, "a tmpfs with a source": {"Mounts": [{"Type": "tmpfs", "Source": "/a", "Target": "/c"}]},
        "a bind with options of a volume": {"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/c", "VolumeOptions": {}}]},
        "a wrong propagation": {"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/c", "BindOptions": {"Propagation": "bogus"}}]},
        "a wrong tmpfs": {"Tmpfs": {"/c": "bogus"}}, "a relative tmpfs": {"Tmpfs": {"c": ""}},
        "an unknown network mode": {"NetworkMode": "container:nobody"}, "ports in the host": {"NetworkMode": "host", "PortBindings": {"80/tcp": [{"HostPort": "1"}]}},
        "ports of a container": {"NetworkMode": "container:nobody", "PortBindings": {"80/tcp": [{"HostPort": "1"}]}}, "a wrong host port": {"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostPort": "x"}]}},
        "a wrong range": {"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostPort": "90-80"}]}}, "a wrong host address": {"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostIp": "x", "HostPort": "1"}]}},
        "a port too high": {"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostPort": "70000"}]}},
        "a wrong host": {"ExtraHosts": ["bogus"]}, "a wrong host's address": {"ExtraHosts": ["a:x"]}, "a wrong dns": {"Dns": ["x"]}, "links to nobody": {"NetworkMode": "bridge", "Links": ["nobody:a"]}, "a wrong link": {"NetworkMode": "bridge", "Links": ["a:b:c"]},
        "an unknown capability": {"CapAdd": ["BOGUS"]}, "an unknown drop": {"CapDrop": ["BOGUS"]}, "an unknown option": {"SecurityOpt": ["bogus"]}, "a wrong option": {"SecurityOpt": ["bogus=x"]},
        "a wrong profile": {"SecurityOpt": ["seccomp={"]}, "a wrong ipc mode": {"IpcMode": "bogus"}, "ipc of nobody": {"IpcMode": "container:nobody"}, "a wrong pid mode": {"PidMode": "bogus"}, "pid of nobody": {"PidMode": "container:nobody"},
        "a wrong uts mode": {"UTSMode": "bogus"}, "a wrong user mode": {"UsernsMode": "bogus"}, "a wrong cgroup mode": {"CgroupnsMode": "bogus"}, "a wrong isolation": {"Isolation": "hyperv"},
        "an unknown runtime": {"Runtime": "bogus"}, "no device": {"Devices": [{"PathOnHost": "/dev/bogus", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}]},
        "a wrong device rule": {"DeviceCgroupRules": ["bogus"]}, "wrong permissions": {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "xyz"}]},
        "a gpu": {"DeviceRequests": [{"Driver": "bogus", "Count": 1}]}, "a gpu of any driver": {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]},
        "a wrong ulimit": {"Ulimits": [{"Name": "bogus", "Soft": 1, "Hard": 1}]}, "a soft limit above": {"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 1}]}, "a sysctl": {"Sysctls": {"kernel.bogus": "1"}},
        "a sysctl of the network": {"NetworkMode": "host", "Sysctls": {"net.ipv4.ip_forward": "1"}}, "a negative shm": {"ShmSize": -1}, "storage options": {"StorageOpt": {"size": "1g"}}, "a storage driver's": {"StorageOpt": {"bogus": "1g"}},
        "a wrong group": {"GroupAdd": ["bogus"]}, "a wrong cgroup parent": {"CgroupParent": "a b"}, "console size": {"ConsoleSize": [1, 2]},
    }.items():
        made = create(f"with {name}", HostConfig=host)
        if isinstance(made, dict) and "Id" in made:
            asked(f"start with {name}", "POST", f"/containers/{made['Id']}/start")
            asked.quietly("DELETE", f"/containers/{made['Id']}?force=1&v=1")
    for name, more in {
        "an unknown user": {"User": "bogus"}, "an unknown group": {"User": "0:bogus"}, "a program not there": {"Cmd": ["bogus"]}, "a folder for a program": {"Cmd": ["/etc"]},
        "a folder not there": {"WorkingDir": "/made/here"}, "a file for a folder": {"WorkingDir": "/etc/passwd"},
    }.items():
        made = create(f"with {name}", **more)
        if isinstance(made, dict) and "Id" in made:
            asked(f"start with {name}", "POST", f"/containers/{made['Id']}/start")
            state = json.loads(asked.quietly("GET", f"/containers/{made['Id']}/json"))["State"]
            asked.answers[f"state with {name}"] = {key: str(state[key]) for key in ("Status", "ExitCode", "Error", "OOMKilled", "Running")}
            asked.quietly("DELETE", f"/containers/{made['Id']}?force=1&v=1")
    create("shown", "name=shown", Labels={"a": "b"}, Env=["B=c"], Hostname="shown", Domainname="example.org", User="77", Volumes={"/anon": {}}, StopSignal="SIGINT", StopTimeout=3, HostConfig={
        "Binds": ["/tmp:/c:ro", "named:/n"], "Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 65536}}], "Memory": 100 << 20, "NanoCpus": 500_000_000,
        "CapAdd": ["NET_ADMIN"], "CapDrop": ["MKNOD"], "Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 10}], "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}, "Init": True,
        "ExtraHosts": ["a:1.2.3.4"], "Dns": ["1.1.1.1"], "ShmSize": 1 << 20, "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}, "GroupAdd": ["5"], "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges"], "PidsLimit": 50, "Sysctls": {"net.ipv4.ip_forward": "1"}})
    asked("inspect shown", "GET", "/containers/shown/json", show="sorted")
    asked("list shown", "GET", "/containers/json?all=1", show="sorted")
    asked("list shown with sizes", "GET", "/containers/json?all=1&size=1", show="sorted")
    asked("stop of one that does not run", "POST", "/containers/shown/stop")
    asked("unpause of one that does not run", "POST", "/containers/shown/unpause")
    asked("pause of one that does not run", "POST", "/containers/shown/pause")
    asked("attach to one that does not run", "POST", "/containers/shown/attach?stdout=1", show="status")
    asked("resize of one that does not run", "POST", "/containers/shown/resize?h=1&w=1")
    create("live", "name=live", Cmd=["sh", "-c", "echo out; sleep 0.2; echo err >&2; exec sleep 600"])
    asked("start live", "POST", "/containers/live/start")
    asked("start live again", "POST", "/containers/live/start")
    asked("start with a body", "POST", "/containers/live/start", {"Binds": []})
    asked("unpause of one that runs", "POST", "/containers/live/unpause")
    until = time.monotonic() + 10
    while b"err" not in asked.quietly("GET", "/containers/live/logs?stdout=1&stderr=1") and time.monotonic() < until:
        time.sleep(0.05)
    for name, query in {"nothing": "", "both": "stdout=1&stderr=1", "times": "stdout=1&timestamps=1", "a tail": "stdout=1&stderr=1&tail=1", "a wrong tail": "stdout=1&tail=x", "a wrong since": "stdout=1&since=x", "a wrong until": "stdout=1&until=x", "details": "stdout=1&details=1"}.items():
        asked(f"logs with {name}", "GET", f"/containers/live/logs?{query}")
    for name, path in {
        "kill with a wrong signal": "kill?signal=BOGUS", "kill with a number too high": "kill?signal=900", "kill with zero": "kill?signal=0", "stop with a wrong time": "stop?t=x", "restart with a wrong time": "restart?t=x",
        "resize with no sizes": "resize", "resize with wrong sizes": "resize?h=x&w=1", "rename with no name": "rename", "rename to a wrong name": "rename?name=a+b", "rename to its own": "rename?name=live", "attach with wrong keys": "attach?stdout=1&detachKeys=bogus",
    }.items():
        asked(name, "POST", f"/containers/live/{path}")
    asked("wait for a wrong condition", "POST", "/containers/live/wait?condition=bogus", show="head")
    asked("update with garbage", "POST", "/containers/live/update", b"{")
    asked("update with no body", "POST", "/containers/live/update")
    asked("update with nothing", "POST", "/containers/live/update", {})
    asked("inspect with a wrong size", "GET", "/containers/live/json?size=maybe", show="status")
    for name, query in {
        "a wrong limit": "limit=x", "a limit of minus one": "limit=-1", "a wrong all": "all=maybe", "an unknown filter": filters(bogus=["x"]), "garbled filters": "filters=%7B", "a wrong status": filters(status=["bogus"]),
        "a wrong exit": filters(exited=["x"]), "an exit": filters(exited=["0"]), "a wrong task": filters(is_task=["maybe"]), "before nobody": filters(before=["nobody"]), "since nobody": filters(since=["nobody"]), "a volume": filters(volume=["named"]), "a network": filters(network=["none"]),
        "a wrong port": filters(publish=["x"]), "an exposed port": filters(expose=["80"]), "a wrong health": filters(health=["bogus"]), "an ancestor": filters(ancestor=["busybox"]), "no ancestor": filters(ancestor=["nobody"]), "status created": filters(status=["created"]),
    }.items():
        asked(f"containers by {name}", "GET", f"/containers/json?{query}", show="sorted")
    asked("inspect live", "GET", "/containers/live/json", show="sorted")
    asked("df with containers", "GET", "/system/df", show="sorted")
    asked("remove with a wrong force", "DELETE", "/containers/shown?force=maybe", show="status")
    asked("remove a link", "DELETE", "/containers/live?link=1")
    asked("live goes", "DELETE", "/containers/live?force=1&v=1")
    asked("prune containers by an unknown filter", "POST", "/containers/prune?" + filters(bogus=["x"]))
    asked("prune containers by a wrong until", "POST", "/containers/prune?" + filters(until=["x"]))
    asked("prune containers", "POST", "/containers/prune", show="facts")


def ask_events(asked):
    """One life, told: types, actions, and which attributes."""
    since = time.time()
    asked.quietly("POST", "/volumes/create", {"Name": "told"})
    asked.quietly("POST", "/networks/create", {"Name": "told"})
    body = {"Image": "busybox", "Cmd": ["sleep", "600"], "StopSignal": "KILL", "Labels": {"l": "m"}, "HostConfig": {"NetworkMode": "told", "Binds": ["told:/v"]}}
    asked.quietly("POST", "/containers/create?name=told", body)
    asked.quietly("POST", "/containers/told/start")
    made = asked.quietly("POST", "/containers/told/exec", {"Cmd": ["true"]})["Id"]
    asked.quietly("POST", f"/exec/{made}/start", {})
    until = time.monotonic() + 10
    while json.loads(asked.quietly("GET", f"/exec/{made}/json"))["Running"] and time.monotonic() < until:
        time.sleep(0.05)
    for verb in ("pause", "unpause", "rename?name=retold", "restart"):
        asked.quietly("POST", f"/containers/{'retold' if 'restart' in verb else 'told'}/{verb}")
    asked.quietly("POST", "/containers/retold/update", {"PidsLimit": 100})
    asked.quietly("GET", "/containers/retold/export")
    asked.quietly("GET", "/containers/retold/archive?path=/etc/passwd")
    asked.quietly("GET", "/containers/retold/top")
    asked.quietly("POST", "/commit?container=retold&repo=told&pause=0", {})
    asked.quietly("POST", "/containers/retold/kill?signal=USR1")
    asked.quietly("POST", "/networks/told/disconnect", {"Container": "retold"})
    asked.quietly("POST", "/networks/told/connect", {"Container": "retold"})
    asked.quietly("POST", "/containers/retold/stop")
    asked.quietly("DELETE", "/containers/retold")
    asked.quietly("POST", "/images/told/tag?repo=told&tag=v2")
    saved = asked.quietly("GET", "/images/told:v2/get")
    asked.quietly("POST", "/images/load", saved, "application/x-tar")
    asked.quietly("DELETE", "/images/told:v2")
    asked.quietly("DELETE", "/images/told")
    asked.quietly("DELETE", "/networks/told")
    asked.quietly("DELETE", "/volumes/told")
    for prune in ("containers", "images", "networks", "volumes"):
        asked.quietly("POST", f"/{prune}/prune")
    window = f"since={since:.9f}&until={time.time() + 0.1:.9f}"
    asked("events of one life", "GET", f"/events?{window}", show="events")
    for name, query in {
        "containers": filters(type=["container"]), "one kind": filters(event=["die", "exec_die"]), "one image": filters(image=["busybox"], event=["start"]), "a label": filters(label=["l=m"], event=["create"]),
        "one container": filters(container=["retold"], event=["destroy"]), "a volume": filters(volume=["told"]), "a network": filters(network=["told"], event=["create"]), "a scope": filters(scope=["swarm"]), "a daemon": filters(daemon=["bogus"]),
    }.items():
        asked(f"events by {name}", "GET", f"/events?{window}&{query}", show="events")


CONVERSATIONS = (ask_system, ask_images, ask_volumes, ask_networks, ask_execs, ask_containers, ask_events)
