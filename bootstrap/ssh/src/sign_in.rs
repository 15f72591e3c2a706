//! Handshake, the host's proof, then ours: in this order and in no other.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ssh2::{ErrorCode, MethodType};

use crate::connection::{Connection, EAGAIN, KEX_FAILURE, KEY_EXCHANGE_FAILURE, METHOD_NOT_SUPPORTED};
use crate::host_keys::Expected;
use crate::identity::Usable;
use crate::{Error, HostKey, Identity, Target};

/// What came of a socket.
pub(crate) enum Signed {
    /// We are in.
    In(Connection, HostKey),
    /// The host has no key of the types that we know of it: what it has must be asked on another socket.
    OtherTypes,
}

/// Signs in on a fresh socket. With `any_type` the host may show a key of any type, which the policy then judges.
pub(crate) fn sign_in(
    socket: &Arc<OwnedFd>,
    target: &Target,
    any_type: bool,
    deadline: Instant,
) -> Result<Signed, Error> {
    let expected = target.host_keys.expect(target)?;
    let connection = Connection::new(socket, target.address())?;
    let wanted = if any_type { None } else { expected.algorithms() };
    let restricted = wanted.is_some();
    match handshake(&connection, wanted.as_deref().unwrap_or(ALGORITHMS), deadline) {
        Err(Handshake::NoCommon(_)) if restricted => return Ok(Signed::OtherTypes),
        Err(Handshake::NoCommon(error) | Handshake::Failed(error)) => return Err(error),
        Ok(()) => {}
    }
    let host_key = prove(&connection, &expected, target)?;
    authenticate(&connection, target, deadline)?;
    Ok(Signed::In(connection, host_key))
}

enum Handshake {
    NoCommon(Error),
    Failed(Error),
}

fn handshake(connection: &Connection, algorithms: &str, deadline: Instant) -> Result<(), Handshake> {
    let mut session = connection.session.clone();
    let mut code = 0;
    let mut noted = |result: Result<(), ssh2::Error>| {
        result.inspect_err(|error| {
            if let ErrorCode::Session(number) = error.code() {
                code = number;
            }
        })
    };
    let result = connection
        .until(deadline, || noted(session.method_pref(MethodType::HostKey, algorithms)))
        .and_then(|()| connection.until(deadline, || noted(session.handshake())));
    result.map_err(|error| match code {
        KEX_FAILURE | KEY_EXCHANGE_FAILURE | METHOD_NOT_SUPPORTED => Handshake::NoCommon(error),
        _ => Handshake::Failed(error),
    })
}

fn prove(connection: &Connection, expected: &Expected, target: &Target) -> Result<HostKey, Error> {
    let (bytes, _) = connection
        .session
        .host_key()
        .ok_or_else(|| Error::Protocol(format!("{} showed no host key", connection.host)))?;
    let offered = HostKey::from_wire(bytes)?;
    expected.judge(target, &offered)?;
    Ok(offered)
}

fn authenticate(connection: &Connection, target: &Target, deadline: Instant) -> Result<(), Error> {
    // Asking first tells what the server takes, and a server that lets the user in without a key is content now.
    let methods =
        connection.until(deadline, || connection.session.auth_methods(&target.user).map(str::to_owned));
    if connection.session.authenticated() {
        return Ok(());
    }
    let methods = methods?;
    let mut tried = Vec::new();
    for identity in &target.identities {
        if show(connection, target, identity, &mut tried, deadline)? {
            return Ok(());
        }
    }
    Err(Error::KeyRejected { host: target.address(), user: target.user.clone(), tried, methods })
}

/// Shows one identity; what cannot be shown is noted, and the next has its turn.
fn show(
    connection: &Connection,
    target: &Target,
    identity: &Identity,
    tried: &mut Vec<String>,
    deadline: Instant,
) -> Result<bool, Error> {
    let usable = match identity {
        Identity::Agent(socket) => return show_agent(connection, target, socket, tried, deadline),
        Identity::Key(pem) => Usable::of(pem.clone(), &identity.to_string(), target.passphrase.as_ref()),
        Identity::File(path) => Usable::read(path, target.passphrase.as_ref()),
    };
    let usable = match usable {
        Ok(usable) => usable,
        // With a single identity the reason is the whole story.
        Err(error) if target.identities.len() == 1 => return Err(error),
        Err(error) => {
            tried.push(error.to_string());
            return Ok(false);
        }
    };
    tried.push(identity.to_string());
    if usable.certificate.is_some() && offer(connection, target, &usable, true, deadline)? {
        return Ok(true);
    }
    offer(connection, target, &usable, false, deadline)
}

fn offer(
    connection: &Connection,
    target: &Target,
    usable: &Usable,
    certified: bool,
    deadline: Instant,
) -> Result<bool, Error> {
    let public = usable.certificate.as_deref().filter(|_| certified);
    let (pem, passphrase) = (usable.pem.as_str(), usable.passphrase.as_deref());
    accepted(connection, deadline, || {
        connection.session.userauth_pubkey_memory(&target.user, public, pem, passphrase)
    })
}

fn show_agent(
    connection: &Connection,
    target: &Target,
    socket: &Path,
    tried: &mut Vec<String>,
    deadline: Instant,
) -> Result<bool, Error> {
    let open = || {
        let mut agent = connection.session.agent()?;
        agent.set_identity_path(socket)?;
        agent.connect()?;
        agent.list_identities()?;
        let keys = agent.identities()?;
        Ok::<_, ssh2::Error>((agent, keys))
    };
    let (agent, keys) = match open() {
        Ok(opened) => opened,
        Err(error) => {
            tried.push(format!("the SSH agent at {}: {}", socket.display(), error.message()));
            return Ok(false);
        }
    };
    for key in &keys {
        tried.push(format!("the agent's key {}", key.comment()));
        if accepted(connection, deadline, || agent.userauth(&target.user, key))? {
            return Ok(true);
        }
    }
    if keys.is_empty() {
        tried.push(format!("the SSH agent at {}, which holds no key", socket.display()));
    }
    Ok(false)
}

/// True when the server took the key, false when it or libssh2 did not; only a broken connection is an error.
fn accepted(
    connection: &Connection,
    deadline: Instant,
    mut step: impl FnMut() -> Result<(), ssh2::Error>,
) -> Result<bool, Error> {
    let mut refused = false;
    let result = connection.until(deadline, || match step() {
        Err(error) if error.code() == ErrorCode::Session(EAGAIN) => Err(error),
        Err(error) if !matches!(connection.failed(&error), Error::Lost { .. }) => {
            tracing::debug!(host = connection.host, reason = error.message(), "a key was not accepted");
            refused = true;
            Ok(())
        }
        result => result,
    });
    result.map(|()| !refused && connection.session.authenticated())
}

/// Everything but SHA-1.
const ALGORITHMS: &str =
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256";
