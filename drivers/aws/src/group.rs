//! Security groups of ours: found by name, made, and filled with the rules that are missing. A rule's description says
//! for whom it is: `wharf: wish`, and the digest of each client that it lets in.

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroup};
use wharf_driver::{Context, Error, Kind, Result};

use crate::action::{Action, Group};
use crate::admission::client_word;
use crate::catalog::filter;
use crate::client::Connection;
use crate::resource::Resource;
use crate::tags;

/// What stands in front of the words of a rule's description.
const MARK: &str = "wharf:";
/// The word of a rule that the machine's wish has.
pub(crate) const WISH: &str = "wish";

/// One rule: who may reach one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) port: u16,
    pub(crate) udp: bool,
    pub(crate) from: String,
    /// Whom it is for.
    pub(crate) words: Vec<String>,
}

impl Rule {
    pub(crate) fn same(&self, other: &Self) -> bool {
        (self.port, self.udp, &self.from) == (other.port, other.udp, &other.from)
    }

    /// As EC2 takes it, with whom it is for.
    pub(crate) fn permission(&self) -> IpPermission {
        self.described(Some(format!("{MARK} {}", self.words.join(" "))))
    }

    /// As EC2 takes it when it goes: whom it was for may have changed meanwhile.
    pub(crate) fn bare(&self) -> IpPermission {
        self.described(None)
    }

    fn described(&self, description: Option<String>) -> IpPermission {
        let protocol = if self.udp { "udp" } else { "tcp" };
        let port = i32::from(self.port);
        let permission = IpPermission::builder().ip_protocol(protocol).from_port(port).to_port(port);
        if self.from.contains(':') {
            let range = Ipv6Range::builder().cidr_ipv6(&self.from).set_description(description);
            permission.ipv6_ranges(range.build()).build()
        } else {
            let range = IpRange::builder().cidr_ip(&self.from).set_description(description);
            permission.ip_ranges(range.build()).build()
        }
    }
}

/// The rules that a group has, those that say nothing of us among them.
pub(crate) fn rules(group: &SecurityGroup) -> Vec<Rule> {
    let mut rules = Vec::new();
    for permission in group.ip_permissions() {
        let Some(port) = permission.from_port().and_then(|port| u16::try_from(port).ok()) else { continue };
        let udp = permission.ip_protocol() == Some("udp");
        let mut add = |from: Option<&str>, description: Option<&str>| {
            let words = description.and_then(|text| text.strip_prefix(MARK)).unwrap_or_default();
            let words = words.split_whitespace().map(str::to_owned).collect();
            rules.extend(from.map(|from| Rule { port, udp, from: from.to_owned(), words }));
        };
        permission.ip_ranges().iter().for_each(|range| add(range.cidr_ip(), range.description()));
        permission.ipv6_ranges().iter().for_each(|range| add(range.cidr_ipv6(), range.description()));
    }
    rules
}

/// The group, made or joined, with every rule of its wish.
pub(crate) async fn perform(
    connection: &Connection,
    action: &Action,
    wish: &Group,
    cx: &Context,
) -> Result<Resource> {
    let there = find(connection, &action.name, &wish.vpc).await?;
    let (id, has) = match &there {
        Some(there) if is_ours(there, wish, cx) => {
            (there.group_id().unwrap_or_default().to_owned(), rules(there))
        }
        Some(there) => return Err(taken(action, there)),
        None => (create(connection, action, wish, cx).await?, Vec::new()),
    };
    let wanted = wanted(wish, &has);
    let missing: Vec<&Rule> = wanted.iter().filter(|rule| !has.iter().any(|one| one.same(rule))).collect();
    if !missing.is_empty() {
        // The group is there, whatever becomes of its rules.
        authorize(connection, &id, &missing).await.map_err(Error::leaving_something)?;
    }
    Ok(resource(id, action, wish))
}

/// What is there of a started action; `None` when nothing is yet.
pub(crate) async fn settle(
    connection: &Connection,
    action: &Action,
    wish: &Group,
    cx: &Context,
) -> Result<Option<Resource>> {
    let there = find(connection, &action.name, &wish.vpc).await?.filter(|there| is_ours(there, wish, cx));
    Ok(there.and_then(|there| Some(resource(there.group_id()?.to_owned(), action, wish))))
}

/// Lets in what the rules say. What is let in already is success.
pub(crate) async fn authorize(connection: &Connection, id: &str, rules: &[&Rule]) -> Result<()> {
    let permissions = rules.iter().map(|rule| rule.permission()).collect();
    let call = connection.ec2.authorize_security_group_ingress().group_id(id);
    let call = call.set_ip_permissions(Some(permissions));
    match connection.call("AuthorizeSecurityGroupIngress", call.send()).await {
        Ok(_) => Ok(()),
        // All or nothing: somebody added one of several meanwhile, and the next look shows which.
        Err(trouble) if trouble.is("InvalidPermission.Duplicate") && rules.len() == 1 => Ok(()),
        Err(trouble) if trouble.is("InvalidPermission.Duplicate") || trouble.is_not_found() => {
            let error = Error::from(trouble);
            Err(Error::new(Kind::Transient, error.to_string()).caused_by(error))
        }
        Err(trouble) => Err(trouble.into()),
    }
}

