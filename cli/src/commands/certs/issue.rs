//! `wharf certs issue`.

use std::path::Path;
use std::time::Duration;

use wharf_core::{Certificates, Issue, Role};

use super::{Cx, PATIENCE};
use crate::commands::machine_name;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::ui::Board;

/// Makes a client certificate for a colleague or a job
///
/// Whoever has the three files uses them as: DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=FOLDER DOCKER_HOST=… docker ps
#[derive(Debug, clap::Args)]
pub(super) struct Args {
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

const HOUR: u64 = 3600;
/// What a docker client looks for in a folder.
pub(crate) const FILES: [&str; 3] = ["ca.pem", "key.pem", "cert.pem"];

/// Puts them where a docker client finds them. The certificate is last: where it is, the others are.
pub(crate) fn write(folder: &Path, made: &Certificates) -> Result<()> {
    for (name, text) in FILES.into_iter().zip([&made.authority, made.key.expose(), &made.client]) {
        files::replace(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

pub(super) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let machine = args.machine.as_deref().map(machine_name).transpose()?;
    let out = cx.world.absolute(args.out.as_deref().unwrap_or(&args.who));
    let file = |name: &str| out.join(name);
    if let Some(there) = FILES.map(file).iter().find(|file| file.exists()) {
        return Err(Error::new(Kind::Refused, format!("{} is there already", there.display()))
            .hint("name another folder with --out"));
    }
    let hours = args.hours.map_or(u64::from(args.days) * 24, u64::from);
    let wish = Issue { name: args.who, role: args.role, machine, valid: Duration::from_secs(hours * HOUR) };
    let call = cx.call("certs issue", PATIENCE, &Board::new(&cx.ui));
    let made = cx.wharf().issue_to(&wish, &call).await?;
    write(&out, &made)?;
    if cx.ui.is_json() {
        return cx.ui.json(&serde_json::json!({ "name": wish.name, "role": wish.role, "folder": out }));
    }
    cx.ui.result(&out.display().to_string())
}
