//! The two scripts that change a host.
//!
//! `prepare` puts the agent in its place and asks it for a signing request; `activate` installs the certificate and
//! starts the service. Between them only the request and the certificate travel.

use std::sync::Arc;
use std::time::Instant;

use wharf_pki::{Certificate, Server};
use wharf_ssh::{Command, Session};

use crate::executable::Executable;
use crate::progress::Event;
use crate::remote::{self, as_root, quote};
use crate::{Error, Facts, Plan, Progress, Request, Verb, registries, service};

/// What the host shall have, and what is known of it.
pub(crate) struct Work<'a> {
    pub(crate) session: &'a Session,
    pub(crate) facts: &'a Facts,
    pub(crate) request: &'a Request,
    pub(crate) plan: &'a Plan,
    pub(crate) progress: &'a Progress,
}

impl Work<'_> {
    /// Uploads what is missing, and returns the signing request when a certificate is wanted.
    pub(crate) async fn prepare(
        &self,
        executable: Option<(&Executable, Arc<[u8]>)>,
        new_key: bool,
    ) -> Result<Option<String>, Error> {
        let mut script = String::from("set -eu\numask 022\n");
        let mut input: Arc<[u8]> = Arc::default();
        if let (true, Some((executable, packed))) = (self.plan.upload, executable) {
            script += &self.upload(&executable.sha256);
            input = packed;
        }
        if self.plan.certificate {
            script += &format!(
                "{} certificate request --dir {TLS} --name {}{} </dev/null\n",
                quote(&self.plan.agent),
                quote(&self.request.machine),
                if new_key { " --new-key" } else { "" },
            );
        }
        if !self.plan.upload && !self.plan.certificate {
            return Ok(None);
        }
        let (total, progress) = (input.len(), self.progress.clone());
        let command = Command::new(as_root(self.facts.access, &script))
            .input(input)
            .on_sent(move |sent| progress.tell(Event::Uploaded { sent, total }));
        let output = self.run("installing the agent", command, self.request.deadline).await?;
        Ok(self.plan.certificate.then(|| output.text()))
    }

    /// Signs what the host asked for; names and usage are ours.
    pub(crate) fn sign(&self, signing_request: &str) -> Result<Certificate, Error> {
        let server = Server { machine: self.request.machine.clone(), names: self.request.names.clone() };
        Ok(self.request.authority.sign_server(signing_request, &server, self.request.now)?)
    }

    /// Makes the authorities of registries exactly those that are wanted.
    pub(crate) async fn registries(&self) -> Result<(), Error> {
        if !self.plan.registries {
            return Ok(());
        }
        let wanted = registries::input(&self.request.options.registry_authorities);
        let script = format!("set -eu\numask 022\n{}", registries::SCRIPT);
        let command = Command::new(as_root(self.facts.access, &script)).input(wanted.into_bytes());
        self.run("bringing the authorities of registries", command, self.request.deadline).await.map(drop)
    }

    /// Installs the certificate and the service, and starts the engine.
    pub(crate) async fn activate(&self, certificate: Option<&Certificate>) -> Result<(), Error> {
        let revoked = self.revoked()?;
        let nothing_new = certificate.is_none() && revoked.is_none();
        if nothing_new && self.plan.service.is_none() && self.plan.start == Verb::Keep {
            return Ok(());
        }
        let init = self.facts.init;
        let mut script = format!(
            "set -eu\numask 022\nfail() {{ {{ echo {}; {}; }} >&2 || :; }}\n",
            quote(remote::LOG),
            service::log(init)
        );
        let mut input: Arc<[u8]> = Arc::default();
        if let Some(certificate) = certificate {
            script += &format!("{} certificate install --dir {TLS}\n", quote(&self.plan.agent));
            input = signed(self.request, certificate, revoked.as_deref()).into();
        } else if let Some(list) = &revoked {
            script += &format!("{} certificate revoke --dir {TLS}\n", quote(&self.plan.agent));
            input = list.as_bytes().into();
        }
        if !nothing_new && self.plan.start == Verb::Keep {
            script += service::reload(init);
        }
        script += &service::activate(init, self.plan.service.as_ref(), self.plan.start);
        let command = Command::new(as_root(self.facts.access, &script)).input(input);
        self.run("starting the engine", command, self.request.deadline).await.map(drop)
    }

    /// The list of certificates that were taken back, where the host lacks it.
    fn revoked(&self) -> Result<Option<String>, Error> {
        let sign = || self.request.authority.revoke(&self.request.revoked, self.request.now);
        Ok(self.plan.revoked.then(sign).transpose()?)
    }

    /// The agent arrives under a temporary name, is counted, tried and only then renamed.
    fn upload(&self, sha256: &str) -> String {
        let (folder, _) = self.plan.agent.rsplit_once('/').unwrap_or(("/", ""));
        let unpack = if self.facts.gzip { "gzip -dc" } else { "cat" };
        let label = if self.facts.selinux { "chcon -t bin_t \"$new\" 2>/dev/null || :\n" } else { "" };
        format!(
            "folder={} new=$folder/.wharfd.new
mkdir -p \"$folder\"
trap 'rm -f \"$new\"' EXIT
{unpack} >\"$new\"
sum=$(sha256sum \"$new\")
if [ \"${{sum%% *}}\" != {sha256} ]; then echo 'the agent arrived damaged' >&2; exit 21; fi
chmod 755 \"$new\"
{label}\"$new\" --version >/dev/null </dev/null
mv -f \"$new\" {}
",
            quote(folder),
            quote(&self.plan.agent),
        )
    }

    async fn run(
        &self,
        step: &'static str,
        command: Command,
        deadline: Instant,
    ) -> Result<wharf_ssh::Output, Error> {
        remote::run(self.session, step, command, deadline).await.map_err(|error| match error {
            // The script only knows that there was no room; the probe knows how little there was.
            Error::DiskFull { .. } => {
                let (path, _) = self.plan.agent.rsplit_once('/').unwrap_or(("/", ""));
                let free = self
                    .facts
                    .folders
                    .iter()
                    .find(|folder| folder.path == path)
                    .map_or(0, |folder| folder.free);
                Error::DiskFull { path: path.to_owned(), free, needed: free.saturating_add(1) }
            }
            other => other,
        })
    }
}

fn signed(request: &Request, certificate: &Certificate, revoked: Option<&str>) -> Vec<u8> {
    let authority = request.authority.certificate().pem();
    let mut signed = serde_json::json!({ "ca": authority, "server": certificate.pem() });
    // An agent that knows of no lists is asked to take none before there is one.
    if let Some(list) = revoked {
        signed["revoked"] = list.into();
    }
    signed.to_string().into_bytes()
}

/// Where the agent looks for its certificates without being told.
const TLS: &str = "/etc/wharf/tls";
