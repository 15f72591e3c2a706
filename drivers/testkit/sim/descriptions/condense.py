#!/usr/bin/env python3
"""Condenses Microsoft's published resource descriptions (MIT) into the files beside this script.

    descriptions/condense.py SPECS

SPECS holds `openapi/` (swagger) and `bicep-types/`. Kept are facts alone: which properties a body has in which
api-version, their types, the values an enumeration allows, what is required and what is read-only, which routes there
are, and which versions each profile of Azure Stack Hub names. No sentence of the descriptions is kept.

One file a provider and api-version:
    routes   of a swagger only: path below the provider -> method -> {"body": MODEL, "answer": MODEL, "query": [..]}
    bodies   resource type -> MODEL
    models   MODEL -> property -> FIELD
FIELD is a string of words: `string`, `integer`, `number`, `boolean`, `any`, `ref:MODEL`, `list:FIELD`, `map:FIELD`,
`enum:A|B|C`, with `!` before it when required and `-` when read-only.
"""
import json
import pathlib
import re
import sys

TYPES = {
    "compute": ["virtualMachines", "disks", "availabilitySets", "proximityPlacementGroups"],
    "network": ["virtualNetworks", "virtualNetworks/subnets", "networkSecurityGroups",
                "networkSecurityGroups/securityRules", "publicIPAddresses", "networkInterfaces"],
    "resources": ["resourceGroups"],
}
# Routes worth keeping, by what follows the provider's name (or the subscription).
ROUTES = re.compile(
    r"^/(virtualMachines(/\{vmName\}(/(instanceView|deallocate|powerOff|restart|start|redeploy|reapply|generalize|"
    r"vmSizes|retrieveBootDiagnosticsData))?)?|disks(/\{diskName\})?|availabilitySets(/\{availabilitySetName\})?|"
    r"proximityPlacementGroups(/\{proximityPlacementGroupName\})?|skus|"
    r"locations/\{location\}/(usages|vmSizes|publishers(/\{publisherName\}/artifacttypes/vmimage/offers"
    r"(/\{offer\}/skus(/\{skus\}/versions(/\{version\})?)?)?)?)|"
    r"virtualNetworks(/\{virtualNetworkName\}(/subnets(/\{subnetName\})?)?)?|"
    r"networkSecurityGroups(/\{networkSecurityGroupName\}(/securityRules(/\{securityRuleName\})?)?)?|"
    r"publicIPAddresses(/\{publicIpAddressName\})?|networkInterfaces(/\{networkInterfaceName\})?|"
    r"resourcegroups(/\{resourceGroupName\}(/resources)?)?|resources|providers(/\{resourceProviderNamespace\}"
    r"(/register)?)?|locations|tenants|subscriptions(/\{subscriptionId\}(/locations)?)?)$", re.I)
# Whole families that nobody here sends: known to exist, not described further.
CLOSED = {"applicationGatewayBackendAddressPools", "loadBalancerBackendAddressPools", "loadBalancerInboundNatRules",
          "virtualNetworkTaps", "privateEndpoints", "serviceEndpointPolicies", "natGateway", "gatewayLoadBalancer",
          "serviceAssociationLinks", "resourceNavigationLinks", "virtualNetworkPeerings", "interfaceEndpoints",
          "applicationGatewayIPConfigurations", "applicationGatewayIpConfigurations", "ipAllocations", "routeTable",
          "privateLinkService", "linkedPublicIPAddress", "servicePublicIPAddress", "flowLogs", "peeredRemote",
          "ipamPoolPrefixAllocations", "frontendIPConfiguration"}
# Enumerations that the service itself does not keep to: sizes come and go between versions.
OPEN = {"vmSize"}
# Versions whose own description is not in the snapshot: the next one's, less what came with it.
DERIVED = [
    ("compute", "2017-03-30", "2017-12-01", ["virtualMachines", "availabilitySets"],
     {("OSDisk", "writeAcceleratorEnabled"), ("DataDisk", "writeAcceleratorEnabled")}),
    ("compute", "2017-03-30", "2019-07-01", ["disks"],
     {("DiskProperties", name) for name in (
         "encryption", "diskIOPSReadWrite", "diskMBpsReadWrite", "hyperVGeneration", "diskState", "uniqueId",
         "diskSizeBytes", "encryptionSettingsCollection", "diskIOPSReadOnly", "diskMBpsReadOnly", "maxShares",
         "shareInfo", "networkAccessPolicy", "diskAccessId")}
     | {("CreationData", "sourceUniqueId"), ("CreationData", "uploadSizeBytes"), ("CreationData", "galleryImageReference"),
        ("Disk", "managedByExtended")}),
]


