#!/usr/bin/env python3
"""Has Microsoft's own Python SDK judge the simulator: it must sign in, make a machine, use it and take it away.

    tests/judge.py FACTS

FACTS is what `wharf-sim` printed. Needs azure-identity, azure-mgmt-resource, azure-mgmt-network, azure-mgmt-compute.
Names are found through the simulator's own proxy, and its CA is the only one that is trusted.
"""
import base64
import io
import json
import os
import struct
import sys


def facts(path):
    with open(path, encoding="utf-8") as lines:
        return {line[:16].strip(): line[17:].strip() for line in lines if line.strip()}


FACTS = facts(sys.argv[1])
os.environ.update(HTTPS_PROXY=FACTS["proxy"], REQUESTS_CA_BUNDLE=FACTS["ca"], NO_PROXY="127.0.0.1")
os.environ.pop("https_proxy", None)

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError  # noqa: E402
from azure.identity import ClientSecretCredential  # noqa: E402
from azure.mgmt.compute import ComputeManagementClient  # noqa: E402
from azure.mgmt.network import NetworkManagementClient  # noqa: E402

try:
    from azure.mgmt.resource import ResourceManagementClient
except ImportError:
    from azure.mgmt.resource.resources import ResourceManagementClient

HUB = FACTS["cloud"].startswith("hub")
ADFS = FACTS["login"].endswith("/adfs")
LOCATION = FACTS["locations"].split()[0]


class AdfsCredential:
    """The SDK cannot ask AD FS for a resource: this is the one call that it lacks."""

    def get_token(self, *_, **__):
        import time
        import requests
        from azure.core.credentials import AccessToken
        answer = requests.post(FACTS["login"] + "/oauth2/token", timeout=30, data={
            "grant_type": "client_credentials", "client_id": FACTS["client id"],
            "client_secret": FACTS["client secret"], "resource": FACTS["audience"]})
        answer.raise_for_status()
        return AccessToken(answer.json()["access_token"], int(time.time()) + 3000)


def credential(secret):
    if ADFS:
        return AdfsCredential()
    return ClientSecretCredential(FACTS["tenant"], FACTS["client id"], secret, authority=FACTS["login"],
                                  disable_instance_discovery=True)


# What a Hub's profiles name; elsewhere the SDK sends what it was made for.
PROFILES = {
    "hub-2020-09-01": {"resource": "2019-10-01", "network": "2018-11-01", "compute": "2020-06-01", "disk": "2019-07-01"},
    "hub-2019-03-01": {"resource": "2018-05-01", "network": "2017-10-01", "compute": "2017-12-01", "disk": "2017-03-30"},
}


def client(kind, name, secret=FACTS["client secret"]):
    version = PROFILES.get(FACTS["cloud"], {}).get(name)
    return kind(credential(secret), FACTS["subscription"], base_url=FACTS["endpoint"], polling_interval=1,
                credential_scopes=[FACTS["audience"] + "/.default"], **({"api_version": version} if version else {}))


def key():
    def field(data):
        return struct.pack(">I", len(data)) + data
    blob = field(b"ssh-rsa") + field(b"\1\0\1") + field(b"\0" + b"\xd1" * 256)
    return "ssh-rsa " + base64.b64encode(blob).decode() + " judge"


def sent(body):
    """Bodies go as they are, so that the SDK of any age sends the same."""
    return io.BytesIO(json.dumps({"location": LOCATION, **body}).encode())


def refused(code, what):
    try:
        what()
    except HttpResponseError as error:
        found = error.error.code if error.error else str(error)
        assert found == code, f"expected {code}, got {found}: {error}"
        return
    raise AssertionError(f"{code} was expected, and nothing was refused")


