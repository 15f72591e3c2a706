//! `wharf import`: machines of docker-machine's, kept here from now on. No machine is touched or connected to; what
//! each of them can do here, and cannot, is said. Or machines of another store, from a bundle.

mod bundle;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use time::OffsetDateTime;
use wharf_core::{Certificates, CreateRequest, ImportRequest, MachineName, Wharf};
use wharf_driver::{Access, HostKeyTrust, Reach, Settings};

use super::{Cx, machine_name};
use crate::docker_machine::{Kept, Remembered, machines};
use crate::error::{Error, Kind, Result, of_several};
use crate::settings;
use crate::ui::Board;

/// Takes over machines of a bundle (see `wharf export`) or of docker-machine, without touching them
///
/// Says of each machine what will work and what won't. A machine of the same name that is here stays as it is, and so
/// does docker-machine's own folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wharf import shop.age                     with the identity that it was encrypted to
  wharf import --from docker-machine        what is in ~/.docker/machine")]
pub(crate) struct Args {
    /// Another program's machines: docker-machine's
    #[arg(long, value_name = "PROGRAM", value_parser = ["docker-machine"], hide_possible_values = true)]
    from: Option<String>,
    /// The bundle, or `-` for standard input; with --from the folder that machines are in [default: MACHINE_STORAGE_PATH,
    /// or ~/.docker/machine]
    #[arg(value_name = "FILE|DIR", required_unless_present = "from")]
    place: Option<String>,
    /// Say what would be imported, and import nothing
    #[arg(long)]
    dry_run: bool,
    /// Accept whatever SSH host key a machine shows at the first connection: docker-machine kept none to compare with
    #[arg(long, requires = "from")]
    ssh_accept_new_host_key: bool,
}

const FROM: &str = "docker-machine";
/// Nothing is waited for but locks and the disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of one machine, or would.
#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    /// Its driver in docker-machine.
    was: String,
    /// Its driver here.
    driver: String,
    url: String,
    /// Whether it is here now; `false` for a dry run.
    imported: bool,
    works: Vec<String>,
    lacks: Vec<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    if let (None, Some(file)) = (&args.from, &args.place) {
        return bundle::run(file, args.dry_run, cx).await;
    }
    let kept = machines(&folder(&args, cx)?)?;
    let wharf = cx.wharf();
    let total = kept.len();
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for Kept { name, machine } in kept {
        let outcome = match machine {
            Ok(machine) => import(&name, &machine, &args, &wharf, cx).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(outcome) => {
                if !cx.ui.is_json() {
                    show(&outcome, cx)?;
                }
                done.push(outcome);
            }
            Err(error) => {
                cx.ui.error(&error, Some(&name));
                failures.push(error.kind);
            }
        }
    }
    if cx.ui.is_json() {
        cx.ui.json(&done)?;
    }
    summarize(&done, total, args.dry_run, cx);
    of_several(total, &failures).map_or(Ok(()), |kind| Err(Error::told(kind)))
}

fn folder(args: &Args, cx: &Cx) -> Result<PathBuf> {
    let named = args.place.as_deref().or_else(|| cx.world.var("MACHINE_STORAGE_PATH"));
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        return Ok(cx.world.absolute(named));
    }
    let home = cx.world.home.as_ref();
    home.map(|home| home.join(".docker/machine")).ok_or_else(|| {
        Error::usage("there is no home folder to look in")
            .hint("name the folder: wharf import --from docker-machine DIR")
    })
}

async fn import(name: &str, machine: &Remembered, args: &Args, wharf: &Wharf, cx: &Cx) -> Result<Outcome> {
    let name = machine_name(name)?;
    if wharf.list().await?.iter().any(|(there, _)| *there == name)
        && wharf.inspect(&name).await.is_ok_and(|there| there.summary.life != wharf_core::Life::Creating)
    {
        return Err(Error::new(Kind::Refused, format!("there is a machine `{name}` here already"))
            .hint("it is left as it is"));
    }
    let request = request(&name, machine, args, wharf, cx)?;
    if !args.dry_run {
        let call = cx.call("import", PATIENCE, &Board::new(&cx.ui));
        let silent = wharf_core::Call { events: wharf_core::Sink::new(|_| {}), ..call };
        wharf.import(&request, &silent).await?;
    }
    Ok(outcome(&request, machine, !args.dry_run, (cx.world.clock)()))
}

