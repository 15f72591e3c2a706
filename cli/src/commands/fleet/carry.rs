//! Carrying changes out: several machines at once, each by the verbs that a person would have used.
//!
//! Stopping is safe at any time: every deed is journaled as those verbs journal it, so that the next `apply` finds what
//! is missing. After a failure nothing further is begun, unless that is wanted; what goes on is not torn down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use wharf_core::{Call, Change, Connection, Deed, Life, MachineName, Power, RemoveOptions, Wharf};

use super::certificates;
use super::report::{Case, Outcome, Report};
use super::{Loaded, Manner, Seen};
use crate::commands::{Cx, context, create, rm};
use crate::error::{Error, Kind, Result, of_several};
use crate::ui::{Board, natural};

/// How changes are carried out.
pub(crate) struct Carry<'a> {
    pub(crate) wharf: &'a Wharf,
    pub(crate) call: &'a Call,
    pub(crate) board: &'a Board,
    pub(crate) cx: &'a Cx,
    /// What is wanted; nothing is, when a fleet is destroyed.
    pub(crate) loaded: Option<&'a Loaded>,
    pub(crate) manner: &'a Manner,
    /// Take agents and their data off hosts that existed before.
    pub(crate) purge: bool,
    /// Run hooks for machines of another store, too.
    pub(crate) allow_hooks: bool,
    /// Where it is written down what became of each machine.
    pub(crate) report: Option<&'a Report>,
}

/// How it ended for one machine.
enum End {
    Done,
    Failed(Error),
    NotBegun,
}

/// Carries out what was seen, shows what failed, and for programs what it was.
///
/// # Errors
/// The kind of what failed; it was shown already.
pub(crate) async fn carry_out(seen: &Seen, how: &Carry<'_>) -> Result<()> {
    let ends = work(&seen.changes, how).await;
    how.complete(&seen.changes).await;
    let done = tell(&ends, how);
    // They may be for machines that were made just now.
    let done = if how.call.cancel.is_cancelled() {
        done
    } else {
        done.and(certificates::issue(&seen.certificates, how.wharf, how.call, how.cx).await)
    };
    let written = match how.report {
        Some(report) => report.write(seen.fleet(), &cases(seen, &ends)),
        None => Ok(()),
    };
    if how.cx.ui.is_json() {
        how.cx.ui.json(&seen.object())?;
    }
    done.and(written)
}

/// Writes down that nothing was begun.
pub(crate) fn report_unbegun(seen: &Seen, report: &Report) -> Result<()> {
    let pending = seen.changes.iter().filter(|change| !change.deeds.is_empty());
    let ends: Vec<Ended> =
        pending.map(|change| (change.name.clone(), End::NotBegun, Duration::ZERO)).collect();
    report.write(seen.fleet(), &cases(seen, &ends))
}

/// How it ended for one machine, and how long it took.
type Ended = (MachineName, End, Duration);

async fn work(changes: &[Change], how: &Carry<'_>) -> Vec<Ended> {
    let stop = AtomicBool::new(false);
    let pending: Vec<&Change> = changes.iter().filter(|change| !change.deeds.is_empty()).collect();
    let work = async |change: &&Change| {
        if stop.load(Ordering::Relaxed) || how.call.cancel.is_cancelled() {
            return (change.name.clone(), End::NotBegun, Duration::ZERO);
        }
        let since = Instant::now();
        let end = match how.machine(change).await {
            Ok(()) => End::Done,
            Err(error) => {
                stop.store(!how.manner.keep_going, Ordering::Relaxed);
                End::Failed(error)
            }
        };
        (change.name.clone(), end, since.elapsed())
    };
    let mut ends: Vec<Ended> =
        stream::iter(pending.iter().map(work)).buffer_unordered(how.manner.parallel.max(1)).collect().await;
    ends.sort_by(|(a, ..), (b, ..)| natural(a.as_str(), b.as_str()));
    ends
}

/// Every machine, in the order of the file; those first that nothing was done to because nothing can be said of them.
fn cases(seen: &Seen, ends: &[Ended]) -> Vec<Case> {
    let troubled = seen.trouble().map(|(name, error)| Case {
        name: name.to_string(),
        deeds: Vec::new(),
        took: Duration::ZERO,
        outcome: Outcome::of(error),
    });
    let case = |change: &Change| {
        let end = ends.iter().find(|(name, ..)| *name == change.name);
        let (outcome, took) = match end {
            None | Some((_, End::Done, _)) => (Outcome::Good, end.map_or(Duration::ZERO, |(.., took)| *took)),
            Some((_, End::NotBegun, took)) => (Outcome::Skipped, *took),
            Some((_, End::Failed(error), took)) => (Outcome::of(error), *took),
        };
        let deeds = change.deeds.iter().map(|deed| super::seen::word(*deed)).collect();
        Case { name: change.name.to_string(), deeds, took, outcome }
    };
    troubled.chain(seen.changes.iter().map(case)).collect()
}

