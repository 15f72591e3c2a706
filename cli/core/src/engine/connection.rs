//! What is known of machines without asking them: from the journal and the store's files alone.

use std::collections::BTreeMap;

use wharf_driver::{MachineName, Reach};

use crate::engine::credentials::AUTHORITY;
use crate::engine::keys::{SIGN_IN, public_file};
use crate::engine::ledger::refused;
use crate::engine::tunnel::{loopback_port, reach_of};
use crate::engine::work::{Work, no_such_machine};
use crate::journal::{Entry, Machine, fold};
use crate::store::Subject;
use crate::vault::Place;
use crate::{Call, Connection, Error, Inspection, Kind, Result, SshAccess, Summary, Wharf};

impl Wharf {
    /// Every machine, by name, as its journal says; or why that cannot be read.
    ///
    /// # Errors
    /// When the store itself cannot be read.
    pub async fn list(&self) -> Result<Vec<(MachineName, Result<Summary>)>> {
        let mut list = Vec::new();
        for (name, machine) in self.all_machines().await? {
            match machine {
                // Removed since the names were read.
                Err(error) if error.kind() == Kind::NoSuchMachine => {}
                machine => list.push((name, machine.map(|machine| summary(&machine)))),
            }
        }
        Ok(list)
    }

    /// All machines, without their locks; or why one cannot be read.
    pub(crate) async fn all_machines(&self) -> Result<Vec<(MachineName, Result<Machine>)>> {
        let journals = self.store.journals().await?.into_iter();
        Ok(journals
            .map(|(name, entries)| {
                let machine = entries.and_then(|entries| folded(&name, &entries));
                (name, machine)
            })
            .collect())
    }

    /// Everything needed to reach a machine. Renews the person's certificate when that is due; asks nobody.
    ///
    /// # Errors
    /// When there is no such machine, or it has no address yet.
    pub async fn connection(&self, name: &MachineName) -> Result<Connection> {
        let machine = self.machine(name).await?;
        let connection = self.connection_of(&machine).await?;
        let call = Call::new("wharf env");
        let current = self.identity(&call).await?;
        let subject = Subject::Machine(name.clone());
        let exported = self.store.own(&subject, "cert.pem").await?;
        let renewed = machine.provisioned.is_some()
            && exported.as_deref() != Some(current.client.certificate.pem().as_bytes());
        // What others did to the machine is in its journal, and not yet in the files of this computer.
        let behind = self.store.is_shared()
            && self.store.own(&subject, CHECKPOINT).await?.as_deref() != Some(&checkpoint(&machine)?);
        if renewed || behind {
            let work = Work::existing(self, name, &call).await?;
            work.export().await?;
        }
        Ok(connection)
    }

    /// Everything known of a machine. Asks nobody.
    ///
    /// # Errors
    /// When there is no such machine.
    pub async fn inspect(&self, name: &MachineName) -> Result<Inspection> {
        let machine = self.machine(name).await?;
        Ok(Inspection {
            summary: summary(&machine),
            config: machine.config.clone(),
            options: machine.options.clone(),
            resources: machine.resources(),
            connection: self.connection_of(&machine).await.ok(),
            keys: self.places_of_keys(name).await?,
            facts: machine.provisioned.as_ref().map(|engine| engine.facts.clone()),
            events: machine.last,
        })
    }

    /// The machine, without its lock.
    pub(crate) async fn machine(&self, name: &MachineName) -> Result<Machine> {
        folded(name, &self.store.journal(name).await?)
    }

    /// Where the private keys are, in words.
    async fn places_of_keys(&self, name: &MachineName) -> Result<BTreeMap<&'static str, String>> {
        let authority = self.vault.place(&Subject::Authority, AUTHORITY).await?;
        let sign_in = self.vault.place(&Subject::Machine(name.clone()), SIGN_IN).await?;
        Ok([("authority", authority.to_string()), ("ssh", sign_in.to_string())].into())
    }

    pub(crate) async fn connection_of(&self, machine: &Machine) -> Result<Connection> {
        let name = &machine.name;
        let reach = &reach_of(machine)?;
        let subject = Subject::Machine(name.clone());
        let folder = self.store.path(&subject);
        // A host that was there before has never seen the key made here.
        let made = if machine.adopts { Place::Missing } else { self.vault.place(&subject, SIGN_IN).await? };
        let identity = (made == Place::File).then(|| folder.join(SIGN_IN.file));
        let held = matches!(made, Place::EncryptedFile | Place::SealedFile(_) | Place::Keyring(_));
        Ok(Connection {
            name: name.clone(),
            id: machine.id.clone(),
            driver: machine.driver.clone(),
            url: url(machine, reach),
            tunnel: loopback_port(machine),
            engine_host: reach.engine_host.clone(),
            engine_port: reach.engine_port,
            certificates: folder.clone(),
            ssh: SshAccess {
                host: reach.ssh_host.clone(),
                port: reach.ssh_port,
                user: reach.ssh_user.clone(),
                identity: reach.access.identity.clone().or(identity),
                held: held.then(|| folder.join(public_file(SIGN_IN))),
                known_hosts: folder.join(KNOWN_HOSTS),
                host_keys: self.host_keys(machine).await?,
                jumps: reach.access.jumps.clone(),
                jump_identity: reach.access.identity.clone(),
                jump_keys: machine.jump_keys.clone(),
            },
            folder,
            life: machine.life(),
        })
    }
}

