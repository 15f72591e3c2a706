#!/usr/bin/env bash
# Has the Azure CLI judge the simulator: what its users type must work, and end as it ends in the real cloud.
#
#   tests/az.sh AZ PROFILE FACTS
#
# AZ is the program, FACTS what `wharf-sim` printed. The PROFILE is `latest`, or a stamp's, which is registered as a cloud of
# its own. The simulator is reached through its own proxy, and its CA is the only one that is trusted.
set -euo pipefail
az=$1 profile=$2 facts=$3
fact() { sed -n "s/^$1  *//p" "$facts"; }

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export HOME="$home" AZURE_CONFIG_DIR="$home/az" AZURE_CORE_COLLECT_TELEMETRY=no AZURE_CORE_NO_COLOR=1
export AZURE_CORE_DISPLAY_REGION_IDENTIFIED=no AZURE_CORE_ONLY_SHOW_ERRORS=yes
export HTTPS_PROXY NO_PROXY=127.0.0.1 REQUESTS_CA_BUNDLE
HTTPS_PROXY=$(fact proxy) REQUESTS_CA_BUNDLE=$(fact ca)
mkdir "$home/.ssh"
ssh-keygen -q -t rsa -b 2048 -N '' -f "$home/.ssh/id_rsa"

done=0
says() { # says WANTED COMMAND…: its output, one line, matches
    local wanted=$1 said
    shift
    said=$("$az" "$@" 2>&1 | tr -s '\n\t ' ' ') || { echo "az $*: $said" >&2 && exit 1; }
    [[ $said =~ ^$wanted\ ?$ ]] || { echo "az $*: said '$said', not '$wanted'" >&2 && exit 1; }
    done=$((done + 1))
}
refuses() { # refuses PATTERN COMMAND…
    local pattern=$1 said
    shift
    if said=$("$az" "$@" 2>&1); then echo "az $*: is not refused" >&2 && exit 1; fi
    [[ $said =~ $pattern ]] || { echo "az $*: said '$said', not '$pattern'" >&2 && exit 1; }
    done=$((done + 1))
}
runs() { says '.*' "$@"; }

location=$(fact locations | cut -d' ' -f1)
size=Standard_DS1_v2 image=Canonical:0001-com-ubuntu-server-jammy:22_04-lts:latest sku=Standard
if [ "$profile" != latest ]; then
    sku=Basic
    suffix=$(fact endpoint | cut -d. -f2-)
    runs cloud register -n Stamp --profile "$profile" --endpoint-resource-manager "$(fact endpoint)" \
        --endpoint-active-directory "$(fact login)" --endpoint-active-directory-resource-id "$(fact audience)" \
        --endpoint-active-directory-graph-resource-id "https://graph.$suffix/" --suffix-storage-endpoint "$suffix"
    runs cloud set -n Stamp
fi
prefix=--address-prefixes
[ "$profile" != 2019-03-01-hybrid ] || prefix=--address-prefix
id=$(fact 'client id') secret=$(fact 'client secret') tenant=$(fact tenant)
refuses 'AADSTS7000215|MSIS9622' login --service-principal -u "$id" -p wrong --tenant "$tenant"
runs login --service-principal -u "$id" -p "$secret" --tenant "$tenant"
says "$(fact subscription)" account show --query id -o tsv
says Registered provider show -n Microsoft.Compute --query registrationState -o tsv
runs group create -n g1 -l "$location" --tags a=b
says 'g1 b' group list --tag a=b --query '[].[name,tags.a]' -o tsv

# What is on offer.
says Canonical vm image list-publishers -l "$location" --query "[?name=='Canonical'].name" -o tsv
says 22_04-lts vm image list-skus -l "$location" -p Canonical -f 0001-com-ubuntu-server-jammy --query "[?name=='22_04-lts'].name" -o tsv
says Linux vm image show -l "$location" --urn "$image" --query osDiskImage.operatingSystem -o tsv
says 1 vm list-sizes -l "$location" --query "[?name=='$size'] | [0].numberOfCores" -o tsv
says '[0-9]+' vm list-usage -l "$location" --query "[?name.value=='cores'] | [0].limit" -o tsv

# A machine, by the template that az sends; its life.
runs vm create -g g1 -n v1 --image "$image" --size "$size" --admin-username u --generate-ssh-keys --public-ip-sku "$sku" \
    --public-ip-address-allocation static --tags x=y --custom-data '#cloud-config'