async fn create(connection: &Connection, action: &Action, wish: &Group, cx: &Context) -> Result<String> {
    let kind = ResourceType::SecurityGroup;
    let call = connection.ec2.create_security_group();
    let call = call
        .group_name(&action.name)
        .description("Machines of wharf: SSH, the engine, and what was opened")
        .vpc_id(&wish.vpc)
        .tag_specifications(tags::in_call(kind, &action.name, &cx.owner, &action.tags, wish.shared));
    match connection.call("CreateSecurityGroup", call.send()).await {
        Ok(made) => Ok(made.group_id.unwrap_or_default()),
        // An earlier call of ours, or somebody else's: the next look shows it.
        Err(trouble) if trouble.is("InvalidGroup.Duplicate") => {
            let error = Error::from(trouble);
            Err(Error::new(Kind::Transient, error.to_string()).caused_by(error))
        }
        Err(trouble) => Err(trouble.of_making()),
    }
}

/// The group of this name in the VPC.
pub(crate) async fn find(connection: &Connection, name: &str, vpc: &str) -> Result<Option<SecurityGroup>> {
    let call = connection.ec2.describe_security_groups();
    let call = call.filters(filter("group-name", name)).filters(filter("vpc-id", vpc));
    let found = connection.call("DescribeSecurityGroups", call.send()).await.map_err(Error::from)?;
    Ok(found.security_groups.unwrap_or_default().into_iter().next())
}

/// The group of this id.
pub(crate) async fn by_id(connection: &Connection, id: &str) -> Result<Option<SecurityGroup>> {
    let call = connection.ec2.describe_security_groups().group_ids(id);
    match connection.call("DescribeSecurityGroups", call.send()).await {
        Ok(found) => Ok(found.security_groups.unwrap_or_default().into_iter().next()),
        Err(trouble) if trouble.is_not_found() => Ok(None),
        Err(trouble) => Err(trouble.into()),
    }
}

fn is_ours(there: &SecurityGroup, wish: &Group, cx: &Context) -> bool {
    if wish.shared {
        tags::is_shared(there.tags(), &cx.owner.store)
    } else {
        tags::is_own(there.tags(), &cx.owner)
    }
}

fn wanted(wish: &Group, has: &[Rule]) -> Vec<Rule> {
    let rule = |port: u16, udp: bool, from: &str, word: &str| Rule {
        port,
        udp,
        from: from.to_owned(),
        words: vec![word.to_owned()],
    };
    let everybody = ["0.0.0.0/0", "::/0"];
    let mut wanted: Vec<Rule> = Vec::new();
    for from in &wish.allowed {
        for port in [wish.ssh_port, wish.engine_port] {
            wanted.push(rule(port, false, from, WISH));
        }
    }
    for port in &wish.open {
        wanted.extend(everybody.map(|from| rule(port.number, port.udp, from, WISH)));
    }
    // Where the client comes from is known when it has come; a door that was narrowed since is not opened again.
    if let Some(client) = &wish.client {
        let word = client_word(client);
        if !has.iter().any(|one| one.words.contains(&word)) {
            wanted.extend(everybody.map(|from| rule(wish.ssh_port, false, from, &word)));
        }
    }
    let mut unique: Vec<Rule> = Vec::new();
    for one in wanted {
        if !unique.iter().any(|other| other.same(&one)) {
            unique.push(one);
        }
    }
    unique
}

fn resource(id: String, action: &Action, wish: &Group) -> Resource {
    Resource::Group { id, name: action.name.clone(), shared: wish.shared }
}

fn taken(action: &Action, there: &SecurityGroup) -> Error {
    let message = format!("there is a security group `{}` already, and it is not ours", action.name);
    Error::new(Kind::NameTaken, message)
        .fact("id", there.group_id().unwrap_or_default())
        .hint("remove or rename it, or choose another name for the machine")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> Group {
        Group {
            vpc: "vpc-1".into(),
            shared: false,
            allowed: vec!["10.0.0.0/8".into()],
            ssh_port: 22,
            engine_port: 2376,
            open: vec![crate::config::Port { number: 22, udp: false }],
            client: Some("ada@laptop".into()),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let rules_wanted = wanted(&wish(), &[]);
        let group = rules_wanted
            .iter()
            .fold(SecurityGroup::builder(), |group, rule| group.ip_permissions(rule.permission()));
        assert_eq!(rules(&group.build()), rules_wanted);
    }

    #[test]
    fn a_rule_stands_once_and_a_narrowed_door_stays_narrow() {
        let all = wanted(&wish(), &[]);
        assert_eq!(all.len(), 4, "two of the wish, and port 22 for everybody by both protocols: {all:?}");
        let narrow = Rule {
            port: 22,
            udp: false,
            from: "203.0.113.7/32".into(),
            words: vec![client_word("ada@laptop")],
        };
        let closed = Group { open: Vec::new(), ..wish() };
        assert_eq!(wanted(&closed, &[]).len(), 4);
        assert_eq!(wanted(&closed, &[narrow]).len(), 2);
    }
}
