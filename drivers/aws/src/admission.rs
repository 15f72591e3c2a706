//! Who of the persons may reach a machine: rules of the machine's own group, each of which says whom it is for. EC2 keeps
//! one rule for a port and a network; where two clients come from the same one, it says both.

use aws_sdk_ec2::types::SecurityGroup;
use wharf_driver::{Admission, Context, Door, Error, Kind, Result};

use crate::client::Connection;
use crate::config::Config;
use crate::group::{self, Rule};
use crate::names;
use crate::resource::Resource;

const EVERYBODY: [&str; 2] = ["0.0.0.0/0", "::/0"];
/// A description has 255 characters, and each client takes thirteen.
const MOST_CLIENTS: usize = 18;

/// What the machine's rules say of this client.
pub(crate) async fn admission(
    connection: &Connection,
    config: &Config,
    made: &[Resource],
    cx: &Context,
) -> Result<Admission> {
    let Some(there) = guarded(connection, config, made).await? else { return Ok(Admission::Unguarded) };
    let engine = engine_port(made);
    let word = client_word(cx.session.client());
    let rules = group::rules(&there);
    let from = |port: u16| {
        rules
            .iter()
            .find(|rule| rule.port == port && rule.words.contains(&word))
            .map(|rule| rule.from.clone())
    };
    Ok(match (from(config.ssh_port), engine.and_then(from)) {
        (None, _) => Admission::Unknown,
        (Some(ssh), Some(engine)) if ssh == engine => Admission::From(plain(&ssh)),
        (Some(ssh), _) if EVERYBODY.contains(&ssh.as_str()) => Admission::Anywhere,
        // Killed between the two.
        (Some(_), _) => Admission::Unknown,
    })
}

/// Makes the rules say it: what opens first, so that nobody is shut out between two calls.
pub(crate) async fn admit(
    connection: &Connection,
    config: &Config,
    made: &[Resource],
    door: Door<'_>,
    cx: &Context,
) -> Result<()> {
    let Some(there) = guarded(connection, config, made).await? else { return Ok(()) };
    let id = there.group_id().unwrap_or_default();
    let word = client_word(cx.session.client());
    let has = group::rules(&there);
    let wanted = wanted(config.ssh_port, engine_port(made), door, &word)?;
    for rule in &wanted {
        match has.iter().find(|one| one.same(rule)) {
            None => group::authorize(connection, id, &[rule]).await?,
            Some(one) if one.words.contains(&word) => {}
            Some(one) => {
                let mut words = one.words.clone();
                words.push(word.clone());
                if words.len() > MOST_CLIENTS {
                    return Err(Error::new(
                        Kind::Quota,
                        "the rule of this network has no room for another client",
                    )
                    .hint(
                        "take back those of clients that need none any more, with `wharf allow --revoke`",
                    ));
                }
                describe(connection, id, &Rule { words, ..one.clone() }).await?;
            }
        }
    }
    for rule in has.iter().filter(|one| one.words.contains(&word)) {
        if wanted.iter().any(|one| one.same(rule)) {
            continue;
        }
        let words: Vec<String> = rule.words.iter().filter(|other| **other != word).cloned().collect();
        if words.is_empty() {
            revoke(connection, id, rule).await?;
        } else {
            describe(connection, id, &Rule { words, ..rule.clone() }).await?;
        }
    }
    Ok(())
}

/// What a rule calls a client: the same at every command, and like no other client.
pub(crate) fn client_word(client: &str) -> String {
    names::digest(client, 12)
}

fn wanted(ssh: u16, engine: Option<u16>, door: Door<'_>, word: &str) -> Result<Vec<Rule>> {
    let rule = |port: u16, from: &str| Rule {
        port,
        udp: false,
        from: from.to_owned(),
        words: vec![word.to_owned()],
    };
    match door {
        Door::Anywhere => Ok(EVERYBODY.map(|from| rule(ssh, from)).to_vec()),
        Door::From(text) => {
            let from = crate::config::network(text)
                .ok_or_else(|| Error::new(Kind::Refused, format!("`{text}` is no address and no network")))?;
            Ok(std::iter::once(ssh).chain(engine).map(|port| rule(port, &from)).collect())
        }
        Door::Shut => Ok(Vec::new()),
    }
}

/// An address as the one who asked spells it.
fn plain(network: &str) -> String {
    let whole = if network.contains(':') { "/128" } else { "/32" };
    network.strip_suffix(whole).unwrap_or(network).to_owned()
}

fn engine_port(made: &[Resource]) -> Option<u16> {
    made.iter().find_map(|one| match one {
        Resource::Instance { engine_port, .. } => Some(*engine_port),
        _ => None,
    })
}

/// The group of a machine that lets single clients in.
async fn guarded(
    connection: &Connection,
    config: &Config,
    made: &[Resource],
) -> Result<Option<SecurityGroup>> {
    let own = made.iter().find_map(|one| match one {
        Resource::Group { id, shared: false, .. } if config.me => Some(id),
        _ => None,
    });
    match own {
        Some(id) => group::by_id(connection, id).await,
        None => Ok(None),
    }
}

async fn describe(connection: &Connection, id: &str, rule: &Rule) -> Result<()> {
    let call = connection.ec2.update_security_group_rule_descriptions_ingress().group_id(id);
    let call = call.ip_permissions(rule.permission());
    connection.call("UpdateSecurityGroupRuleDescriptionsIngress", call.send()).await?;
    Ok(())
}

async fn revoke(connection: &Connection, id: &str, rule: &Rule) -> Result<()> {
    let call = connection.ec2.revoke_security_group_ingress().group_id(id).ip_permissions(rule.bare());
    match connection.call("RevokeSecurityGroupIngress", call.send()).await {
        Ok(_) => Ok(()),
        Err(trouble) if trouble.is("InvalidPermission.NotFound") => Ok(()),
        Err(trouble) => Err(trouble.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_spelling() {
        for text in ["203.0.113.7", "2001:db8::1", "203.0.113.0/24"] {
            let rules = wanted(22, Some(2376), Door::From(text), "w").unwrap();
            assert_eq!(rules.len(), 2);
            assert_eq!(plain(&rules[0].from), text);
        }
        assert!(wanted(22, None, Door::From("home"), "w").is_err());
        assert_ne!(client_word("ann@laptop"), client_word("ann@desk"));
    }
}
