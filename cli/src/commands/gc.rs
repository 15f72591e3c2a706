//! `wharf gc`: what is left in clouds and belongs to no machine of this store. Shown first, removed with `--yes`.

use std::time::Duration;

use serde_json::{Value, json};
use wharf_core::{Call, End, Fate, Leftover, Leftovers, Place, RemoveOptions, StoreId, Wharf};
use wharf_driver::Profile;

use super::{Cx, rm};
use crate::clouds::Clouds;
use crate::error::{Error, Kind, Result, of_several};
use crate::settings::{self, Given};
use crate::ui::{Board, Table};

/// Finds what is left in clouds and belongs to no machine; --yes removes it
///
/// Without --driver and --cloud it looks wherever this store's machines are and in every cloud that was set up. It goes
/// by tags: what carries this store's and is in no journal goes, and so does a machine whose time is over. What is
/// younger than an hour by the cloud's clock stays, and so does what another command holds. What other stores or
/// docker-machine left is listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wharf gc                                   shows what would be removed, and removes nothing
  wharf gc --yes                             removes it
  wharf gc --cloud stamp1 --store-id ID      what a store left that is lost")]
pub(crate) struct Args {
    /// Where to look, with this driver's options below
    #[arg(short, long)]
    driver: Option<String>,
    /// The cloud to look in, set up by `wharf cloud add`
    #[arg(long, value_name = "NAME")]
    cloud: Option<String>,
    /// The store whose leftovers go, instead of this one: a lost one, for nobody can tell what its machines are for
    #[arg(long, value_name = "ID")]
    store_id: Option<String>,
    /// Remove what is shown without it
    #[arg(short, long)]
    yes: bool,
    /// Show what would be removed, as happens without --yes
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// What is shown of one thing, and what came of it.
struct Row<'a> {
    thing: &'a Leftover,
    end: Option<End>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let clouds = cx.clouds();
    let store = args.store_id.as_deref().map(store_id).transpose()?;
    let wharf = cx.wharf_at(&clouds, args.cloud.as_deref());
    let places = places(&args, cx, &clouds, &wharf).await?;
    if places.is_empty() {
        cx.ui.note("there is nowhere to look: this store has no machines, and no cloud was set up");
        cx.ui.note("name a place with --driver or --cloud");
    }
    let board = Board::new(&cx.ui);
    let mut call = cx.call("gc", Duration::from_secs(900), &board);
    // What another command holds is not waited for: it stays.
    call.lock_wait = Duration::ZERO;
    let found = wharf.leftovers(&places, store.as_ref(), &call).await?;
    for (place, error) in &found.trouble {
        cx.ui.error(&Error::from(error.again()), Some(place));
    }
    let ends = if args.yes { remove(&found, &wharf, &call, cx).await } else { Vec::new() };
    let mut rows: Vec<Row<'_>> = found.things.iter().map(|thing| Row { thing, end: None }).collect();
    for (at, end) in ends {
        rows[at].end = Some(end);
    }
    show(&rows, cx)?;
    if rows.is_empty() && places.len() > found.trouble.len() {
        cx.ui.note("nothing is left over");
    }
    if !args.yes {
        say_how_to_go_on(&rows, &found, cx);
    }
    judge(&places, &found, &rows)
}

fn store_id(text: &str) -> Result<StoreId> {
    if text.len() == 16 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(StoreId(text.to_owned()));
    }
    Err(Error::usage(format!("`{text}` is no store's id: those have sixteen hex digits"))
        .hint("`wharf gc` lists what other stores left, with their ids"))
}

/// Where to look: the place that was named, or everywhere.
async fn places(args: &Args, cx: &Cx, clouds: &Clouds, wharf: &Wharf) -> Result<Vec<Place>> {
    let flags = cx.driver_flags.as_ref().ok_or_else(|| Error::usage("the driver's flags are missing"))?;
    let configured = |driver: &str, profile: Option<&Profile>| {
        let given = Given { flags, profile, config: &cx.config, world: &cx.world };
        let driver = settings::find(&cx.build.drivers, driver)?.about().name.to_owned();
        let config = settings::configuration(&cx.build.drivers, &driver, &given)?;
        let called = profile.map_or_else(|| driver.clone(), |profile| profile.name.clone());
        Ok::<Place, Error>(Place { called, driver, config })
    };
    if let Some(name) = &args.cloud {
        let profile = clouds.find(name)?;
        let driver = args.driver.as_deref().unwrap_or(&profile.driver);
        return Ok(vec![configured(driver, Some(profile))?]);
    }
    if let Some(driver) = &args.driver {
        return Ok(vec![configured(driver, None)?]);
    }
    if settings::any_given(&cx.build.drivers, flags) {
        return Err(Error::usage("the options of a driver say where to look, and no driver is named")
            .hint("add --driver"));
    }
    let mut places: Vec<Place> = Vec::new();
    for profile in clouds.profiles() {
        places.push(configured(&profile.driver, Some(profile))?);
    }
    for (name, summary) in wharf.list().await? {
        let Ok(summary) = summary else { continue };
        let Ok(inspection) = wharf.inspect(&name).await else { continue };
        let known = |place: &Place| place.driver == summary.driver && place.config == inspection.config;
        if makes_machines(&summary.driver, cx) && !places.iter().any(known) {
            let called = format!("where {name} is");
            places.push(Place { called, driver: summary.driver, config: inspection.config });
        }
    }
    Ok(places)
}

