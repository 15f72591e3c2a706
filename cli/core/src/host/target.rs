//! Whom to sign in to, with which keys, and what the host must prove.

use std::sync::Arc;

use wharf_driver::{HostKeyTrust, Jump};
use wharf_ssh::{HostKeys, Identity, Target, Unknown};

use super::error::of_ssh;
use crate::bootstrap::Host;
use crate::{Confirm, Error, HostKeyQuestion, Kind, Person, Result};

/// The host as SSH reaches it, every hop on the way verified.
pub(super) fn of(host: &Host, person: &Person) -> Result<Target> {
    let access = &host.reach.access;
    let identities = identities(host, person)?;
    let on_the_way = if access.jumps.is_empty() { Vec::new() } else { identities_on_the_way(host, person)? };
    Ok(Target {
        host: host.reach.ssh_host.clone(),
        port: host.reach.ssh_port,
        user: host.reach.ssh_user.clone(),
        host_keys: host_keys(host, person)?,
        jumps: access.jumps.iter().map(|hop| jump(hop, host, &on_the_way, person)).collect::<Result<_>>()?,
        identities,
        passphrase: None,
    })
}

/// The hosts on the way have never seen the key that a machine was born with: the one that the person named leads there,
/// else the person's own.
fn identities_on_the_way(host: &Host, person: &Person) -> Result<Vec<Identity>> {
    match &host.reach.access.identity {
        Some(file) => Ok(vec![Identity::File(file.clone())]),
        None => own(
            person,
            "the hosts on the way are signed in to with your own keys: start an SSH agent that holds one, or make one with `ssh-keygen`",
        ),
    }
}

/// A host that wharf did not make has never seen the key that wharf did.
pub(super) fn was_there_before(host: &Host) -> bool {
    host.reach.access.host_key != HostKeyTrust::Seeded
}

fn identities(host: &Host, person: &Person) -> Result<Vec<Identity>> {
    if let Some(file) = &host.reach.access.identity {
        return Ok(vec![Identity::File(file.clone())]);
    }
    if !was_there_before(host) {
        return Ok(vec![Identity::Key(host.key.expose().clone())]);
    }
    own(person, "name one with --ssh-key, or start an SSH agent that holds one")
}

/// What the person signs in with everywhere.
fn own(person: &Person, otherwise: &str) -> Result<Vec<Identity>> {
    let agent = person.agent.iter().cloned().map(Identity::Agent);
    let files = person.identities.iter().filter(|file| file.is_file()).cloned().map(Identity::File);
    let all: Vec<Identity> = agent.chain(files).collect();
    if all.is_empty() {
        return Err(Error::new(Kind::Refused, "there is no SSH key to sign in with").hint(otherwise));
    }
    Ok(all)
}

/// What was accepted before is what must be shown again; else the policy of the first connection.
fn host_keys(host: &Host, person: &Person) -> Result<HostKeys> {
    if !host.host_keys.is_empty() {
        return pinned(&host.host_keys);
    }
    Ok(match &host.reach.access.host_key {
        HostKeyTrust::Seeded => {
            return Err(Error::new(Kind::Failed, "nobody knows which host key the machine was born with")
                .hint(format!("`wharf rm {}` removes it", host.name)));
        }
        HostKeyTrust::Fingerprint(text) => HostKeys::Fingerprint(text.parse().map_err(of_ssh)?),
        HostKeyTrust::Known => known(person, ask(host.confirm.as_ref())),
        HostKeyTrust::AcceptNew => known(person, Unknown::Accept),
    })
}

fn pinned(lines: &[String]) -> Result<HostKeys> {
    let keys = lines.iter().map(|line| line.parse()).collect::<std::result::Result<_, _>>();
    Ok(HostKeys::Pinned(keys.map_err(of_ssh)?))
}

fn known(person: &Person, otherwise: Unknown) -> HostKeys {
    HostKeys::KnownHosts { files: person.known_hosts.clone(), otherwise }
}

/// Asks the person who is there; refuses where nobody is.
fn ask(confirm: Option<&Confirm>) -> Unknown {
    let Some(confirm) = confirm.cloned() else { return Unknown::Refuse };
    Unknown::Ask(Arc::new(move |host, key| {
        confirm.ask(&HostKeyQuestion {
            host: host.to_owned(),
            algorithm: key.algorithm(),
            fingerprint: key.fingerprint().to_string(),
        })
    }))
}

/// A fingerprint is the machine's own: the hosts on the way were accepted before, are known, or are asked about.
fn jump(hop: &Jump, host: &Host, identities: &[Identity], person: &Person) -> Result<Target> {
    let accepted = host.jump_keys.iter().find(|jump| jump.host == hop.host && jump.port == hop.port);
    let host_keys = match (accepted, &host.reach.access.host_key) {
        (Some(accepted), _) => pinned(&accepted.keys)?,
        (None, HostKeyTrust::AcceptNew) => known(person, Unknown::Accept),
        (None, _) => known(person, ask(host.confirm.as_ref())),
    };
    Ok(Target {
        host: hop.host.clone(),
        port: hop.port,
        user: hop.user.clone().unwrap_or_else(|| host.reach.ssh_user.clone()),
        identities: identities.to_vec(),
        passphrase: None,
        host_keys,
        jumps: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use wharf_driver::{Access, MachineId, Progress, Reach, Secret};

    use super::*;
    use crate::bootstrap::{Accept, Changes};

    /// A machine that wharf made, behind a jump host.
    fn hidden(identity: Option<&str>) -> Host {
        let jump = Jump { user: Some("ann".into()), host: "door.example".into(), port: 22 };
        Host {
            machine: MachineId::from_bytes([1; 16]),
            name: "web".parse().unwrap(),
            reach: Reach {
                ssh_host: "192.168.0.4".into(),
                ssh_port: 22,
                ssh_user: "wharf".into(),
                engine_host: "192.168.0.4".into(),
                engine_port: 2376,
                url: None,
                access: Access { identity: identity.map(Into::into), jumps: vec![jump], ..Access::default() },
            },
            key: Secret::new("the machine's".into()),
            host_keys: vec![HOST_KEY.into()],
            jump_keys: Vec::new(),
            deadline: Instant::now(),
            cancel: tokio_util::sync::CancellationToken::new(),
            confirm: None,
            progress: Progress::silent(),
            accept: Accept::nothing(),
            changes: Changes::default(),
        }
    }

    fn names(identities: &[Identity]) -> Vec<String> {
        identities.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_hosts_on_the_way_are_shown_the_persons_own_keys() {
        let own = tempfile::NamedTempFile::new().unwrap();
        let person = Person {
            identities: vec![own.path().to_owned(), "/nowhere/key".into()],
            agent: Some("/run/agent".into()),
            ..Person::default()
        };
        let target = of(&hidden(None), &person).unwrap();
        let both = [Identity::Agent("/run/agent".into()), Identity::File(own.path().to_owned())];
        assert_eq!(names(&target.jumps[0].identities), names(&both));
        assert_eq!(names(&target.identities), names(&[Identity::Key("the machine's".into())]));

        let named = of(&hidden(Some("/named/key")), &person).unwrap();
        assert_eq!(names(&named.jumps[0].identities), names(&[Identity::File("/named/key".into())]));
        let error = of(&hidden(None), &Person::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
    }

    const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
}
