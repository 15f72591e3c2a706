//! `docker ps`.

use std::time::Duration;

use wharfd_api_types::container::{
    ContainerSummary, PortSummary, SummaryHealth, SummaryHost, SummaryNetworks,
};

use super::record::Status;
use super::task::Snapshot;
use super::{Containers, Filter};
use crate::engine::error::Result;

/// What of the list is wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Those that do not run, too.
    pub(crate) all: bool,
    /// The newest so many, whatever they do; -1 and 0 are no limit.
    pub(crate) limit: i64,
    /// With the bytes that each wrote.
    pub(crate) size: bool,
    pub(crate) filter: Filter,
}

impl Containers {
    /// Newest first.
    pub(crate) async fn list(&self, wanted: &Wanted) -> Result<Vec<ContainerSummary>> {
        let mut snapshots: Vec<_> = self.all().iter().map(super::Container::snapshot).collect();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.record.created));
        let everything =
            wanted.all || wanted.limit > 0 || wanted.filter.names_states() || wanted.filter.is_relative();
        let kept = snapshots.iter().filter(|snapshot| {
            (everything || snapshot.record.state.status.is_running())
                && wanted.filter.keeps(&self.world, snapshot)
        });
        let limit = usize::try_from(wanted.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let mut rows = Vec::new();
        for snapshot in kept.take(limit) {
            let mut row = self.row(snapshot);
            if wanted.size {
                let written = self.world.ground.filesystems.size(&snapshot.record.id).await?;
                let image = self.world.ground.images.resolve(&snapshot.record.image.to_string());
                let image = image.map_or(0, |image| image.size);
                row.size_rw = i64::try_from(written).ok();
                row.size_root_fs = i64::try_from(written + image).ok();
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn row(&self, snapshot: &Snapshot) -> ContainerSummary {
        let record = &snapshot.record;
        let mut networks: std::collections::BTreeMap<_, _> = record.endpoints.iter().cloned().collect();
        networks.extend(record.state.connected.clone());
        ContainerSummary {
            id: record.id.clone(),
            names: vec![format!("/{}", record.name)],
            image: self.image_name(snapshot),
            image_id: record.image.to_string(),
            command: command_line(&record.command()),
            created: record.created.seconds(),
            ports: ports(snapshot),
            labels: record.config.labels.clone(),
            state: record.state.status.as_str().to_owned(),
            status: sentence(snapshot),
            host_config: SummaryHost {
                network_mode: record.host.network_mode.clone(),
                annotations: record.host.annotations.clone(),
            },
            network_settings: SummaryNetworks { networks },
            mounts: record.mounts.iter().map(super::mounts::Mount::describe).collect(),
            health: record.state.health.as_ref().map(|health| SummaryHealth {
                status: health.status.as_str().to_owned(),
                failing_streak: health.failing_streak,
            }),
            ..ContainerSummary::default()
        }
    }

    /// The name that it was made by, as long as that still means the same image.
    fn image_name(&self, snapshot: &Snapshot) -> String {
        let record = &snapshot.record;
        match self.world.ground.images.resolve(&record.config.image) {
            Ok(image) if image.id == record.image => record.config.image.clone(),
            _ => record.image.to_string(),
        }
    }
}

/// Words with spaces in quotes, as dockerd shows them.
fn command_line(words: &[String]) -> String {
    let shown = words.iter().enumerate().map(|(number, word)| {
        if number > 0 && word.contains(' ') { format!("'{word}'") } else { word.clone() }
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn ports(snapshot: &Snapshot) -> Vec<PortSummary> {
    let mut list = Vec::new();
    for (port, bindings) in super::inspect::ports(snapshot) {
        let (number, kind) = port.split_once('/').unwrap_or((&port, "tcp"));
        let Ok(private_port) = number.parse() else { continue };
        let inside = PortSummary { private_port, kind: kind.to_owned(), ..PortSummary::default() };
        match bindings.filter(|bindings| !bindings.is_empty()) {
            None => list.push(inside),
            Some(bindings) => list.extend(bindings.into_iter().map(|binding| PortSummary {
                ip: binding.host_ip,
                public_port: binding.host_port.parse().unwrap_or(0),
                ..inside.clone()
            })),
        }
    }
    list.sort_by(|a, b| (a.private_port, &a.kind, &a.ip).cmp(&(b.private_port, &b.kind, &b.ip)));
    list
}

/// `Up 2 minutes`, `Exited (0) 3 seconds ago`.
fn sentence(snapshot: &Snapshot) -> String {
    let state = &snapshot.record.state;
    let since = |moment: Option<super::moment::Moment>| {
        moment.map_or_else(|| human(Duration::ZERO), |moment| human(moment.elapsed()))
    };
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => match &state.health {
            Some(health) => format!("Up {} ({})", since(state.started), health.status.in_brackets()),
            None => format!("Up {}", since(state.started)),
        },
        Status::Paused => format!("Up {} (Paused)", since(state.started)),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, since(state.finished)),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, since(state.finished)),
        Status::Dead => "Dead".to_owned(),
    }
}

/// Docker's words for a length of time.
fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 14 => format!("{} days", hours / 24),
        () if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_spaces_are_quoted() {
        let words = ["sh", "-c", "echo a; exit"].map(str::to_owned);
        assert_eq!(command_line(&words), "sh -c 'echo a; exit'");
    }

    #[test]
    fn lengths_of_time_are_dockers() {
        let day = 24 * 3600;
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (47 * 3600, "47 hours"),
            (3 * day, "3 days"),
            (20 * day, "2 weeks"),
            (100 * day, "3 months"),
            (800 * day, "2 years"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), text);
        }
    }
}