/// Whether the driver makes machines: who only takes over hosts leaves none.
fn makes_machines(driver: &str, cx: &Cx) -> bool {
    settings::find(&cx.build.drivers, driver).is_ok_and(|entry| !entry.about().capabilities.adopts)
}

/// Removes machines whose time is over as `rm` does, then everything else.
async fn remove(found: &Leftovers, wharf: &Wharf, call: &Call, cx: &Cx) -> Vec<(usize, End)> {
    let mut ends = Vec::new();
    for (at, thing) in found.things.iter().enumerate().filter(|(_, thing)| thing.fate == Fate::Expired) {
        let Some(name) = &thing.machine else { continue };
        let end = match rm::remove(name, RemoveOptions::default(), wharf, call, cx).await {
            Ok(removed) => {
                for left in &removed.left {
                    cx.ui.note(&format!("{name}: {left}"));
                }
                End::Removed
            }
            Err(error) if error.kind == Kind::NoSuchMachine => End::Removed,
            Err(error) if error.kind == Kind::Locked => End::Left(error.to_string()),
            Err(error) => {
                cx.ui.error(&error, Some(name.as_str()));
                End::Failed(wharf_core::Error::new(error.kind, error.to_string()))
            }
        };
        ends.push((at, end));
    }
    let collected = wharf.collect(&found.things, call).await;
    for (at, end) in &collected {
        if let End::Failed(error) = end {
            cx.ui.error(&Error::from(error.again()), Some(&found.things[*at].name));
        }
    }
    ends.extend(collected);
    ends
}

fn show(rows: &[Row<'_>], cx: &Cx) -> Result<()> {
    if cx.ui.is_json() {
        return cx.ui.json(&rows.iter().map(Row::object).collect::<Vec<_>>());
    }
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["DRIVER", "STORE", "MACHINE", "WHAT", "NAME", "AGE", "FATE", "BECAUSE"]);
    for row in rows {
        let thing = row.thing;
        table.row([
            thing.driver.clone(),
            thing.store.clone().unwrap_or_default(),
            thing.machine.as_ref().map(ToString::to_string).unwrap_or_default(),
            thing.kind.clone(),
            thing.name.clone(),
            thing.age.map(age).unwrap_or_default(),
            row.fate().to_owned(),
            row.because(),
        ]);
    }
    cx.ui.table(&table)
}

impl Row<'_> {
    fn fate(&self) -> &'static str {
        match (&self.end, self.thing.fate) {
            (Some(End::Removed), _) => "removed",
            (Some(End::Failed(_)), _) => "failed",
            (Some(End::Left(_)), _) | (None, Fate::Keep) => "keep",
            (None, Fate::Remove | Fate::Expired) => "remove",
        }
    }

    fn because(&self) -> String {
        match &self.end {
            Some(End::Left(why)) => why.clone(),
            Some(End::Failed(error)) => error.to_string(),
            Some(End::Removed) | None => self.thing.because.clone(),
        }
    }

    fn object(&self) -> Value {
        let mut object = json!(self.thing);
        (object["fate"], object["because"]) = (json!(self.fate()), json!(self.because()));
        object["expired"] = json!(self.thing.fate == Fate::Expired);
        object
    }
}

/// How old, in a column.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn say_how_to_go_on(rows: &[Row<'_>], found: &Leftovers, cx: &Cx) {
    let going = rows.iter().filter(|row| row.thing.fate != Fate::Keep).count();
    let other = |row: &Row<'_>| row.thing.store.as_ref().is_some_and(|store| *store != found.store.0);
    if going > 0 {
        cx.ui
            .note(&format!("nothing was removed: --yes removes what says `remove`, which is {going} in all"));
    }
    if rows.iter().any(other) {
        cx.ui.note("what another store left is removed with --store-id ID, once you know that it is lost");
    }
}

/// The exit code: of places that could not be asked, and of things that could not be removed.
fn judge(places: &[Place], found: &Leftovers, rows: &[Row<'_>]) -> Result<()> {
    let tried = rows.iter().filter(|row| row.end.is_some()).count();
    let places_failed = found.trouble.iter().map(|(_, error)| error.kind());
    let failed = rows.iter().filter_map(|row| match &row.end {
        Some(End::Failed(error)) => Some(error.kind()),
        _ => None,
    });
    let failed: Vec<Kind> = places_failed.chain(failed).collect();
    of_several(places.len() + tried, &failed).map_or(Ok(()), |kind| Err(Error::told(kind)))
}
