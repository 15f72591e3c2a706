//! What the driver is, and everything that a person may set for it: data, which builds without the SDK have, too, so that
//! whatever describes the driver needs no SDK.

use std::time::Duration;

use wharf_driver::{About, Capabilities, Setting, Settles, StillPaid, Takes};

/// A cloud finishes requests whose sender is gone, and its answers lag.
const VISIBLE_AFTER: Duration = Duration::from_secs(30);

/// The driver's name, and what it can do.
pub const ABOUT: About = About {
    name: "aws",
    aliases: &["amazonec2"],
    summary: "a virtual machine in AWS (EC2)",
    capabilities: Capabilities {
        power: true,
        adopts: false,
        provisions: true,
        takes_host_key: true,
        console: true,
        address_changes: true,
        still_paid: StillPaid {
            stopped: "its disk and an address of its own are still paid for: `wharf rm` ends that",
            killed: "its disk and an address of its own are still paid for: `wharf rm` ends that",
            over: "when its time is over it ends itself; an address of its own is paid for until `wharf gc --yes`",
        },
    },
    version: 1,
    settles: Settles::After(VISIBLE_AFTER),
};

/// The setting that is the address of a place.
pub const PLACE: &str = "aws-endpoint-url";

const fn setting(
    flag: &'static str,
    aliases: &'static [&'static str],
    env: &'static [&'static str],
    help: &'static str,
    takes: Takes,
) -> Setting {
    Setting { flag, aliases, env, help, takes, default: None, at_terminal: None }
}

const fn usual(setting: Setting, default: &'static str) -> Setting {
    Setting { default: Some(default), ..setting }
}

const fn with_person(setting: Setting, default: &'static str) -> Setting {
    Setting { at_terminal: Some(default), ..setting }
}

use Takes::{List, Path, Personal, Secret, Switch, Text};

