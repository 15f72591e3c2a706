//! Who of the persons may reach a machine: rules of the machine's own firewall, two for each client, beside those of
//! its wish. A client's address changes; the machine's other clients never notice.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wharf_arm::{Arm, Call, Fault, Method, Trouble};
use wharf_driver::{Admission, Context, Door, Error, Kind as Failure, Result};

use crate::body;
use crate::config::Config;
use crate::kind::{FIREWALLS, Kind};
use crate::names;
use crate::resource::Resource;

/// Clients' rules begin here, behind those of the wish.
const FIRST_PRIORITY: u64 = 1000;
/// The highest number that a rule can have.
const LAST_PRIORITY: u64 = 4096;
const SSH: u16 = 22;

/// What the machine's rules say of this client.
pub(crate) async fn admission(
    arm: &Arm,
    config: &Config,
    made: &[Resource],
    cx: &Context,
) -> Result<Admission> {
    let Some(firewall) = guarded(config, made) else { return Ok(Admission::Unguarded) };
    let Some(there) = read(arm, firewall).await? else { return Ok(Admission::Unguarded) };
    let source = |what| source(&there, &rule_name(cx.session.client(), what));
    Ok(match (source("ssh"), source("engine")) {
        (None, _) => Admission::Unknown,
        (Some(ssh), Some(engine)) if ssh == engine => Admission::From(ssh),
        (Some(ssh), _) if ssh == "*" => Admission::Anywhere,
        // Killed between the two.
        (Some(_), _) => Admission::Unknown,
    })
}

/// Makes the rules say it.
pub(crate) async fn admit(
    arm: &Arm,
    config: &Config,
    made: &[Resource],
    door: Door<'_>,
    cx: &Context,
) -> Result<()> {
    let Some(firewall) = guarded(config, made) else { return Ok(()) };
    let Some(there) = read(arm, firewall).await? else { return Ok(()) };
    let client = cx.session.client();
    let engine = made.iter().find_map(|one| Some(one.machine.as_ref()?.engine_port));
    let ports = [("ssh", Some(SSH)), ("engine", engine)];
    let mut taken = priorities(&there);
    for (what, port) in ports {
        let name = rule_name(client, what);
        let wanted = match (door, what) {
            (Door::Anywhere, "ssh") => Some("*"),
            (Door::From(from), _) => Some(from),
            (Door::Anywhere | Door::Shut, _) => None,
        };
        let id = format!("{}/securityRules/{name}", firewall.id);
        match (wanted.zip(port), source(&there, &name)) {
            (Some((wanted, _)), Some(now)) if now == wanted => {}
            (Some((wanted, port)), _) => {
                let priority = priority_of(&there, &name).or_else(|| free(&mut taken)).ok_or_else(full)?;
                let rule = json!({ "properties": client_rule(client, port, wanted, priority) });
                let doing = format!("letting {client} in to port {port}");
                let body = |_: &str| rule.clone();
                let call = Call::new(Method::PUT, &doing, FIREWALLS, &id).with(&body);
                arm.carry_out(&call, cx.deadline).await.map_err(crossed)?;
            }
            (None, Some(_)) => {
                let call = Call::new(Method::DELETE, "taking a rule back", FIREWALLS, &id);
                match arm.carry_out(&call, cx.deadline).await {
                    Err(Trouble::Said(fault)) if fault.is_not_found() => {}
                    done => drop(done.map_err(crossed)?),
                }
            }
            (None, None) => {}
        }
    }
    Ok(())
}

/// The rule that a firewall is made with: where the client comes from is known when it has come.
pub(crate) fn first_rule(client: &str) -> (String, Value) {
    (rule_name(client, "ssh"), client_rule(client, SSH, "*", FIRST_PRIORITY))
}

/// The firewall of a machine that lets single clients in. One that was there before is never changed.
fn guarded<'a>(config: &Config, made: &'a [Resource]) -> Option<&'a Resource> {
    made.iter().find(|one| config.me && one.kind == Kind::Firewall && one.ours && !one.shared)
}

async fn read(arm: &Arm, firewall: &Resource) -> Result<Option<Value>> {
    let doing = format!("looking at the rules of {}", names::last(&firewall.id));
    Ok(arm.find(&Call::get(&doing, FIREWALLS, &firewall.id)).await?)
}

fn client_rule(client: &str, port: u16, source: &str, priority: u64) -> Value {
    let mut rule = body::rule(&format!("for {client}"), port, false, source);
    rule["priority"] = json!(priority);
    rule
}

/// The same for a client at every command, and for no other client.
fn rule_name(client: &str, what: &str) -> String {
    let digest = hex::encode(Sha256::digest(client));
    format!("wharf-client-{}-{what}", digest.get(..12).unwrap_or(&digest))
}

fn rules(firewall: &Value) -> impl Iterator<Item = &Value> {
    firewall["properties"]["securityRules"].as_array().into_iter().flatten()
}

fn rule<'a>(firewall: &'a Value, name: &str) -> Option<&'a Value> {
    rules(firewall).find(|rule| rule["name"].as_str() == Some(name))
}

fn source(firewall: &Value, name: &str) -> Option<String> {
    rule(firewall, name)?["properties"]["sourceAddressPrefix"].as_str().map(str::to_owned)
}

fn priority_of(firewall: &Value, name: &str) -> Option<u64> {
    rule(firewall, name)?["properties"]["priority"].as_u64()
}

fn priorities(firewall: &Value) -> Vec<u64> {
    let inbound = rules(firewall).filter(|rule| rule["properties"]["direction"] != "Outbound");
    inbound.filter_map(|rule| rule["properties"]["priority"].as_u64()).collect()
}

fn free(taken: &mut Vec<u64>) -> Option<u64> {
    let free = (FIRST_PRIORITY..=LAST_PRIORITY).find(|number| !taken.contains(number))?;
    taken.push(free);
    Some(free)
}

fn full() -> Error {
    Error::new(Failure::Quota, "the machine's firewall has no room for another rule")
        .hint("take back those of clients that need none any more, with `wharf allow --revoke`")
}

/// Another client took the number, or the firewall is being changed: the next look shows how it is then.
fn crossed(trouble: Trouble) -> Error {
    let passing = |fault: &Fault| {
        ["SecurityRuleConflict", "SecurityRuleInvalidPriority", "AnotherOperationInProgress", "Canceled"]
            .iter()
            .any(|code| fault.has(code))
    };
    match trouble {
        Trouble::Said(fault) if passing(&fault) => {
            let error = fault.into_error();
            Error::new(Failure::Transient, error.to_string()).caused_by(error)
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_rules_and_numbers_of_their_own() {
        assert_ne!(rule_name("ann@laptop", "ssh"), rule_name("ann@desk", "ssh"));
        let (name, properties) = first_rule("ann@laptop");
        let firewall = json!({ "properties": { "securityRules": [
            { "name": name, "properties": properties },
            { "name": "out", "properties": { "direction": "Outbound", "priority": 1001 } },
            { "name": "in", "properties": { "direction": "Inbound", "priority": 1001 } },
        ] } });
        assert_eq!(source(&firewall, &name).as_deref(), Some("*"));
        assert_eq!(priority_of(&firewall, &name), Some(FIRST_PRIORITY));
        let mut taken = priorities(&firewall);
        assert_eq!((free(&mut taken), free(&mut taken)), (Some(1002), Some(1003)));
        let mut taken = (FIRST_PRIORITY..=LAST_PRIORITY).collect();
        assert_eq!(free(&mut taken), None);
    }
}
