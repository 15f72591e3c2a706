//! The system inside: its user, keys and custom data.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::error::{ArmError, parameter};
use crate::resource::Put;

/// Names that no first user may have.
const FORBIDDEN: &[&str] = &[
    "administrator",
    "admin",
    "user",
    "user1",
    "test",
    "user2",
    "test1",
    "user3",
    "admin1",
    "1",
    "123",
    "a",
    "actuser",
    "adm",
    "admin2",
    "aspnet",
    "backup",
    "console",
    "david",
    "guest",
    "john",
    "owner",
    "root",
    "server",
    "sql",
    "support",
    "support_388945a0",
    "sys",
    "test2",
    "test3",
    "user4",
    "user5",
];
/// The most that custom data may be, encoded.
const MOST: usize = 87_380;

/// Checks what the first boot is given.
pub(super) fn admit(put: &Put<'_>) -> Result<(), ArmError> {
    let Some(profile) = put.at("osProfile") else {
        let attach =
            put.text("storageProfile/osDisk/createOption").is_some_and(|o| o.eq_ignore_ascii_case("Attach"));
        let missing = parameter("osProfile", "Required parameter 'osProfile' is missing (null).");
        return if attach { Ok(()) } else { Err(missing) };
    };
    let text = |field: &str| profile[field].as_str();
    let Some(name) = text("computerName") else {
        return Err(parameter(
            "osProfile.computerName",
            "Required parameter 'osProfile.computerName' is missing (null).",
        ));
    };
    if name.len() > 64 || name.contains(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.')) {
        return Err(parameter(
            "computerName",
            "Linux host name cannot exceed 64 characters in length or contain the following characters: ` ~ ! @ # $ % ^ & * ( ) = + _ [ ] { } \\ | ; : ' \" , < > / ?.",
        ));
    }
    let Some(user) = text("adminUsername") else {
        return Err(parameter(
            "osProfile.adminUsername",
            "Required parameter 'osProfile.adminUsername' is missing (null).",
        ));
    };
    if FORBIDDEN.contains(&user.to_ascii_lowercase().as_str()) {
        return Err(parameter("adminUsername", "The Admin Username specified is not allowed."));
    }
    for (field, value) in [("customData", text("customData")), ("userData", put.text("userData"))] {
        if let Some(value) = value {
            data(field, value)?;
        }
    }
    sign_in(put, profile, user)
}

fn data(field: &str, value: &str) -> Result<(), ArmError> {
    if value.len() <= MOST && STANDARD.decode(value).is_ok() {
        return Ok(());
    }
    let what = if field == "customData" { "Custom data in OSProfile" } else { "User data" };
    Err(parameter(
        field,
        format!("{what} must be in Base64 encoding and with a maximum length of {MOST} characters."),
    ))
}

fn sign_in(put: &Put<'_>, profile: &Value, user: &str) -> Result<(), ArmError> {
    let linux = &profile["linuxConfiguration"];
    let keys: Vec<_> = linux["ssh"]["publicKeys"].as_array().into_iter().flatten().collect();
    let no_password = linux["disablePasswordAuthentication"] == true;
    if no_password && profile["adminPassword"].is_string() {
        return Err(parameter(
            "adminPassword",
            "The property 'adminPassword' cannot be used together with property 'linuxConfiguration.disablePasswordAuthentication'.",
        ));
    }
    if keys.is_empty() && profile["adminPassword"].is_null() {
        return Err(parameter(
            "linuxConfiguration",
            "Authentication using either SSH or by user name and password must be enabled in Linux profile.",
        ));
    }
    let home = format!("/home/{user}/.ssh/authorized_keys");
    for key in keys {
        if key["path"].as_str() != Some(&home) {
            return Err(parameter(
                "linuxConfiguration.ssh.publicKeys.path",
                format!(
                    "Destination path for SSH public keys is currently limited to its default value {home} due to a known issue in Linux provisioning agent."
                ),
            ));
        }
        public_key(key["keyData"].as_str().unwrap_or_default(), put.cloud.flavour().is_hub())?;
    }
    Ok(())
}

/// RSA of 2048 bits or more, and ed25519 where the service is new enough.
fn public_key(key: &str, rsa_only: bool) -> Result<(), ArmError> {
    let mut parts = key.split_whitespace();
    let (kind, blob) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let blob = STANDARD.decode(blob).unwrap_or_default();
    let named = blob.get(4..4 + kind.len()).is_some_and(|name| name == kind.as_bytes());
    let fits = match kind {
        "ssh-rsa" => named && blob.len() >= 270,
        "ssh-ed25519" => named && blob.len() == 51 && !rsa_only,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(parameter(
        "linuxConfiguration.ssh.publicKeys.keyData",
        "The value of parameter linuxConfiguration.ssh.publicKeys.keyData is invalid.",
    ))
}