says 'VM running [0-9.]+' vm show -d -g g1 -n v1 --query '[powerState,publicIps]' -o tsv
says 'v1 VM running' vm list -d -g g1 --query '[].[name,powerState]' -o tsv
says '[0-9.]+' vm list-ip-addresses -g g1 --query '[].virtualMachine.network.publicIpAddresses[].ipAddress' -o tsv
says 'default-allow-ssh open-port-2376' vm open-port -g g1 -n v1 --port 2376 --query 'sort(securityRules[].name)' -o tsv
state() { says "$1" vm get-instance-view -g g1 -n v1 --query 'instanceView.statuses[1].code' -o tsv; }
runs vm stop -g g1 -n v1
state PowerState/stopped
runs vm start -g g1 -n v1
runs vm restart -g g1 -n v1
state PowerState/running
runs vm deallocate -g g1 -n v1
state PowerState/deallocated
says Standard_DS2_v2 vm resize -g g1 -n v1 --size Standard_DS2_v2 --query hardwareProfile.vmSize -o tsv
runs vm start -g g1 -n v1
says 'y 2' vm update -g g1 -n v1 --set 'tags.z="2"' --query '[tags.x,tags.z]' -o tsv
runs disk create -g g1 -n d1 --size-gb 10 --sku Standard_LRS
runs vm disk attach -g g1 --vm-name v1 --name d1
refuses 'attached to VM' disk delete -g g1 -n d1 -y
runs vm disk detach -g g1 --vm-name v1 --name d1
runs disk delete -g g1 -n d1 -y

# Networks by themselves.
says s1 network vnet create -g g1 -n n9 --address-prefix 10.9.0.0/16 --subnet-name s1 --subnet-prefix 10.9.1.0/24 --query 'newVNet.subnets[].name' -o tsv
says s2 network vnet subnet create -g g1 --vnet-name n9 -n s2 "$prefix" 10.9.2.0/24 --query name -o tsv
says nic9 network nic create -g g1 -n nic9 --vnet-name n9 --subnet s2 --query NewNIC.name -o tsv
refuses 'InUseSubnetCannotBeDeleted|is in use' network vnet subnet delete -g g1 --vnet-name n9 -n s2
runs network nic delete -g g1 -n nic9
runs network vnet subnet delete -g g1 --vnet-name n9 -n s2
says r1 network nsg rule create -g g1 --nsg-name v1NSG -n r1 --priority 200 --destination-port-ranges 80 --query name -o tsv
says 201 network nsg rule update -g g1 --nsg-name v1NSG -n r1 --priority 201 --query priority -o tsv
runs network nsg rule delete -g g1 --nsg-name v1NSG -n r1

# A template of the person's own.
cat >"$home/t.json" <<'T'
{"$schema": "https://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0",
 "parameters": {"count": {"type": "int", "defaultValue": 1}},
 "variables": {"front": "[concat('set', uniqueString(resourceGroup().id))]"},
 "resources": [{"type": "Microsoft.Compute/availabilitySets", "apiVersion": "2017-03-30", "location": "[resourceGroup().location]",
  "name": "[concat(variables('front'), copyIndex())]", "copy": {"name": "sets", "count": "[parameters('count')]"},
  "sku": {"name": "Aligned"}, "properties": {"platformFaultDomainCount": 2, "platformUpdateDomainCount": 2}}],
 "outputs": {"faults": {"type": "int", "value": "[reference(concat(variables('front'), '1')).platformFaultDomainCount]"}}}
T
version=$("$az" provider show -n Microsoft.Compute --query "resourceTypes[?resourceType=='availabilitySets'] | [0].apiVersions[-1]" -o tsv)
sed -i "s/2017-03-30/$version/" "$home/t.json"
says Succeeded deployment group validate -g g1 -n d --template-file "$home/t.json" --query properties.provisioningState -o tsv
says 2 deployment group create -g g1 -n d --template-file "$home/t.json" --parameters count=2 --query properties.outputs.faults.value -o tsv
says 2 vm availability-set list -g g1 --query 'length(@)' -o tsv
says 3 deployment operation group list -g g1 -n d --query 'length(@)' -o tsv
runs deployment group delete -g g1 -n d
refuses 'platformFaultDomains|NoRegisteredProviderFound|InvalidTemplate' deployment group create -g g1 -n d \
    --template-file <(sed 's/platformFaultDomainCount": 2/platformFaultDomains": 2/' "$home/t.json")

# What goes wrong.
refuses 'NOPE' vm create -g g1 -n bad --image "$image" --size Standard_NOPE --admin-username u --generate-ssh-keys --public-ip-sku "$sku"
refuses 'not found|could not be found' vm show -g g1 -n none
refuses 'could not be found' vm list -g none

runs vm delete -g g1 -n v1 -y
runs group delete -n g1 -y
says 0 group list --query 'length(@)' -o tsv
echo "$("$az" version --query '"azure-cli"' -o tsv): $done commands as in the real cloud"
