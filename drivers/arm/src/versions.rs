//! Which api-version a request uses: for every type the newest that the endpoint advertises *and* this release was
//! tested with. A version that is not advertised is never sent. Rollouts and caches lag, so a refusal that lists what is
//! supported is believed and chosen from again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wharf_driver::{Error, Kind, Result};

use crate::Fault;

/// An api-version such as `2020-06-01`. Versions compare as their dates do.
pub type Version = str;

/// What this release was tested with: for every type, versions from old to new.
#[derive(Debug, Clone, Copy)]
pub struct Tested(pub &'static [(&'static str, &'static [&'static str])]);

/// What an endpoint advertises to one subscription. Names of types and namespaces are lower-case here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advertised {
    types: BTreeMap<String, Offer>,
    states: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Offer {
    versions: Vec<String>,
    locations: Vec<String>,
}

impl Advertised {
    /// Reads one page of `/subscriptions/{id}/providers`, keeping the namespaces that are wanted.
    pub(crate) fn read(&mut self, providers: &[Value], tested: Tested) {
        let wanted: BTreeSet<String> =
            tested.0.iter().map(|(kind, _)| namespace(kind).to_ascii_lowercase()).collect();
        for provider in providers {
            let Some(namespace) = provider["namespace"].as_str().map(str::to_ascii_lowercase) else {
                continue;
            };
            if !wanted.contains(&namespace) {
                continue;
            }
            let state = provider["registrationState"].as_str().unwrap_or("Registered");
            self.states.insert(namespace.clone(), state.to_owned());
            for one in provider["resourceTypes"].as_array().into_iter().flatten() {
                let Some(kind) = one["resourceType"].as_str() else { continue };
                let offer =
                    Offer { versions: strings(&one["apiVersions"]), locations: strings(&one["locations"]) };
                self.types.insert(format!("{namespace}/{}", kind.to_ascii_lowercase()), offer);
            }
        }
    }

    /// Whether the endpoint has such things at all.
    #[must_use]
    pub fn has(&self, kind: &str) -> bool {
        self.offer(kind).is_some()
    }

    /// Where things of this type can be made, as the endpoint spells it: `West US`.
    #[must_use]
    pub fn locations(&self, kind: &str) -> &[String] {
        self.offer(kind).map_or(&[], |offer| &offer.locations)
    }

    /// Whether the subscription may use this namespace: `Registered`, `NotRegistered`, `Registering` …
    pub(crate) fn state(&self, namespace: &str) -> Option<&str> {
        self.states.get(&namespace.to_ascii_lowercase()).map(String::as_str)
    }

    pub(crate) fn set_state(&mut self, namespace: &str, state: &str) {
        self.states.insert(namespace.to_ascii_lowercase(), state.to_owned());
    }

    fn offer(&self, kind: &str) -> Option<&Offer> {
        let kind = kind.to_ascii_lowercase();
        // Resource groups are listed below subscriptions by some.
        let nested = || {
            kind.strip_prefix("microsoft.resources/")
                .map(|name| format!("microsoft.resources/subscriptions/{name}"))
        };
        self.types.get(&kind).or_else(|| self.types.get(&nested()?))
    }
}

/// The choice for one connection.
#[derive(Debug)]
pub(crate) struct Versions {
    tested: Tested,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    advertised: Advertised,
    /// What a refusal said is supported, which is newer news than the list.
    corrected: BTreeMap<String, Vec<String>>,
}

impl Versions {
    pub(crate) fn new(tested: Tested, advertised: Advertised) -> Self {
        Self { tested, state: Mutex::new(State { advertised, ..State::default() }) }
    }

    pub(crate) fn advertised(&self) -> Advertised {
        self.state().advertised.clone()
    }

    pub(crate) fn set_state(&self, namespace: &str, state: &str) {
        self.state().advertised.set_state(namespace, state);
    }