class Swagger:
    """One provider's swagger files of one version, resolved by file."""

    def __init__(self, files):
        self.files = {path: json.loads(path.read_text()) for path in files}
        self.models, self.names = {}, {}

    def load(self, path):
        if path not in self.files:
            self.files[path] = json.loads(path.read_text())
        return self.files[path]

    def resolve(self, ref, here):
        file, _, pointer = ref.partition("#")
        path = (here.parent / file).resolve() if file else here
        if not path.exists():
            return None, here
        node = self.load(path)
        for key in pointer.strip("/").split("/"):
            node = node[key]
        return node, path

    def field(self, schema, here):
        if "$ref" in schema:
            target, path = self.resolve(schema["$ref"], here)
            if target is None:
                return "any"
            if "properties" not in target and "allOf" not in target:
                return self.field(target, path)
            return "ref:" + self.model(schema["$ref"].rsplit("/", 1)[1], target, path)
        kind = schema.get("type")
        if "enum" in schema:
            return "enum:" + "|".join(str(v) for v in schema["enum"])
        if kind == "array":
            return "list:" + self.field(schema["items"], here)
        if schema.get("additionalProperties"):
            more = schema["additionalProperties"]
            return "map:" + (self.field(more, here) if isinstance(more, dict) and more else "any")
        if schema.get("properties"):
            return "ref:" + self.model(f"Inline{len(self.models)}", schema, here)
        return kind if kind in ("string", "integer", "number", "boolean") else "any"

    def model(self, name, schema, here):
        if name in self.names and self.names[name] != here:
            name += "2"
        if name in self.models:
            return name
        self.names[name], self.models[name] = here, {}
        self.collect(self.models[name], schema, here)
        return name

    def collect(self, into, schema, here):
        for parent in schema.get("allOf", []):
            target, path = self.resolve(parent["$ref"], here) if "$ref" in parent else (parent, here)
            if target is not None:
                self.collect(into, target, path)
        required = set(schema.get("required", []))
        for name, prop in schema.get("properties", {}).items():
            kind = "any" if name in CLOSED else "string" if name in OPEN else self.field(prop, here)
            mark = "!" if name in required else "-" if prop.get("readOnly") else ""
            into[name] = mark + kind


def swagger_file(files, types):
    files = [f.resolve() for f in files]
    swagger = Swagger(files)
    out = {"routes": {}, "bodies": {}}
    for here in files:
        for path, methods in swagger.files[here].get("paths", {}).items():
            below = re.sub(r"^/subscriptions/\{subscriptionId\}", "", path)
            below = re.sub(r"^(/resource[gG]roups/\{resourceGroupName\})?/providers/Microsoft\.\w+(?=/)", "", below)
            if not ROUTES.match(below):
                continue
            scope = "group" if re.search(r"/resource[gG]roups/\{resourceGroupName\}/", path) else "subscription"
            route = out["routes"].setdefault(below if below.count("/") > 1 or scope == "subscription" else below + "@group", {})
            for method, op in methods.items():
                entry = route.setdefault(method.upper(), {})
                for parameter in op.get("parameters", []):
                    if "$ref" in parameter:
                        parameter, _ = swagger.resolve(parameter["$ref"], here)
                    if parameter is None:
                        continue
                    if parameter["in"] == "body":
                        entry["body"] = swagger.field(parameter["schema"], here)
                    elif parameter["in"] == "query" and parameter["name"] != "api-version":
                        entry.setdefault("query", []).append(parameter["name"])
                answer = op.get("responses", {}).get("200", {}).get("schema")
                if answer:
                    entry["answer"] = swagger.field(answer, here)
                if method == "put" and "body" in entry:
                    kind = "/".join(p for p in below.strip("/").split("/") if not p.startswith("{"))
                    kind = next((t for t in types if t.lower() == kind.lower()), None)
                    kind = "resourceGroups" if below.lower().startswith("/resourcegroups") else kind
                    if kind:
                        out["bodies"][kind] = entry["body"].removeprefix("ref:")
    out["models"] = swagger.models
    return out