impl Work<'_> {
    pub(crate) async fn connection(&self) -> Result<Connection> {
        self.export().await?;
        self.wharf.connection_of(&self.machine()?).await
    }

    /// Writes what other programs read: certificates, accepted host keys, and a checkpoint. Unchanged files are left.
    pub(crate) async fn export(&self) -> Result<()> {
        let machine = self.machine()?;
        // An engine that another program brought believes the certificates that came with it, and no others.
        if machine.imported.is_none() {
            let current = self.wharf.identity(self.call).await?;
            self.ledger.put_own("ca.pem", current.authority_pem.as_bytes()).await?;
            // The key goes first: the certificate that is there tells whether both are current.
            self.ledger.put_own("key.pem", current.client.key_pem.expose().as_bytes()).await?;
            self.ledger.put_own("cert.pem", current.client.certificate.pem().as_bytes()).await?;
        }
        let host_keys = self.wharf.host_keys(&machine).await?;
        self.ledger.put_own(KNOWN_HOSTS, known_hosts(&machine, &host_keys).as_bytes()).await?;
        // It names the key to an SSH agent that has it.
        let public = public_file(SIGN_IN);
        if let Some(key) = self.ledger.get(&public).await? {
            self.ledger.put_own(&public, &key).await?;
        }
        // Last: whoever finds it finds the others.
        self.ledger.put_own(CHECKPOINT, &checkpoint(&machine)?).await
    }
}

fn checkpoint(machine: &Machine) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(machine)
        .map_err(|e| Error::new(Kind::Failed, format!("cannot write a machine as JSON: {e}")))
}

fn folded(name: &MachineName, entries: &[Entry]) -> Result<Machine> {
    let folded = fold(entries).map_err(|illegal| refused(&Subject::Machine(name.clone()), illegal))?;
    folded.filter(|machine| !machine.forgettable()).ok_or_else(|| no_such_machine(name))
}

pub(crate) fn summary(machine: &Machine) -> Summary {
    Summary {
        name: machine.name.clone(),
        id: machine.id.clone(),
        driver: machine.driver.clone(),
        life: machine.life(),
        url: machine.reach.as_ref().map(|reach| url(machine, reach)),
        made: machine.made / 1000,
        expires: machine.owner.expires,
        fleet: machine.fleet.clone(),
    }
}

/// Where the docker client finds the engine.
fn url(machine: &Machine, reach: &Reach) -> String {
    if let Some(url) = &reach.url {
        return url.clone();
    }
    match loopback_port(machine) {
        Some(port) => format!("tcp://{}", place("127.0.0.1", port)),
        None => format!("tcp://{}", place(&reach.engine_host, reach.engine_port)),
    }
}

/// `host:port`, with brackets around an IPv6 address.
fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The accepted host keys as OpenSSH reads them.
fn known_hosts(machine: &Machine, host_keys: &[String]) -> String {
    let Some(reach) = &machine.reach else { return String::new() };
    let jumps = machine.jump_keys.iter().map(|jump| (jump.host.as_str(), jump.port, jump.keys.as_slice()));
    let hosts = std::iter::once((reach.ssh_host.as_str(), reach.ssh_port, host_keys)).chain(jumps);
    let lines = hosts.flat_map(|(host, port, keys)| {
        let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
        keys.iter().map(move |key| format!("{name} {}\n", key.trim()))
    });
    lines.collect()
}

const KNOWN_HOSTS: &str = "known_hosts";
/// For people and scripts, and the last file that an export writes.
pub(crate) const CHECKPOINT: &str = "machine.json";
