//! `wharf ls`: all machines, asked at once, with one deadline for all of them.

mod filter;
mod format;

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use wharf_core::{EngineOptions, Life, Look, MachineName, Observed, Summary, Wharf};
use wharf_driver::State;

use self::filter::Filters;
use super::active::Target;
use super::{Cx, refuse_wrong_host_keys};
use crate::config::span;
use crate::docker_machine::COLUMNS;
use crate::error::{Error, Result};
use crate::ui::{Board, Table, Template, natural};

/// Lists machines
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print names only
    #[arg(short, long)]
    quiet: bool,
    /// Only machines that fit: name=REGEX, driver=NAME, state=STATE, label=KEY[=VALUE]. Of one key any may fit, of
    /// several all must
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Print them as this Go template says: .Name, .Active, .ActiveHost, .DriverName, .State, .URL, .EngineOptions,
    /// .Error, .DockerVersion, .ResponseTime; `table` in front makes columns
    #[arg(short, long, value_name = "TEMPLATE", conflicts_with = "quiet")]
    format: Option<String>,
    /// How long to wait for answers, as docker-machine had it: --timeout is the same
    #[arg(short = 't', value_name = "SECONDS", hide = true)]
    patience: Option<String>,
}

/// One machine as it is shown.
#[derive(Debug, Serialize)]
struct Row {
    name: MachineName,
    active: bool,
    driver: Option<String>,
    state: String,
    url: Option<String>,
    docker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    warnings: Vec<String>,
    errors: Vec<String>,
    #[serde(skip)]
    took: Duration,
    #[serde(skip)]
    options: EngineOptions,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let filters = Filters::parse(&args.filter)?;
    let usual = (cx.docker_machine.is_some() && !args.quiet && !cx.ui.is_json()).then_some(COLUMNS);
    let template = args.format.as_deref().or(usual).map(Template::parse).transpose()?;
    let wharf = cx.wharf();
    let names = chosen(&filters, &wharf).await?;
    if args.quiet && !filters.want_state() {
        return print_names(names.iter(), cx);
    }
    let board = Board::new(&cx.ui);
    let mut call = cx.call("ls", Duration::from_secs(10), &board);
    if let Some(patience) = &args.patience {
        call.deadline = span(patience).map_err(Error::usage)?;
    }
    let look = if args.quiet { Look::States } else { Look::Engines };
    let observed = if names.is_empty() { Vec::new() } else { wharf.observe(&names, look, &call).await? };
    let target = Target::of(cx);
    let mut rows: Vec<Row> = observed.iter().map(|machine| row(machine, &target)).collect();
    for row in rows.iter_mut().filter(|_| template.is_some()) {
        row.options = wharf.inspect(&row.name).await.map(|inspection| inspection.options).unwrap_or_default();
    }
    rows.retain(|row| filters.fit_state(&row.state));
    rows.sort_by(|a, b| natural(a.name.as_str(), b.name.as_str()));
    if args.quiet {
        return print_names(rows.iter().map(|row| &row.name), cx);
    }
    if let Some(template) = template {
        let items: Vec<format::Item<'_>> = rows.iter().map(format::Item::of).collect();
        cx.ui.raw(&template.rows(&format::HEADINGS, &items)?)?;
        return refuse_wrong_host_keys(&observed);
    }
    if cx.ui.is_json() {
        cx.ui.json(&rows)?;
        return refuse_wrong_host_keys(&observed);
    }
    let now = (cx.world.clock)().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    cx.ui.table(&table(&rows, now))?;
    if rows.is_empty() && args.filter.is_empty() {
        cx.ui.note("there are no machines yet: `wharf create NAME` makes one");
    }
    refuse_wrong_host_keys(&observed)
}

