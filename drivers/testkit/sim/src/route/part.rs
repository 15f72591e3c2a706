//! Parts that are resources of their own: a network's subnets and a security group's rules. Writing one writes the whole
//! that it is part of.

use serde_json::{Value, json};

use super::{Request, Version, apply, list, resource};
use crate::description::{Description, Role};
use crate::error::ArmError;
use crate::http::Answer;
use crate::resource::{Kind, Put, Resource, network, view};

/// A kind of part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Subnet,
    Rule,
    DefaultRule,
}

impl Part {
    /// The part that `list` of `whole` holds, both in lower case.
    pub(super) fn find(whole: &str, list: &str) -> Option<Self> {
        match (whole, list) {
            ("virtualnetworks", "subnets") => Some(Self::Subnet),
            ("networksecuritygroups", "securityrules") => Some(Self::Rule),
            ("networksecuritygroups", "defaultsecurityrules") => Some(Self::DefaultRule),
            _ => None,
        }
    }

    /// As versions are chosen for it.
    pub(super) fn kind(self) -> &'static str {
        if self == Self::Subnet { "virtualNetworks/subnets" } else { "networkSecurityGroups/securityRules" }
    }

    fn whole(self) -> Kind {
        if self == Self::Subnet { Kind::VirtualNetwork } else { Kind::SecurityGroup }
    }

    fn list(self) -> &'static str {
        match self {
            Self::Subnet => "subnets",
            Self::Rule => "securityRules",
            Self::DefaultRule => "defaultSecurityRules",
        }
    }
}

/// `…/WHOLE/NAME/LIST[/PART]`.
pub(super) fn route(
    request: &Request<'_>,
    version: &Version,
    part: Part,
    group: &str,
    whole: &str,
    name: Option<&str>,
) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    let mut state = cloud.state();
    let found = resource::find(request, &state, part.whole(), group, whole)?.clone();
    let shown = |item: &Value| {
        let mut item = item.clone();
        if part == Part::Subnet {
            view::show_subnet(&state, &mut item);
        }
        view::show_part(part.kind(), &version.version, &item)
    };
    let items = found.body["properties"][part.list()].as_array().cloned().unwrap_or_default();
    let Some(name) = name else {
        return match request.call.method.as_str() {
            "GET" => Ok(Answer::list(items.iter().map(shown))),
            _ => Err(super::not_found(request.call)),
        };
    };
    let there = items.iter().position(|i| i["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)));
    match (request.call.method.as_str(), there) {
        ("GET", Some(at)) => Ok(Answer::json(200, shown(&items[at]))),
        ("GET", None) => Err(ArmError::new(
            404,
            "NotFound",
            format!("Resource {}/{}/{name} not found.", found.id, part.list()),
        )),
        ("PUT", there) if part != Part::DefaultRule => {
            let body = sent(request, version, part, name)?;
            let mut items = items;
            match there {
                Some(at) => items[at] = body,
                None => items.push(body),
            }
            let answer = rewrite(request, version, &mut state, &found, part, &items)?;
            answer_part(request, version, &state, &found, part, name, there.is_none(), answer)
        }
        ("DELETE", Some(at)) if part != Part::DefaultRule => {
            if part == Part::Subnet {
                network::free(&state, &items[at])?;
            }
            let mut items = items;
            items.remove(at);
            let answer = rewrite(request, version, &mut state, &found, part, &items)?;
            Ok(Answer { status: 202, body: None, ..answer })
        }
        ("DELETE", None) => Ok(Answer::empty(204)),
        _ => Err(super::not_found(request.call)),
    }
}

/// What was sent for a part, checked.
fn sent(request: &Request<'_>, version: &Version, part: Part, name: &str) -> Result<Value, ArmError> {
    let body = request.call.json()?;
    apply::check_body("network", part.kind(), &version.version, &body, Role::Whole, request.call)?;
    let description = Description::find("network", part.kind(), &version.version);
    let model = description.and_then(|d| d.body(part.kind()).map(|model| (d, model)));
    let mut body = model.map_or_else(|| body.clone(), |(d, model)| d.settable(model, &body));
    body["name"] = json!(name);
    Ok(body)
}

/// Writes the whole with its list changed.
fn rewrite(
    request: &Request<'_>,
    version: &Version,
    state: &mut crate::cloud::State,
    whole: &Resource,
    part: Part,
    items: &[Value],
) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    request.allowed(&format!("Microsoft.Network/{}/write", part.kind()), &whole.id)?;
    list::open_group(state, &whole.group)?;
    let mut body = whole.body.clone();
    body["properties"][part.list()] = json!(items);
    let put = Put {
        cloud,
        kind: whole.kind,
        id: whole.id.clone(),
        name: whole.name.clone(),
        group: whole.group.clone(),
        location: whole.location.clone(),
        body,
    };
    resource::write(request, version, state, &put, &whole.group)
}

#[expect(clippy::too_many_arguments, reason = "an answer is put together from all of them")]
fn answer_part(
    request: &Request<'_>,
    version: &Version,
    state: &crate::cloud::State,
    whole: &Resource,
    part: Part,
    name: &str,
    new: bool,
    answer: Answer,
) -> Result<Answer, ArmError> {
    let whole = resource::find(request, state, part.whole(), &whole.group, &whole.name)?;
    let items = whole.body["properties"][part.list()].as_array().into_iter().flatten();
    let mut item = items.into_iter().find(|i| i["name"] == name).cloned().unwrap_or_default();
    item["properties"]["provisioningState"] = json!(whole.provisioning);
    let shown = view::show_part(part.kind(), &version.version, &item);
    Ok(Answer { status: if new { 201 } else { 200 }, body: Some(shown), ..answer })
}