fn tell(ends: &[Ended], how: &Carry<'_>) -> Result<()> {
    let mut kinds: Vec<Kind> = Vec::new();
    for (name, end, _) in ends {
        if let End::Failed(error) = end {
            how.cx.ui.error(error, Some(name.as_str()));
            kinds.push(error.kind);
        }
    }
    let left: Vec<&str> = ends
        .iter()
        .filter(|(_, end, _)| matches!(end, End::NotBegun))
        .map(|(name, ..)| name.as_str())
        .collect();
    if !left.is_empty() {
        how.cx.ui.note(&format!("not begun: {}", left.join(", ")));
        kinds.resize(kinds.len() + left.len(), kinds.first().copied().unwrap_or(Kind::Cancelled));
    }
    of_several(ends.len(), &kinds).map_or(Ok(()), |kind| Err(Error::told(kind)))
}

impl Carry<'_> {
    async fn machine(&self, change: &Change) -> Result<()> {
        let name = &change.name;
        let mut done = Ok(());
        for deed in &change.deeds {
            done = self.deed(*deed, name).await;
            if done.is_err() {
                break;
            }
        }
        let took = self.board.end(name);
        done?;
        let words: Vec<&str> = change.deeds.iter().map(|deed| past(*deed)).collect();
        self.cx.ui.note(&format!("{name}: {} in {:.1} s", words.join(", "), took.as_secs_f32()));
        Ok(())
    }

    async fn deed(&self, deed: Deed, name: &MachineName) -> Result<()> {
        let (wharf, call) = (self.wharf, self.call);
        match deed {
            Deed::Create | Deed::Finish => self.create(name).await,
            Deed::Recreate | Deed::Replace => {
                self.remove(name).await?;
                self.create(name).await
            }
            Deed::Remove => self.remove(name).await,
            Deed::Adopt => {
                let fleet = self.loaded.map(|loaded| loaded.name.to_string());
                Ok(wharf.join_fleet(name, fleet.as_deref(), call).await?)
            }
            Deed::Join => self.join(name).await,
            Deed::Mark => Ok(wharf.mark(name, call).await?),
            Deed::Start => self.refresh(&wharf.power(name, Power::On, call).await?, name),
            Deed::Readdress | Deed::Renew => {
                // One without an engine has no certificate: its address alone is looked up.
                let bare = wharf.inspect(name).await?.summary.life == Life::Bare;
                let connection = if bare {
                    wharf.power(name, Power::On, call).await?
                } else {
                    wharf.renew_server(name, call).await?
                };
                self.refresh(&connection, name)
            }
            Deed::Configure => {
                let request = self.group(name)?.requests.of(name.clone());
                self.refresh(&wharf.configure(name, &request.options, call).await?, name)
            }
        }
    }

    pub(super) fn group(&self, name: &MachineName) -> Result<&super::load::Group> {
        let group = self.loaded.and_then(|loaded| loaded.group(name));
        group.ok_or_else(|| Error::failed(format!("machine `{name}` is not declared")))
    }

    async fn create(&self, name: &MachineName) -> Result<()> {
        let group = self.group(name)?;
        create::create(name, &group.requests, group.context, self.cx, self.wharf, self.call).await?;
        Ok(())
    }

    async fn remove(&self, name: &MachineName) -> Result<()> {
        let options = RemoveOptions { purge: self.purge, force: false };
        let removed = rm::remove(name, options, self.wharf, self.call, self.cx).await?;
        for left in &removed.left {
            self.cx.ui.note(&format!("{name}: {left}"));
        }
        Ok(())
    }

    /// An apply that was killed at a machine's last deed, the context, left it unwritten, and nothing else tells of that.
    async fn complete(&self, changes: &[Change]) {
        for Change { name, .. } in changes.iter().filter(|change| change.deeds.is_empty()) {
            if self.group(name).is_ok_and(|group| group.context)
                && let Ok(known) = self.wharf.inspect(name).await
                && known.summary.life == Life::Ready
            {
                create::complete(name, known.summary.id.as_str(), self.cx, self.wharf).await;
            }
        }
    }

    /// The docker context follows a new address.
    fn refresh(&self, connection: &Connection, name: &MachineName) -> Result<()> {
        if connection.life == Life::Ready && self.group(name)?.context {
            context::write_or_warn(self.cx, connection);
        }
        Ok(())
    }
}

/// What was done, as one word.
const fn past(deed: Deed) -> &'static str {
    match deed {
        Deed::Create => "made",
        Deed::Finish => "finished",
        Deed::Recreate => "made again",
        Deed::Replace => "replaced",
        Deed::Adopt => "adopted",
        Deed::Start => "started",
        Deed::Readdress => "followed to its address",
        Deed::Configure => "configured",
        Deed::Renew => "renewed",
        Deed::Mark => "marked",
        Deed::Join => "joined",
        Deed::Remove => "removed",
    }
}