/// The machines that fit as far as their journals tell, in the order people expect.
async fn chosen(filters: &Filters, wharf: &Wharf) -> Result<Vec<MachineName>> {
    let mut names = Vec::new();
    for (name, summary) in wharf.list().await? {
        let driver = summary.as_ref().ok().map(|summary| summary.driver.as_str());
        let labels = if filters.want_labels() {
            wharf.inspect(&name).await.map(|inspection| inspection.options.labels).unwrap_or_default()
        } else {
            Vec::new()
        };
        if filters.fit(name.as_str(), driver, &labels) {
            names.push(name);
        }
    }
    names.sort_by(|a, b| natural(a.as_str(), b.as_str()));
    Ok(names)
}

fn print_names<'a>(names: impl Iterator<Item = &'a MachineName>, cx: &Cx) -> Result<()> {
    if cx.ui.is_json() {
        return cx.ui.json(&names.collect::<Vec<_>>());
    }
    names.into_iter().try_for_each(|name| cx.ui.result(name.as_str()))
}

fn row(machine: &Observed, target: &Target<'_>) -> Row {
    let summary = machine.summary.as_ref();
    Row {
        name: machine.name.clone(),
        active: summary.is_some_and(|summary| target.is(summary)),
        driver: summary.map(|summary| summary.driver.clone()),
        state: state_word(machine).to_owned(),
        url: summary.and_then(|summary| summary.url.clone()),
        docker: machine.engine.as_ref().map(|engine| engine.version.clone()),
        expires: summary.and_then(|summary| summary.expires),
        warnings: machine.warnings.clone(),
        errors: machine.errors.clone(),
        took: machine.took,
        options: EngineOptions::default(),
    }
}

/// When machines end is a column where any of them does.
fn table(rows: &[Row], now: u64) -> Table {
    let ending = rows.iter().any(|row| row.expires.is_some());
    let mut columns = vec!["NAME", "ACTIVE", "DRIVER", "STATE", "URL", "DOCKER", "ENDS", "ERRORS"];
    columns.retain(|column| ending || *column != "ENDS");
    let mut table = Table::new(&columns);
    for row in rows {
        let wrong: Vec<&str> = row.errors.iter().chain(&row.warnings).map(String::as_str).collect();
        let mut cells = vec![
            row.name.to_string(),
            if row.active { "*" } else { "-" }.to_owned(),
            row.driver.clone().unwrap_or_default(),
            row.state.clone(),
            row.url.clone().unwrap_or_default(),
            row.docker.as_ref().map_or("Unknown".to_owned(), |version| format!("v{version}")),
        ];
        if ending {
            cells.push(row.expires.map(|end| ends(end, now)).unwrap_or_default());
        }
        cells.push(wrong.join("; "));
        table.row(cells);
    }
    table
}

/// How long it still has.
fn ends(end: u64, now: u64) -> String {
    match end.saturating_sub(now) {
        0 => "over".to_owned(),
        left if left < 3600 => format!("in {} min", left.div_ceil(60)),
        left if left < 172_800 => format!("in {} h", left.div_ceil(3600)),
        left => format!("in {} d", left.div_ceil(86_400)),
    }
}

/// The one word for a machine's state: what the journal says of an unfinished one, what the driver says of others.
pub(super) fn state_word(machine: &Observed) -> &'static str {
    match machine.summary.as_ref().map(|summary: &Summary| summary.life) {
        None => return "Damaged",
        Some(Life::Creating) => return "Unfinished",
        Some(Life::Removing) => return "Removing",
        Some(Life::Bare | Life::Ready) => {}
    }
    match machine.state {
        Some(State::Running) => "Running",
        Some(State::Starting) => "Starting",
        Some(State::Stopping) => "Stopping",
        Some(State::Stopped) => "Stopped",
        Some(State::Partial) => "Partial",
        Some(State::Absent) => "Gone",
        // A host that exists already is running if its engine says something.
        Some(State::Unknown) if machine.engine.is_some() => "Running",
        Some(State::Unknown) => "Unknown",
        None => "Timeout",
    }
}
