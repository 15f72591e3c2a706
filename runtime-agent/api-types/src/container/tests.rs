//! What clients send is read, and what they read has dockerd's shape.

use serde_json::{Value, json};

use super::*;

/// What the docker CLI 28.2 sends for `docker run -it --rm -p 8080:80 -v /a:/b busybox sh`, shortened nowhere.
const CLI_CREATE: &str = r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":true,"AttachStdout":true,
"AttachStderr":true,"ExposedPorts":{"80/tcp":{}},"Tty":true,"OpenStdin":true,"StdinOnce":true,"Env":null,
"Cmd":["sh"],"Image":"busybox","Volumes":{},"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{},
"HostConfig":{"Binds":["/a:/b"],"ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},"NetworkMode":"default",
"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]},"RestartPolicy":{"Name":"no","MaximumRetryCount":0},
"AutoRemove":true,"VolumeDriver":"","VolumesFrom":null,"ConsoleSize":[40,120],"CapAdd":null,"CapDrop":null,
"CgroupnsMode":"","Dns":null,"DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,"GroupAdd":null,"IpcMode":"",
"Cgroup":"","Links":null,"OomScoreAdj":0,"PidMode":"","Privileged":false,"PublishAllPorts":false,
"ReadonlyRootfs":false,"SecurityOpt":null,"UTSMode":"","UsernsMode":"","ShmSize":0,"Isolation":"","CpuShares":0,
"Memory":0,"NanoCpus":0,"CgroupParent":"","BlkioWeight":0,"BlkioWeightDevice":[],"BlkioDeviceReadBps":[],
"BlkioDeviceWriteBps":[],"BlkioDeviceReadIOps":[],"BlkioDeviceWriteIOps":[],"CpuPeriod":0,"CpuQuota":0,
"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"","Devices":[],
"DeviceCgroupRules":null,"DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,"MemorySwappiness":-1,
"OomKillDisable":false,"PidsLimit":0,"Ulimits":[],"CpuCount":0,"CpuPercent":0,"IOMaximumIOps":0,
"IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null},
"NetworkingConfig":{"EndpointsConfig":{"default":{"IPAMConfig":null,"Links":null,"Aliases":null,"MacAddress":"",
"DriverOpts":null,"GwPriority":0,"NetworkID":"","EndpointID":"","Gateway":"","IPAddress":"","IPPrefixLen":0,
"IPv6Gateway":"","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"DNSNames":null}}}}"#;

/// The host's part as dockerd answers it for a container that asked for nothing.
const PLAIN_HOST: &str = r#"{"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},"NetworkMode":"",
        "PortBindings":{},"RestartPolicy":{"Name":"","MaximumRetryCount":0},"AutoRemove":false,"VolumeDriver":"",
        "VolumesFrom":null,"ConsoleSize":[0,0],"CapAdd":null,"CapDrop":null,"CgroupnsMode":"","Dns":[],
        "DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,"GroupAdd":null,"IpcMode":"","Cgroup":"","Links":null,
        "OomScoreAdj":0,"PidMode":"","Privileged":false,"PublishAllPorts":false,"ReadonlyRootfs":false,
        "SecurityOpt":null,"UTSMode":"","UsernsMode":"","ShmSize":0,"Runtime":"","Isolation":"","CpuShares":0,
        "Memory":0,"NanoCpus":0,"CgroupParent":"","BlkioWeight":0,"BlkioWeightDevice":[],"BlkioDeviceReadBps":[],
        "BlkioDeviceWriteBps":[],"BlkioDeviceReadIOps":[],"BlkioDeviceWriteIOps":[],"CpuPeriod":0,"CpuQuota":0,
        "CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"","Devices":[],
        "DeviceCgroupRules":null,"DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,
        "MemorySwappiness":null,"OomKillDisable":null,"PidsLimit":null,"Ulimits":[],"CpuCount":0,"CpuPercent":0,
        "IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null}"#;

#[test]
fn what_the_docker_cli_sends_is_read() {
    let request: CreateRequest = serde_json::from_str(CLI_CREATE).unwrap();
    assert!(request.config.tty && request.config.stdin_once && request.host_config.auto_remove);
    assert_eq!(request.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
    assert_eq!(request.host_config.port_bindings["80/tcp"].as_ref().unwrap()[0].host_port, "8080");
    assert_eq!(request.host_config.console_size, [40, 120]);
    assert!(request.networking_config.endpoints_config["default"].is_some());
}

#[test]
fn an_empty_or_null_body_is_all_zero_values() {
    let nulls =
        r#"{"HostConfig":null,"NetworkingConfig":null,"Labels":null,"Cmd":"echo hi","Env":null,"Tty":null}"#;
    let request: CreateRequest = serde_json::from_str(nulls).unwrap();
    assert_eq!(request.config.cmd, Some(vec!["echo hi".to_owned()]), "one string is one word");
    assert_eq!(serde_json::from_str::<CreateRequest>("{}").unwrap(), CreateRequest::default());
}

#[test]
fn the_hosts_part_has_dockerds_zero_values() {
    assert_eq!(
        serde_json::to_value(HostConfig::default()).unwrap(),
        serde_json::from_str::<Value>(PLAIN_HOST).unwrap()
    );
}

#[test]
fn the_hosts_part_survives_a_round_trip() {
    let request: CreateRequest = serde_json::from_str(CLI_CREATE).unwrap();
    let again: HostConfig =
        serde_json::from_value(serde_json::to_value(&request.host_config).unwrap()).unwrap();
    assert_eq!(again, request.host_config);
}

#[test]
fn the_configuration_has_dockerds_zero_values() {
    let expected = json!({"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,
        "AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"",
        "Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{}});
    assert_eq!(serde_json::to_value(ContainerConfig::default()).unwrap(), expected);
}

#[test]
fn a_state_that_never_ran_is_dated_year_one() {
    let expected = json!({"Status":"created","Running":false,"Paused":false,"Restarting":false,"OOMKilled":false,
        "Dead":false,"Pid":0,"ExitCode":0,"Error":"","StartedAt":"0001-01-01T00:00:00Z",
        "FinishedAt":"0001-01-01T00:00:00Z"});
    assert_eq!(serde_json::to_value(ContainerState::default()).unwrap(), expected);
}

#[test]
fn inspect_has_every_field_that_clients_look_for() {
    let json = serde_json::to_value(ContainerInspect::default()).unwrap();
    assert_eq!(json["ExecIDs"], Value::Null);
    assert_eq!((&json["Mounts"], &json["Args"]), (&json!([]), &json!([])));
    let network = json["NetworkSettings"].as_object().unwrap();
    for key in
        ["SandboxID", "IPAddress", "IPPrefixLen", "Ports", "Networks", "GlobalIPv6Address", "MacAddress"]
    {
        assert!(network.contains_key(key), "{key} is missing");
    }
    assert!(json.get("SizeRw").is_none(), "sizes only when asked for");
}

#[test]
fn a_port_that_is_not_published_has_no_address() {
    let port = PortSummary { private_port: 80, kind: "tcp".into(), ..PortSummary::default() };
    assert_eq!(serde_json::to_value(port).unwrap(), json!({"PrivatePort": 80, "Type": "tcp"}));
}

#[test]
fn a_row_of_a_list_has_dockerds_zero_values() {
    let expected = json!({"Id":"","Names":[],"Image":"","ImageID":"","Command":"","Created":0,"Ports":[],"Labels":{},
        "State":"","Status":"","HostConfig":{},"NetworkSettings":{"Networks":{}},"Mounts":[]});
    assert_eq!(serde_json::to_value(ContainerSummary::default()).unwrap(), expected);
}