/// The machine as one that exists: by its address, or by the address of its engine where that is all there is.
fn request(
    name: &MachineName,
    machine: &Remembered,
    args: &Args,
    wharf: &Wharf,
    cx: &Cx,
) -> Result<ImportRequest> {
    let mut set = Settings::default();
    let key = machine.key.is_ok().then(|| wharf.imported_key(name));
    let driver = if let Some(url) = &machine.url {
        set.set("none-url", vec![url.clone()]);
        "none"
    } else if machine.address.is_empty() {
        return Err(Error::failed("docker-machine wrote no address of it down").hint(
            "take it over by the address that it has: `wharf create --driver ssh --ssh-address ADDRESS NAME`",
        ));
    } else {
        set.set("ssh-address", vec![machine.address.clone()]);
        set.set("ssh-user", vec![machine.ssh_user.clone()]);
        set.set("ssh-port", vec![machine.ssh_port.to_string()]);
        set.set("ssh-engine-port", vec![machine.engine_port.to_string()]);
        set.set("ssh-key", key.iter().map(|key| key.display().to_string()).collect());
        if args.ssh_accept_new_host_key {
            set.set("ssh-accept-new-host-key", vec!["true".to_owned()]);
        }
        "ssh"
    };
    let trust = if args.ssh_accept_new_host_key { HostKeyTrust::AcceptNew } else { HostKeyTrust::Known };
    let access = Access { identity: key, jumps: Vec::new(), host_key: trust };
    Ok(ImportRequest {
        machine: CreateRequest {
            name: name.clone(),
            driver: driver.to_owned(),
            config: settings::find(&cx.build.drivers, driver)?.configured(&set)?,
            options: machine.options.clone(),
            expires: None,
            bare: false,
            fleet: None,
            hooks: Vec::new(),
        },
        from: FROM.to_owned(),
        reach: reach(machine, access),
        certificates: machine.certificates.as_ref().ok().cloned(),
        sign_in: machine.key.as_ref().ok().cloned().filter(|_| machine.url.is_none()),
    })
}

fn reach(machine: &Remembered, access: Access) -> Reach {
    let Remembered { address, ssh_port, ssh_user, engine_port, .. } = machine;
    let place = machine.url.as_deref().map(|url| url.split_once("://").map_or(url, |(_, place)| place));
    let (host, port) =
        match place.map(|place| place.rsplit_once(':').map(|(host, port)| (host, port.parse()))) {
            Some(Some((host, Ok(port)))) => (host.trim_matches(['[', ']']).to_owned(), port),
            Some(_) => (place.unwrap_or_default().to_owned(), *engine_port),
            None => (address.clone(), *engine_port),
        };
    Reach {
        ssh_host: host.clone(),
        ssh_port: *ssh_port,
        ssh_user: ssh_user.clone(),
        engine_host: host,
        engine_port: port,
        url: machine.url.clone(),
        access,
    }
}

fn outcome(request: &ImportRequest, machine: &Remembered, imported: bool, now: SystemTime) -> Outcome {
    let mut works = vec!["ls, url, ip, inspect, rm".to_owned()];
    let mut lacks = Vec::new();
    match &machine.certificates {
        Ok(certificates) => match ended(certificates, now) {
            None => works.push("env, config, context: with the certificates of docker-machine".to_owned()),
            Some(why) => lacks.push(format!("env, config, context: {why}")),
        },
        Err(why) => lacks.push(format!("env, config, context: {why}")),
    }
    if machine.url.is_some() {
        lacks.push("ssh, scp, provision, start, stop: it is an address and nothing else".to_owned());
    } else {
        match &machine.key {
            Ok(_) => works.push(
                "ssh, scp: with the key of docker-machine, which kept no host key: the first connection asks"
                    .to_owned(),
            ),
            Err(why) => lacks.push(format!("ssh, scp: {why}; your own keys are tried")),
        }
        let power = match machine.driver.as_str() {
            "generic" => "start, stop, kill: nobody has power over it from here, as before".to_owned(),
            driver => format!(
                "start, stop, kill: by what `{driver}` itself offers; `rm` forgets the machine and leaves it there"
            ),
        };
        lacks.push(power);
        lacks.push("regenerate-certs, provision: its engine is not wharf's; once that is off the host, `provision` brings wharf's own".to_owned());
    }
    let Reach { engine_host, engine_port, url, .. } = &request.reach;
    let bracketed = if engine_host.contains(':') { format!("[{engine_host}]") } else { engine_host.clone() };
    Outcome {
        name: request.machine.name.to_string(),
        was: machine.driver.clone(),
        driver: request.machine.driver.clone(),
        url: url.clone().unwrap_or_else(|| format!("tcp://{bracketed}:{engine_port}")),
        imported,
        works,
        lacks,
    }
}

/// Why a docker client cannot use these, if it cannot.
fn ended(certificates: &Certificates, now: SystemTime) -> Option<String> {
    match certificates.ends() {
        Ok(ends) if ends > now => None,
        Ok(ends) => Some(format!("the client certificate ended on {}", OffsetDateTime::from(ends).date())),
        Err(error) => Some(error.to_string()),
    }
}

fn show(outcome: &Outcome, cx: &Cx) -> Result<()> {
    let Outcome { name, was, driver, url, .. } = outcome;
    let kind = if was == driver { was.clone() } else { format!("{was}, kept as `{driver}`") };
    cx.ui.result(&format!("{name}  {url}  ({kind})"))?;
    for (mark, lines) in [("works", &outcome.works), ("won't", &outcome.lacks)] {
        for line in lines {
            cx.ui.result(&format!("  {mark}  {line}"))?;
        }
    }
    Ok(())
}

fn summarize(done: &[Outcome], total: usize, dry_run: bool, cx: &Cx) {
    let count = done.len();
    cx.ui.note(&match (total, dry_run) {
        (0, _) => "there are no machines in that folder".to_owned(),
        (_, true) => format!("{count} of {total} machines would be imported; nothing was written"),
        (_, false) => format!("{count} of {total} machines imported; none was touched"),
    });
}