def bicep_file(path, namespace, types):
    nodes = json.loads(path.read_text())
    models, index = {}, {}

    def field(at, depth=0):
        node = nodes[at]
        kind = node["$type"]
        if kind == "StringType":
            return "string"
        if kind == "IntegerType":
            return "integer"
        if kind == "BooleanType":
            return "boolean"
        if kind == "StringLiteralType":
            return "enum:" + node["value"]
        if kind == "UnionType":
            parts = [nodes[int(e["$ref"][2:])] for e in node["elements"]]
            values = [p["value"] for p in parts if p["$type"] == "StringLiteralType"]
            return "enum:" + "|".join(values) if values else "string"
        if kind == "ArrayType":
            return "list:" + field(int(node["itemType"]["$ref"][2:]))
        if kind == "ObjectType":
            more = node.get("additionalProperties")
            if more and not node["properties"]:
                return "map:" + field(int(more["$ref"][2:]))
            return "ref:" + model(at)
        return "any"

    def model(at):
        if at in index:
            return index[at]
        node = nodes[at]
        name = node["name"].split("/")[-1]
        while name in models:
            name += "2"
        index[at], models[name] = name, {}
        for prop, value in node["properties"].items():
            kind = ("any" if prop in CLOSED else "string" if prop in OPEN else field(int(value["type"]["$ref"][2:])))
            flags = value["flags"]
            if prop in ("name", "type", "apiVersion", "id") and flags & 8:
                if prop == "apiVersion":
                    continue
                flags, kind = 2, "string"
            models[name][prop] = ("-" if flags & 2 else "!" if flags & 1 else "") + kind
        models[name].setdefault("etag", "-string") if name in ("virtualMachines",) else None
        return name

    bodies = {}
    for node in nodes:
        if node["$type"] == "ResourceType":
            kind = node["name"].split("@")[0].split("/", 1)[1]
            if kind in types:
                bodies[kind] = model(int(node["body"]["$ref"][2:]))
    return {"bodies": bodies, "models": models}


def prune(out):
    """Keeps the models that a body, or a route, reaches without going through a read-only property."""
    reached, todo = set(), list(out["bodies"].values())
    for route in out.get("routes", {}).values():
        for entry in route.values():
            todo += re.findall(r"ref:(\w+)", entry.get("body", "") + " " + entry.get("answer", ""))
    deep = set(todo)
    while todo:
        name = todo.pop()
        if name in reached or name not in out["models"]:
            continue
        reached.add(name)
        for prop, kind in out["models"][name].items():
            inside = re.findall(r"ref:(\w+)", kind)
            if kind.startswith("-") and inside and name not in deep and prop != "instanceView":
                out["models"][name][prop] = "-list:any" if "list:" in kind else "-any"
            else:
                todo += inside
    out["models"] = {name: out["models"][name] for name in sorted(reached)}


def derive(built):
    for provider, version, base, types, less in DERIVED:
        source = built[(provider, base)]
        target = built.setdefault((provider, version), {"routes": {}, "bodies": {}, "models": {}})
        for kind in types:
            target["bodies"][kind] = source["bodies"][kind]
            for path, route in source["routes"].items():
                if path.startswith("/" + kind):
                    target["routes"][path] = route
        for path, route in built[("compute", "2017-12-01")]["routes"].items():
            if path.startswith("/locations"):
                target["routes"][path] = route
        for name, model in source["models"].items():
            target["models"].setdefault(name, {p: k for p, k in model.items() if (name, p) not in less})
        prune(target)


def profiles(root):
    found = {}
    for path in sorted(root.glob("*-hybrid.json")):
        types = {}
        for namespace, versions in json.loads(path.read_text())["resource-manager"].items():
            if namespace not in ("microsoft.compute", "microsoft.network", "microsoft.resources", "microsoft.storage",
                                 "microsoft.authorization", "microsoft.keyvault"):
                continue
            for version, entries in versions.items():
                for entry in entries:
                    kind = entry["resourceType"] if isinstance(entry, dict) else entry
                    types.setdefault(namespace, {}).setdefault(kind, []).append(version)
        found[path.stem] = types
    return found


def main():
    specs, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
    built = {}
    openapi = specs / "openapi" / "specification"
    for provider, types in TYPES.items():
        for folder in sorted(openapi.glob(f"{provider}/resource-manager/*/stable/*")):
            files = sorted(folder.glob("*.json"))
            built[(provider, folder.name)] = swagger_file(files, types)
        for path in sorted(specs.glob(f"bicep-types/microsoft.{provider}/*/types.json")):
            built[(provider, path.parent.name)] = bicep_file(path, provider, types)
    for out in built.values():
        prune(out)
    derive(built)
    for (provider, version), out in sorted(built.items()):
        lines = json.dumps(out, indent=None, separators=(",", ":"), sort_keys=True)
        lines = lines.replace('},"', '},\n"')
        (here / f"{provider}-{version}.json").write_text(lines + "\n")
    (here / "profiles.json").write_text(json.dumps(profiles(specs / "openapi" / "profile"), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
