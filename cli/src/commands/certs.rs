//! `wharf certs`: what certificates there are and how long they are good, and one for somebody else.

use std::time::{Duration, UNIX_EPOCH};

use clap::Subcommand;
use serde::Serialize;
use wharf_core::{Issue, Issued, Role};

use super::{Cx, machine_name};
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::ui::{Board, Table};

/// Lists certificates, and issues one to a colleague or a job
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Prints every certificate, and the days that it is still good
    Ls,
    Issue(IssueArgs),
}

/// Makes a client certificate for a colleague or a job
///
/// Whoever has the three files uses them as: DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=FOLDER DOCKER_HOST=… docker ps
#[derive(Debug, clap::Args)]
struct IssueArgs {
    /// Who gets it; shown in the agents' logs
    #[arg(value_name = "WHO")]
    who: String,
    /// What it may do: reader looks, operator runs containers that cannot reach the host, admin does everything
    #[arg(long, value_name = "ROLE", default_value_t = Role::Reader)]
    role: Role,
    /// The one machine that it opens; every machine when not given
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// How many days it is good
    #[arg(long, value_name = "NUMBER", default_value_t = 30, conflicts_with = "hours")]
    days: u32,
    /// How many hours it is good, instead
    #[arg(long, value_name = "NUMBER")]
    hours: Option<u32>,
    /// The folder to put ca.pem, cert.pem and key.pem into [default: one that is called WHO]
    #[arg(long, value_name = "FOLDER")]
    out: Option<String>,
}

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: u64 = 3600;
const DAY: i64 = 24 * 3600;

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    match args.verb {
        Verb::Ls => list(cx).await,
        Verb::Issue(args) => issue(args, cx).await,
    }
}

/// One row, as programs see it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    certificate: &'a Issued,
    days_left: i64,
}

async fn list(cx: &Cx) -> Result<()> {
    let all = cx.wharf().certificates().await?;
    let now = (cx.world.clock)().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let left = |certificate: &Issued| certificate.ends.saturating_sub(now).div_euclid(DAY);
    if cx.ui.is_json() {
        let rows: Vec<_> =
            all.iter().map(|certificate| Row { certificate, days_left: left(certificate) }).collect();
        return cx.ui.json(&rows);
    }
    let mut table = Table::new(&["FOR", "NAME", "ROLE", "MACHINE", "DAYS LEFT"]);
    for certificate in &all {
        let days = left(certificate);
        let machine = certificate.machine.as_ref().map(ToString::to_string);
        table.row([
            certificate.kind.clone(),
            certificate.name.clone(),
            certificate.role.map(|role| role.to_string()).unwrap_or_default(),
            machine.unwrap_or_default(),
            if days < 0 { "ended".to_owned() } else { days.to_string() },
        ]);
    }
    cx.ui.table(&table)
}

async fn issue(args: IssueArgs, cx: &Cx) -> Result<()> {
    let machine = args.machine.as_deref().map(machine_name).transpose()?;
    let out = cx.world.absolute(args.out.as_deref().unwrap_or(&args.who));
    let file = |name: &str| out.join(name);
    if let Some(there) = ["ca.pem", "cert.pem", "key.pem"].map(file).iter().find(|file| file.exists()) {
        return Err(Error::new(Kind::Refused, format!("{} is there already", there.display()))
            .hint("name another folder with --out"));
    }
    let hours = args.hours.map_or(u64::from(args.days) * 24, u64::from);
    let wish = Issue { name: args.who, role: args.role, machine, valid: Duration::from_secs(hours * HOUR) };
    let call = cx.call("certs issue", PATIENCE, &Board::new(&cx.ui));
    let made = cx.wharf().issue_to(&wish, &call).await?;
    for (name, text) in
        [("ca.pem", &made.authority), ("key.pem", made.key.expose()), ("cert.pem", &made.client)]
    {
        files::replace(&file(name), text.as_bytes())?;
    }
    if cx.ui.is_json() {
        return cx.ui.json(&serde_json::json!({ "name": wish.name, "role": wish.role, "folder": out }));
    }
    cx.ui.result(&out.display().to_string())
}