def main():
    resources = client(ResourceManagementClient, "resource")
    network = client(NetworkManagementClient, "network")
    compute = client(ComputeManagementClient, "compute")
    disks = client(ComputeManagementClient, "disk").disks
    if not ADFS:
        try:
            next(iter(client(ResourceManagementClient, "resource", FACTS["expired secret"]).resource_groups.list()), None)
            raise AssertionError("an expired secret signs in")
        except ClientAuthenticationError as error:
            assert "AADSTS7000222" in str(error), error
    group = "judge"
    resources.resource_groups.create_or_update(group, sent({"tags": {"made-by": "judge"}}))
    security = network.network_security_groups.begin_create_or_update(group, "nsg", sent({"properties": {
        "securityRules": [{"name": "ssh", "properties": {
            "protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": 100, "sourceAddressPrefix": "*",
            "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "22"}}]}})).result()
    assert len(security.default_security_rules) == 6
    subnet = {"name": "default", "properties": {"addressPrefix": "10.1.0.0/24", "networkSecurityGroup": {"id": security.id}}}
    net = network.virtual_networks.begin_create_or_update(group, "net", sent({"properties": {
        "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}, "subnets": [subnet]}})).result()
    address = network.public_ip_addresses.begin_create_or_update(group, "ip", sent({
        "sku": {"name": "Basic" if HUB else "Standard"},
        "properties": {"publicIPAllocationMethod": "Static"}})).result()
    assert address.ip_address
    nic = network.network_interfaces.begin_create_or_update(group, "nic", sent({"properties": {
        "ipConfigurations": [{"name": "one", "properties": {
            "subnet": {"id": net.subnets[0].id}, "publicIPAddress": {"id": address.id}}}]}})).result()
    assert nic.ip_configurations[0].private_ip_address.startswith("10.1.0.")

    def machine(publisher="Canonical"):
        return sent({"properties": {
            "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
            "storageProfile": {
                "imageReference": {"publisher": publisher, "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts",
                                   "version": "latest"},
                "osDisk": {"name": "disk", "createOption": "FromImage"}},
            "osProfile": {"computerName": "judged", "adminUsername": "wharf", "linuxConfiguration": {
                "disablePasswordAuthentication": True,
                "ssh": {"publicKeys": [{"path": "/home/wharf/.ssh/authorized_keys", "keyData": key()}]}}},
            "networkProfile": {"networkInterfaces": [{"id": nic.id}]}}})
    made = compute.virtual_machines.begin_create_or_update(group, "judged", machine()).result()
    assert made.provisioning_state == "Succeeded", made.provisioning_state

    def power():
        view = compute.virtual_machines.instance_view(group, "judged")
        return [s.code for s in view.statuses if s.code.startswith("PowerState")][0]
    assert power() == "PowerState/running"
    compute.virtual_machines.begin_deallocate(group, "judged").result()
    assert power() == "PowerState/deallocated"
    compute.virtual_machines.begin_start(group, "judged").result()
    assert power() == "PowerState/running"
    refused("NicInUse", lambda: network.network_interfaces.begin_delete(group, "nic").result())
    refused("InUseSubnetCannotBeDeleted", lambda: network.virtual_networks.begin_delete(group, "net").result())
    refused("PlatformImageNotFound", lambda: compute.virtual_machines.begin_create_or_update(
        group, "other", machine("Nobody")).result())
    assert [m.name for m in compute.virtual_machines.list_all()] == ["judged"]
    assert {r.type for r in resources.resources.list()} == {
        "Microsoft.Compute/virtualMachines", "Microsoft.Compute/disks", "Microsoft.Network/networkInterfaces",
        "Microsoft.Network/virtualNetworks", "Microsoft.Network/networkSecurityGroups",
        "Microsoft.Network/publicIPAddresses"}
    assert any(u.name.value == "cores" and u.current_value == 1 for u in compute.usage.list(LOCATION))
    publisher = compute.virtual_machine_images.list_publishers(LOCATION)
    assert "Canonical" in [p.name for p in publisher]
    compute.virtual_machines.begin_delete(group, "judged").result()
    disks.begin_delete(group, "disk").result()
    network.network_interfaces.begin_delete(group, "nic").result()
    resources.resource_groups.begin_delete(group).result()
    try:
        resources.resource_groups.get(group)
        raise AssertionError("the group is still there")
    except ResourceNotFoundError:
        pass
    refused("NoRegisteredProviderFound", lambda: list(network.virtual_networks.list_all(api_version="2099-01-01")))
    print(f"{FACTS['cloud']}: the SDK found nothing to say")


main()