/// Everything that a person may set, in the order that `--help` shows it.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("aws-endpoint-url", &["amazonec2-endpoint"], &["AWS_ENDPOINT_URL", "AWS_ENDPOINT"], "where every service answers; the region's own places without it", Text("URL")),
    setting("aws-region", &["amazonec2-region"], &["AWS_REGION", "AWS_DEFAULT_REGION"], "region, such as eu-central-1; the profile's without it, else us-east-1", Text("NAME")),
    setting("aws-profile", &[], &["WHARF_AWS_PROFILE"], "profile of the AWS configuration to sign in with; AWS_PROFILE without it", Personal("NAME")),
    setting("aws-access-key", &["amazonec2-access-key"], &["AWS_ACCESS_KEY_ID"], "access key that signs in", Personal("ID")),
    setting("aws-secret-key", &["amazonec2-secret-key"], &["AWS_SECRET_ACCESS_KEY"], "its secret; better in the environment than here", Secret("SECRET")),
    setting("aws-session-token", &["amazonec2-session-token"], &["AWS_SESSION_TOKEN"], "its session; better in the environment than here", Secret("TOKEN")),
    usual(setting("aws-ami", &["amazonec2-ami"], &["AWS_AMI"], "image: ami-ID, ubuntu, debian, amazon-linux, resolve:ssm:PARAMETER, or OWNER/NAME with * for the newest", Text("IMAGE")), "ubuntu"),
    setting("aws-instance-type", &["amazonec2-instance-type"], &["AWS_INSTANCE_TYPE"], "instance type; several in order of preference", List("NAME")),
    setting("aws-vpc-id", &["amazonec2-vpc-id"], &["AWS_VPC_ID"], "VPC that is there; the default one without it", Text("ID")),
    setting("aws-subnet-id", &["amazonec2-subnet-id"], &["AWS_SUBNET_ID"], "subnet that is there", Text("ID")),
    setting("aws-zone", &["amazonec2-zone"], &["AWS_ZONE"], "availability zone, by its letter or name; any that has room without it", Text("ZONE")),
    setting("aws-security-group", &["amazonec2-security-group"], &["AWS_SECURITY_GROUP"], "security group that is there and stays as it is, by id or name", List("GROUP")),
    setting("aws-security-group-readonly", &["amazonec2-security-group-readonly"], &["AWS_SECURITY_GROUP_READONLY"], "for docker-machine's users: groups that are there always stay as they are", Switch),
    with_person(usual(setting("aws-allow-from", &[], &["AWS_ALLOW_FROM"], "who may reach SSH and the engine: a network, me (wherever I am now), or any", List("CIDR")), "any"), "me"),
    setting("aws-open-port", &["amazonec2-open-port"], &["AWS_OPEN_PORT"], "a port that everybody may reach", List("PORT[/udp]")),
    setting("aws-private-address-only", &["amazonec2-private-address-only"], &["AWS_PRIVATE_ADDRESS_ONLY"], "give the machine no public address", Switch),
    setting("aws-use-private-address", &["amazonec2-use-private-address"], &["AWS_USE_PRIVATE_ADDRESS"], "reach it by its private address", Switch),
    setting("aws-elastic-address", &[], &["AWS_ELASTIC_ADDRESS"], "give it a public address of its own, which stays when it is stopped", Switch),
    setting("aws-ipv6-address-count", &["amazonec2-ipv6-address-count"], &["AWS_IPV6_ADDRESS_COUNT"], "how many IPv6 addresses it has", Text("NUMBER")),
    setting("aws-ipv6-address-only", &["amazonec2-ipv6-address-only"], &["AWS_IPV6_ADDRESS_ONLY"], "reach it by IPv6, and give it no public IPv4 address", Switch),
    setting("aws-enable-primary-ipv6", &["amazonec2-enable-primary-ipv6"], &["AWS_ENABLE_PRIMARY_IPV6"], "keep its first IPv6 address for ever", Switch),
    setting("aws-root-size", &["amazonec2-root-size"], &["AWS_ROOT_SIZE"], "size of the system disk, in GiB; 16, or the image's where that is more", Text("GIB")),
    usual(setting("aws-volume-type", &["amazonec2-volume-type"], &["AWS_VOLUME_TYPE"], "kind of the system disk", Text("KIND")), "gp3"),
    setting("aws-volume-iops", &[], &["AWS_VOLUME_IOPS"], "operations a second of the system disk", Text("NUMBER")),
    setting("aws-encrypt-ebs-volume", &["amazonec2-encrypt-ebs-volume", "amazonec2-volume-encrypted"], &[], "for docker-machine's users: the system disk is always encrypted", Switch),
    setting("aws-no-encryption", &[], &["AWS_NO_ENCRYPTION"], "leave the system disk unencrypted", Switch),
    setting("aws-kms-key", &["amazonec2-kms-key", "amazonec2-volume-kms-key"], &["AWS_KMS_KEY"], "key that it is encrypted with; the account's own without it", Text("KEY")),
    setting("aws-device-name", &["amazonec2-device-name"], &["AWS_DEVICE_NAME"], "device of the system disk; the image's without it", Text("DEVICE")),
    setting("aws-spot", &["amazonec2-request-spot-instance"], &["AWS_SPOT"], "take spare capacity, which may be taken away", Switch),
    setting("aws-spot-price", &["amazonec2-spot-price"], &["AWS_SPOT_PRICE"], "the most that is paid for it, in dollars an hour", Text("PRICE")),
    setting("aws-iam-instance-profile", &["amazonec2-iam-instance-profile"], &["AWS_INSTANCE_PROFILE"], "IAM instance profile, by name or ARN", Text("NAME")),
    setting("aws-keypair-name", &["amazonec2-keypair-name"], &["AWS_KEYPAIR_NAME"], "key pair that may sign in beside the key that wharf makes", Text("NAME")),
    setting("aws-placement-group", &[], &["AWS_PLACEMENT_GROUP"], "placement group that is there", Text("NAME")),
    setting("aws-tenancy", &[], &["AWS_TENANCY"], "default, dedicated or host", Text("HOW")),
    setting("aws-monitoring", &["amazonec2-monitoring"], &["AWS_MONITORING"], "watch it every minute", Switch),
    setting("aws-use-ebs-optimized-instance", &["amazonec2-use-ebs-optimized-instance"], &["AWS_EBS_OPTIMIZED"], "give it a way to its volumes of its own", Switch),
    usual(setting("aws-http-endpoint", &["amazonec2-http-endpoint"], &["AWS_HTTP_ENDPOINT"], "its metadata: enabled or disabled", Text("HOW")), "enabled"),
    usual(setting("aws-http-tokens", &["amazonec2-http-tokens", "amazonec2-metadata-token"], &["AWS_HTTP_TOKENS"], "who is answered there: required (only in a session) or optional", Text("HOW")), "required"),
    usual(setting("aws-metadata-hop-limit", &["amazonec2-metadata-token-response-hop-limit"], &["AWS_METADATA_HOP_LIMIT"], "how far the answers travel: 2 reaches containers", Text("NUMBER")), "1"),
    usual(setting("aws-http-protocol-ipv6", &["amazonec2-http-protocol-ipv6"], &["AWS_HTTP_PROTOCOL_IPV6"], "whether it answers by IPv6 too: enabled or disabled", Text("HOW")), "disabled"),
    setting("aws-user-data", &["amazonec2-userdata"], &["AWS_USERDATA"], "file that cloud-init reads beside what wharf gives it", Path("FILE")),
    setting("aws-tag", &["amazonec2-tags"], &["AWS_TAGS"], "tag of everything made", List("KEY=VALUE")),
    setting("aws-ssh-user", &["amazonec2-ssh-user"], &["AWS_SSH_USER"], "who signs in over SSH", Text("NAME")),
    usual(setting("aws-ssh-port", &["amazonec2-ssh-port"], &["AWS_SSH_PORT"], "port of the image's SSH server", Text("PORT")), "22"),
    setting("aws-ssh-jump", &[], &["AWS_SSH_JUMP"], "host to go through to a machine without a public address", List("[USER@]HOST[:PORT]")),
    setting("aws-ssh-keypath", &["amazonec2-ssh-keypath"], &[], "for docker-machine's users: every machine has a key of its own", Text("FILE")),
    setting("aws-retries", &["amazonec2-retries"], &[], "for docker-machine's users: calls are repeated until --timeout", Text("NUMBER")),
    setting("aws-insecure-transport", &["amazonec2-insecure-transport"], &[], "for docker-machine's users: an endpoint may begin with http://", Switch),
    setting("aws-block-duration-minutes", &["amazonec2-block-duration-minutes"], &[], "for docker-machine's users: AWS has no spot blocks any more", Text("NUMBER")),
];
