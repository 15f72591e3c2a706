//! What a machine is born with, as cloud-init reads it, and strictly: what is not known here is refused by name, so that
//! a driver cannot send what nothing reads. Parts of a MIME message are joined as `list(append)+dict(recurse_array)`.

mod config;
mod message;
mod script;

use std::fmt;

pub use config::{CloudConfig, Entry, File, Keys, User};

use crate::body::Birth;

/// Everything that a first boot does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserData {
    /// The cloud-config parts, joined.
    pub config: CloudConfig,
    /// The scripts, in order.
    pub scripts: Vec<String>,
}

/// Why user data is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl UserData {
    /// Reads user data: one part, or a MIME message of several.
    pub fn parse(data: &[u8]) -> Result<Self, Refused> {
        let text =
            std::str::from_utf8(data).map_err(|error| Refused(format!("user data is no text: {error}")))?;
        let mut user_data = Self::default();
        for part in message::parts(text)? {
            user_data.add(&part)?;
        }
        Ok(user_data)
    }

    fn add(&mut self, part: &message::Part) -> Result<(), Refused> {
        match part.kind.as_str() {
            "text/cloud-config" => self.config.join(CloudConfig::parse(&part.text)?),
            "text/x-shellscript" => {
                if !part.text.starts_with("#!") {
                    return Err(Refused("a script begins with `#!`".to_owned()));
                }
                self.scripts.push(part.text.clone());
            }
            other => return Err(Refused(format!("nothing reads a part of type `{other}`"))),
        }
        Ok(())
    }

    /// What a machine does at its first boot: its user data, where the image reads any, and the user whom the cloud was
    /// told of, where the user data does not name others instead.
    pub fn of(birth: &Birth) -> Result<Self, Refused> {
        let data = birth.custom_data.as_ref().or(birth.user_data.as_ref()).filter(|_| birth.cloud_init);
        let mut user_data = data.map_or_else(|| Ok(Self::default()), |data| Self::parse(data))?;
        let config = &mut user_data.config;
        if config.hostname.is_none() {
            config.hostname = Some(birth.host_name.clone());
        }
        let told = Entry::User(User {
            name: birth.user.clone(),
            shell: Some("/bin/bash".to_owned()),
            lock_passwd: Some(true),
            sudo: Some("ALL=(ALL) NOPASSWD:ALL".to_owned()),
            groups: None,
            ssh_authorized_keys: birth.keys.clone(),
        });
        match config.users.iter().position(|entry| *entry == Entry::Default) {
            Some(at) => config.users[at] = told,
            None if config.users.is_empty() => config.users.push(told),
            None => {}
        }
        Ok(user_data)
    }

    /// A shell script that does it all, as root, once.
    pub fn first_boot(&self) -> String {
        script::first_boot(self)
    }
}

#[cfg(test)]
mod tests;
