//! Who a process is: `user[:group]` looked up in the image's own passwd and group files, never in the host's.

use crate::engine::error::{Error, Result};

/// A process's ids, and where its home is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// The texts of the container's `/etc/passwd` and `/etc/group`; empty when missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    pub(crate) passwd: String,
    pub(crate) group: String,
}

impl Accounts {
    /// Resolves `user`, `user:group`, by name or number, and the supplementary groups that were added.
    pub(crate) fn resolve(&self, wanted: &str, added: &[String]) -> Result<Identity> {
        let (user, group) = match wanted.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (wanted, None),
        };
        let user = if user.is_empty() { "0" } else { user };
        let entry = self.user(user);
        let uid = match (&entry, user.parse::<u32>()) {
            (Some(entry), _) => entry.uid,
            (None, Ok(uid)) if uid <= MAXIMUM => uid,
            (None, Ok(_)) => {
                return Err(Error::invalid(format!("uids and gids must be in range 0-{MAXIMUM}")));
            }
            (None, Err(_)) => {
                return Err(Error::invalid(format!(
                    "unable to find user {user}: no matching entries in passwd file"
                )));
            }
        };
        let mut groups = Vec::new();
        let gid = match group {
            Some(group) => self.group(group)?,
            None => {
                groups.extend(entry.as_ref().map(|entry| self.memberships(entry.name)).unwrap_or_default());
                entry.as_ref().map_or(0, |entry| entry.gid)
            }
        };
        // A set-group-id program changes the first group; files that are shut to it stay shut (CVE-2022-36109).
        groups.insert(0, gid);
        for name in added {
            groups.push(self.group(name)?);
        }
        let mut seen = std::collections::BTreeSet::new();
        groups.retain(|gid| seen.insert(*gid));
        let home = entry.map(|entry| entry.home).filter(|home| !home.is_empty()).unwrap_or("/");
        Ok(Identity { uid, gid, groups, home: home.to_owned() })
    }

    fn user(&self, wanted: &str) -> Option<User<'_>> {
        let users = || self.passwd.lines().filter_map(parse_user);
        // A name wins over a number, as in the image's own tools.
        users().find(|user| user.name == wanted).or_else(|| {
            let uid = wanted.parse::<u32>().ok()?;
            users().find(|user| user.uid == uid)
        })
    }

    fn group(&self, wanted: &str) -> Result<u32> {
        let named = self.group.lines().filter_map(parse_group).find(|group| group.name == wanted);
        match (named, wanted.parse::<u32>()) {
            (Some(group), _) => Ok(group.gid),
            (None, Ok(gid)) if gid <= MAXIMUM => Ok(gid),
            (None, Ok(_)) => Err(Error::invalid(format!("uids and gids must be in range 0-{MAXIMUM}"))),
            (None, Err(_)) => Err(Error::invalid(format!(
                "unable to find group {wanted}: no matching entries in group file"
            ))),
        }
    }

    fn memberships(&self, user: &str) -> Vec<u32> {
        let groups = self.group.lines().filter_map(parse_group);
        groups
            .filter(|group| group.members.split(',').any(|member| member == user))
            .map(|group| group.gid)
            .collect()
    }
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn parse_user(line: &str) -> Option<User<'_>> {
    let fields: Vec<_> = line.trim().split(':').collect();
    let [name, _, uid, gid, _, home, ..] = fields[..] else { return None };
    Some(User { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
}

fn parse_group(line: &str) -> Option<Group<'_>> {
    let fields: Vec<_> = line.trim().split(':').collect();
    let [name, _, gid, ref rest @ ..] = fields[..] else { return None };
    Some(Group { name, gid: gid.parse().ok()?, members: rest.first().copied().unwrap_or("") })
}

/// The largest id that a process may have: the last one is the kernel's "nobody said".
const MAXIMUM: u32 = i32::MAX as u32;

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\n# note\nweb:x:33:34::/srv/web:/bin/sh\nbad:x:y\n7:x:70:70::/seven:\n"
                .to_owned(),
            group: "root:x:0:\nweb:x:34:\nssl:x:40:other,web\nlog:x:41:web\n".to_owned(),
        }
    }

    fn resolve(wanted: &str) -> Result<Identity> {
        accounts().resolve(wanted, &[])
    }

    #[test]
    fn finds_users_by_name_and_number() {
        let web = Identity { uid: 33, gid: 34, groups: vec![34, 40, 41], home: "/srv/web".to_owned() };
        assert_eq!(resolve("web").unwrap(), web);
        assert_eq!(resolve("33").unwrap(), web);
        assert_eq!(resolve("7").unwrap().uid, 70, "a name of digits is a name first");
        assert_eq!(resolve("").unwrap().home, "/root");
    }

    #[test]
    fn a_number_without_an_entry_is_itself_in_group_zero() {
        assert_eq!(
            resolve("1234").unwrap(),
            Identity { uid: 1234, gid: 0, groups: vec![0], home: "/".to_owned() }
        );
        assert_eq!(Accounts::default().resolve("0", &[]).unwrap().gid, 0);
    }

    #[test]
    fn a_given_group_replaces_the_memberships_and_added_ones_come_on_top() {
        let identity =
            accounts().resolve("web:ssl", &["log".to_owned(), "99".to_owned(), "99".to_owned()]).unwrap();
        assert_eq!((identity.gid, identity.groups), (40, vec![40, 41, 99]));
    }

    #[test]
    fn unknown_names_and_numbers_out_of_range_are_refused() {
        assert_eq!(
            resolve("nobody").unwrap_err().to_string(),
            "unable to find user nobody: no matching entries in passwd file"
        );
        assert!(resolve("web:none").unwrap_err().to_string().starts_with("unable to find group none"));
        assert!(resolve("4294967295").is_err());
    }
}
