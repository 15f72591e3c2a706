//! Machines: what is checked before one is accepted, and what becomes of it.

use serde_json::{Value, json};
use wharf_sim::{Effect, Fault, Flavour};

use crate::harness::{Client, client, code, config, message, rsa_key};

fn with(client: &Client, path: &str, value: Value) -> Value {
    let mut vm = client.vm("nic");
    let (parent, field) = path.rsplit_once('/').expect("a path");
    vm.pointer_mut(parent).expect("a parent")[field] = value;
    vm
}

/// The code with which a machine is refused that has this at that place.
fn refusal(client: &Client, path: &str, value: Value) -> String {
    let answer = client.put(&client.id("virtualMachines", "vm"), &with(client, path, value));
    assert!(answer.status >= 400, "{path} was accepted: {answer:#?}");
    assert_eq!(client.get(&client.id("virtualMachines", "vm")).status, 404, "a refused machine is not there");
    code(&answer).to_owned()
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_made() {
    // So many writes of one machine in no time are more than its bucket holds.
    let mut settings = config(Flavour::Public);
    settings.throttled = false;
    let client = Client::new(settings);
    client.make_network();
    let image = "/properties/storageProfile/imageReference";
    let os = "/properties/osProfile";
    for (path, value, wanted) in [
        ("/properties/hardwareProfile/vmSize".to_owned(), json!("Standard_Huge"), "InvalidParameter"),
        (format!("{image}/sku"), json!("none"), "PlatformImageNotFound"),
        (format!("{image}/version"), json!("1.2.3"), "PlatformImageNotFound"),
        (format!("{os}/adminUsername"), json!("root"), "InvalidParameter"),
        (format!("{os}/customData"), json!("not base64!"), "InvalidParameter"),
        (format!("{os}/customData"), json!("QUFB".repeat(30_000)), "InvalidParameter"),
        (
            format!("{os}/linuxConfiguration/ssh/publicKeys/0/path"),
            json!("/home/somebody-else/.ssh/authorized_keys"),
            "InvalidParameter",
        ),
        (
            format!("{os}/linuxConfiguration/ssh/publicKeys/0/keyData"),
            json!("ssh-rsa AAAA"),
            "InvalidParameter",
        ),
        (format!("{os}/linuxConfiguration/ssh"), json!({"publicKeys": []}), "InvalidParameter"),
        (
            "/properties/networkProfile/networkInterfaces".to_owned(),
            json!([{"id": client.id("networkInterfaces", "no")}]),
            "InvalidResourceReference",
        ),
        ("/properties/evictionPolicy".to_owned(), json!("Delete"), "OperationNotAllowed"),
        ("/properties/securityProfile".to_owned(), json!({"securityType": "TrustedLaunch"}), "BadRequest"),
        ("/zones".to_owned(), json!(["7"]), "InvalidAvailabilityZone"),
        ("/properties/storageProfile/osDisk/diskSizeGB".to_owned(), json!(4), "OperationNotAllowed"),
    ] {
        assert_eq!(refusal(&client, &path, value.clone()), wanted, "{path} = {value}");
    }
    let two =
        json!({"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"});
    let mut vm = with(&client, image, two);
    vm["properties"]["hardwareProfile"]["vmSize"] = json!("Standard_A1_v2");
    let answer = client.put(&client.id("virtualMachines", "vm"), &vm);
    assert!(message(&answer).contains("cannot boot Hypervisor Generation '2'"), "{answer:#?}");
    vm["properties"]["hardwareProfile"]["vmSize"] = json!("Standard_D2s_v5");
    vm["properties"]["securityProfile"] = json!({"securityType": "TrustedLaunch", "uefiSettings": {"secureBootEnabled": true, "vTpmEnabled": true}});
    assert_eq!(client.put(&client.id("virtualMachines", "vm"), &vm).status, 201);
}

#[test]
fn a_stamp_has_only_what_it_has() {
    let hub = client(Flavour::Hub2020);
    hub.make_network();
    let two =
        json!({"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"});
    assert_eq!(refusal(&hub, "/properties/storageProfile/imageReference", two), "PlatformImageNotFound");
    assert_eq!(refusal(&hub, "/zones", json!(["1"])), "InvalidAvailabilityZone");
    assert_eq!(
        refusal(&hub, "/properties/hardwareProfile/vmSize", json!("Standard_B2s")),
        "InvalidParameter"
    );
    let ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJJ a";
    let key = "/properties/osProfile/linuxConfiguration/ssh/publicKeys/0/keyData";
    assert_eq!(refusal(&hub, key, json!(ed25519)), "InvalidParameter");
    let mut bare = config(Flavour::Hub2020);
    bare.without_images = true;
    let bare = Client::new(bare);
    bare.make_network();
    assert_eq!(refusal(&bare, "/tags", json!({})), "PlatformImageNotFound");
}

#[test]
fn a_machine_is_created_runs_and_goes() {
    for flavour in Flavour::all() {
        let client = client(flavour);
        client.make_network();
        let id = client.id("virtualMachines", "vm");
        let answer = client.put(&id, &client.vm("nic"));
        assert_eq!(answer.status, 201);
        assert_eq!(answer.body.expect("a body")["properties"]["provisioningState"], "Creating");
        client.wait(10);
        assert_eq!(client.get(&id).body.expect("a body")["properties"]["provisioningState"], "Creating");
        client.wait(200);
        let power = || {
            let view = client.get(&format!("{id}/instanceView")).body.expect("a body");
            view["statuses"]
                .as_array()
                .expect("statuses")
                .iter()
                .filter_map(|s| s["code"].as_str())
                .find(|c| c.starts_with("PowerState"))
                .map(str::to_owned)
        };
        assert_eq!(power().as_deref(), Some("PowerState/running"));
        let post = |action: &str| {
            let answer = client.ask("POST", &client.at(&format!("{id}/{action}")), None);
            assert_eq!(answer.status, 202, "{answer:#?}");
            client.wait(120);
        };
        post("powerOff");
        assert_eq!(power().as_deref(), Some("PowerState/stopped"));
        post("deallocate");
        assert_eq!(power().as_deref(), Some("PowerState/deallocated"));
        let nic = client.get(&client.id("networkInterfaces", "nic")).body.expect("a body");
        assert_eq!(nic["properties"]["virtualMachine"]["id"], id.as_str());
        assert_eq!(code(&client.delete(&client.id("networkInterfaces", "nic"))), "NicInUse");
        assert_eq!(code(&client.delete(&client.id("disks", "disk"))), "OperationNotAllowed");
        post("start");
        assert_eq!(power().as_deref(), Some("PowerState/running"));
        assert_eq!(client.delete(&id).status, 202);
        client.wait(100);
        assert_eq!(client.get(&id).status, 404);
        assert_eq!(client.get(&client.id("disks", "disk")).status, 200, "the disk stays behind");
        assert_eq!(client.delete(&client.id("networkInterfaces", "nic")).status, 202);
    }
}

#[test]
fn delete_options_take_along() {
    let client = client(Flavour::Public);
    client.make_network();
    let mut vm = with(&client, "/properties/storageProfile/osDisk/deleteOption", json!("Delete"));
    vm["properties"]["networkProfile"]["networkInterfaces"][0]["properties"] =
        json!({"deleteOption": "Delete"});
    client.make(&client.id("virtualMachines", "vm"), &vm);
    client.delete(&client.id("virtualMachines", "vm"));
    client.wait(100);
    for (kind, name) in [("virtualMachines", "vm"), ("disks", "disk"), ("networkInterfaces", "nic")] {
        assert_eq!(client.get(&client.id(kind, name)).status, 404, "{kind}");
    }
}

#[test]
fn an_interface_of_a_failed_machine_stays_reserved() {
    let client = client(Flavour::Public);
    client.make_network();
    let fails =
        Effect::FailLater { code: "AllocationFailed".to_owned(), message: "Allocation failed.".to_owned() };
    client.cloud.add_fault(Fault::new("PUT", "virtualMachines", fails).times(1));
    let id = client.id("virtualMachines", "vm");
    assert_eq!(client.put(&id, &client.vm("nic")).status, 201);
    client.wait(200);
    let shown = client.get(&format!("{id}?$expand=instanceView")).body.expect("a body");
    assert_eq!(shown["properties"]["provisioningState"], "Failed");
    assert_eq!(
        shown["properties"]["instanceView"]["statuses"][0]["code"],
        "ProvisioningState/failed/AllocationFailed"
    );
    client.delete(&id);
    client.wait(85);
    let nic = client.id("networkInterfaces", "nic");
    let answer = client.delete(&nic);
    assert_eq!((answer.status, code(&answer)), (400, "NicReservedForAnotherVm"));
    assert_eq!(
        code(&client.put(&client.id("virtualMachines", "other"), &client.vm("nic"))),
        "ConflictingUserInput",
        "the disk is still there"
    );
    client.wait(180);
    assert_eq!(client.delete(&nic).status, 202);
}

#[test]
fn quotas_run_out_in_the_real_words() {
    for flavour in [Flavour::Public, Flavour::Hub2020] {
        let mut config = config(flavour);
        config.quotas.cores = 1;
        let client = Client::new(config);
        client.make_network();
        client.make(&client.id("virtualMachines", "vm"), &client.vm("nic"));
        client.make(&client.id("networkInterfaces", "two"), &{
            let mut nic = client.nic("ip");
            nic["properties"]["ipConfigurations"][0]["properties"]
                .as_object_mut()
                .expect("an object")
                .remove("publicIPAddress");
            nic
        });
        let mut vm = client.vm("two");
        vm["properties"]["storageProfile"]["osDisk"]["name"] = json!("disk2");
        let answer = client.put(&client.id("virtualMachines", "two"), &vm);
        assert_eq!((answer.status, code(&answer)), (409, "OperationNotAllowed"));
        assert!(message(&answer).contains("quota"), "{}", message(&answer));
        // A deallocated machine counts no more.
        client.ask("POST", &client.at(&format!("{}/deallocate", client.id("virtualMachines", "vm"))), None);
        client.wait(100);
        client.make(&client.id("virtualMachines", "two"), &vm);
        let start =
            client.ask("POST", &client.at(&format!("{}/start", client.id("virtualMachines", "vm"))), None);
        assert_eq!(code(&start), "OperationNotAllowed");
    }
}

#[test]
fn what_a_machine_is_cannot_be_changed() {
    let client = client(Flavour::Public);
    client.make_network();
    let id = client.id("virtualMachines", "vm");
    client.make(&id, &client.vm("nic"));
    let again = client.put(&id, &client.vm("nic"));
    assert_eq!(again.status, 200, "the same again is an update: {again:#?}");
    client.wait(60);
    let other = with(&client, "/properties/osProfile/customData", json!("b3RoZXI="));
    let answer = client.put(&id, &other);
    assert_eq!((answer.status, code(&answer)), (409, "PropertyChangeNotAllowed"));
    let other = with(
        &client,
        "/properties/osProfile/linuxConfiguration/ssh/publicKeys/0/keyData",
        json!(rsa_key().replace("nobody", "else")),
    );
    assert_eq!(code(&client.put(&id, &other)), "PropertyChangeNotAllowed");
    let tags = client.ask("PATCH", &client.at(&id), Some(&json!({"tags": {"new": "tag"}})));
    assert_eq!(tags.status, 200, "{tags:#?}");
    assert_eq!(client.get(&id).body.expect("a body")["tags"], json!({"new": "tag"}));
}

#[test]
fn an_action_that_a_version_lacks_is_not_there() {
    let client = client(Flavour::Hub2019);
    client.make_network();
    let id = client.id("virtualMachines", "vm");
    client.make(&id, &client.vm("nic"));
    let boot = client.ask("POST", &client.at(&format!("{id}/retrieveBootDiagnosticsData")), None);
    assert_eq!(boot.status, 404);
}

#[test]
fn boot_diagnostics_must_be_on_and_give_a_signed_address() {
    let client = client(Flavour::Public);
    client.make_network();
    let id = client.id("virtualMachines", "vm");
    client.make(&id, &client.vm("nic"));
    let ask = || client.ask("POST", &client.at(&format!("{id}/retrieveBootDiagnosticsData")), None);
    assert!(message(&ask()).contains("Boot diagnostics is not enabled"));
    let on = json!({"properties": {"diagnosticsProfile": {"bootDiagnostics": {"enabled": true}}}});
    assert_eq!(client.ask("PATCH", &client.at(&id), Some(&on)).status, 200);
    client.wait(60);
    let answer = ask().body.expect("a body");
    let address = answer["serialConsoleLogBlobUri"].as_str().expect("an address");
    assert!(address.contains("/serialconsole.log?sig="), "{address}");
}