    /// The version for `kind`, passing over `refused` ones.
    pub(crate) fn choose(&self, kind: &str, refused: &[String]) -> Result<&'static Version> {
        let tested = self
            .tested
            .0
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(kind))
            .map(|(_, versions)| *versions);
        let Some(tested) = tested else {
            return Err(Error::new(
                Kind::Failed,
                format!("no version of {kind} was tested with this release"),
            ));
        };
        let state = self.state();
        let offered = state.corrected.get(&kind.to_ascii_lowercase()).map(Vec::as_slice);
        let offered = offered.or_else(|| state.advertised.offer(kind).map(|offer| offer.versions.as_slice()));
        let Some(offered) = offered else {
            return Err(Error::new(Kind::Refused, format!("the endpoint offers no {kind}"))
                .hint("is this the right endpoint? A stamp's operator decides which services it has"));
        };
        let fits = |version: &&&'static str| {
            offered.iter().any(|o| o == **version) && !refused.iter().any(|r| r == **version)
        };
        tested.iter().rev().find(fits).copied().ok_or_else(|| {
            Error::new(
                Kind::Refused,
                format!("the endpoint offers no version of {kind} that this release knows"),
            )
            .fact("offered", offered.join(", "))
            .fact("known", tested.join(", "))
            .hint("use another release of wharf, or another endpoint")
        })
    }

    /// Believes what a refusal says is supported.
    pub(crate) fn correct(&self, kind: &str, supported: Vec<String>) {
        self.state().corrected.insert(kind.to_ascii_lowercase(), supported);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The versions that a refusal of the version names: `The supported api-versions are '2016-03-30, 2017-12-01'.`
pub(crate) fn supported(fault: &Fault) -> Option<Vec<String>> {
    const CODES: [&str; 3] =
        ["NoRegisteredProviderFound", "InvalidApiVersionParameter", "InvalidResourceType"];
    if !CODES.iter().any(|code| fault.has(code)) {
        return None;
    }
    let messages = std::iter::once(&fault.message).chain(fault.details.iter().map(|detail| &detail.message));
    let listed = messages.filter_map(|message| {
        let after = message.split_once("versions are")?.1;
        let list = after.trim_start().trim_start_matches('\'').split(['\'', ';']).next()?;
        Some(
            list.split(',')
                .map(|version| version.trim().trim_end_matches('.').to_owned())
                .collect::<Vec<_>>(),
        )
    });
    listed.into_iter().next()
}

/// The namespace of a type.
pub(crate) fn namespace(kind: &str) -> &str {
    kind.split('/').next().unwrap_or(kind)
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VM: &str = "Microsoft.Compute/virtualMachines";
    const GROUP: &str = "Microsoft.Resources/resourceGroups";
    const TESTED: Tested = Tested(&[
        (VM, &["2017-12-01", "2020-06-01", "2024-07-01"]),
        (GROUP, &["2019-10-01"]),
        ("Microsoft.Network/networkInterfaces", &["2018-11-01"]),
    ]);

    fn hub() -> Versions {
        let mut advertised = Advertised::default();
        let providers = [
            json!({"namespace": "Microsoft.Compute", "registrationState": "NotRegistered", "resourceTypes": [
                {"resourceType": "virtualMachines", "locations": ["local"],
                 "apiVersions": ["2020-06-01", "2019-07-01", "2017-12-01"]}]}),
            json!({"namespace": "Microsoft.Resources", "registrationState": "Registered", "resourceTypes": [
                {"resourceType": "subscriptions/resourceGroups", "apiVersions": ["2019-10-01"]}]}),
            json!({"namespace": "Contoso.Else", "resourceTypes": []}),
        ];
        advertised.read(&providers, TESTED);
        assert_eq!(advertised.state("microsoft.COMPUTE"), Some("NotRegistered"));
        assert_eq!(advertised.state("Contoso.Else"), None);
        Versions::new(TESTED, advertised)
    }

    #[test]
    fn the_newest_that_both_know_is_chosen() {
        let versions = hub();
        assert_eq!(versions.choose(VM, &[]).unwrap(), "2020-06-01");
        assert_eq!(versions.choose("microsoft.compute/VIRTUALMACHINES", &[]).unwrap(), "2020-06-01");
        assert_eq!(versions.choose(VM, &["2020-06-01".to_owned()]).unwrap(), "2017-12-01");
        assert_eq!(versions.choose(GROUP, &[]).unwrap(), "2019-10-01");
        assert_eq!(versions.advertised().locations(VM), ["local"]);
        let missing = versions.choose("Microsoft.Network/networkInterfaces", &[]).unwrap_err();
        assert_eq!(missing.kind(), Kind::Refused);
    }

    #[test]
    fn a_refusal_corrects_the_list() {
        let message = "No registered resource provider found for location 'local' and API version '2020-06-01' for type \
            'virtualMachines'. The supported api-versions are '2016-03-30, 2017-12-01'. The supported locations are 'local'.";
        let fault =
            Fault { code: "NoRegisteredProviderFound".into(), message: message.into(), ..Fault::default() };
        let listed = supported(&fault).unwrap();
        assert_eq!(listed, ["2016-03-30", "2017-12-01"]);
        let versions = hub();
        versions.correct(VM, listed);
        assert_eq!(versions.choose(VM, &[]).unwrap(), "2017-12-01");
        versions.correct(VM, vec!["2015-06-15".to_owned()]);
        assert_eq!(versions.choose(VM, &[]).unwrap_err().kind(), Kind::Refused);
    }

    #[test]
    fn other_refusals_correct_nothing() {
        let fault =
            Fault { code: "BadRequest".into(), message: "versions are 'x'".into(), ..Fault::default() };
        assert_eq!(supported(&fault), None);
    }
}
