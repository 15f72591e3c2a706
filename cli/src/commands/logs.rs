//! `wharf logs`: what a machine's agent says of itself, read over SSH. What containers say is `docker logs`.
//!
//! Under systemd it is in the journal, elsewhere in a file; which of them the host has, the host is asked.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Cx, ssh};
use crate::config::span;
use crate::error::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  wharf logs web                   the last hundred lines
  wharf logs -f web                and what comes, until Ctrl-C
  wharf logs --since 10m web       what was said in the last ten minutes";

/// Prints what a machine's agent says of itself; `docker logs` prints what containers say
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The machine; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// What was said since then: a span of time (10m, 1h30m) or a moment (2026-03-01T12:00:00Z)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// So many lines at most, the last ones [default: 100, or all with --since]
    #[arg(short = 'n', long, visible_alias = "tail", value_name = "NUMBER")]
    lines: Option<u32>,
}

const USUAL: u32 = 100;

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let since = args.since.as_deref().map(|since| moment(since, (cx.world.clock)())).transpose()?;
    let lines = args.lines.or_else(|| since.is_none().then_some(USUAL));
    let wharf = cx.wharf();
    let name = cx.one(args.name.as_deref(), &wharf).await?;
    cx.connection(&name, &wharf).await?;
    if args.follow && cx.world.on_path("ssh").is_none() {
        return Err(Error::failed("there is no `ssh` on PATH, which --follow needs")
            .hint("install the OpenSSH client, or leave -f out"));
    }
    ssh::run_on(&name, &[script(since, lines, args.follow).into()], cx, &wharf).await
}

/// A moment that somebody means.
fn moment(text: &str, now: SystemTime) -> Result<OffsetDateTime> {
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(moment.to_offset(time::UtcOffset::UTC));
    }
    let back = span(text).ok().and_then(|span| now.checked_sub(span));
    back.map(OffsetDateTime::from).ok_or_else(|| {
        Error::usage(format!("`{text}` is neither a span of time nor a moment"))
            .hint("write 10m, 1h30m, or 2026-03-01T12:00:00Z")
    })
}

/// What is run on the host, as root where that can be had: whoever may not read the log is told by who keeps it.
fn script(since: Option<OffsetDateTime>, lines: Option<u32>, follow: bool) -> String {
    let read = format!("{}\n{}\n", journal(since, lines, follow), file(since, lines, follow));
    let quoted = format!("'{}'", read.replace('\'', r"'\''"));
    format!(
        "sh -c '{}' sh {quoted}",
        r#"if [ "$(id -u)" = 0 ]; then exec sh -c "$1"; fi
for become in sudo doas; do
    if command -v $become >/dev/null && $become -n true 2>/dev/null; then exec $become -n sh -c "$1"; fi
done
exec sh -c "$1""#
    )
}

fn journal(since: Option<OffsetDateTime>, lines: Option<u32>, follow: bool) -> String {
    let mut words = "journalctl --quiet --no-pager --output=cat --unit=wharfd.service".to_owned();
    if let Some(since) = since {
        words += &format!(" --since=@{}", since.unix_timestamp());
    }
    words += &lines.map_or_else(|| " --lines=all".to_owned(), |lines| format!(" --lines={lines}"));
    if follow {
        words += " --follow";
    }
    format!(
        "if [ -e /etc/systemd/system/wharfd.service ] && command -v journalctl >/dev/null; then exec {words}; fi"
    )
}

/// Every line of the agent's begins with its moment; what it says in several lines goes with the first one.
fn file(since: Option<OffsetDateTime>, lines: Option<u32>, follow: bool) -> String {
    let log = "/var/log/wharfd.log";
    let there = format!(
        "if ! [ -r {log} ]; then echo 'wharf: no log of the agent can be read: {log}' >&2; exit 1; fi\n"
    );
    let last = lines.map_or_else(|| "+1".to_owned(), |lines| lines.to_string());
    let follows = if follow { " -F" } else { "" };
    let Some(since) = since.and_then(|since| since.format(&Rfc3339).ok()) else {
        return format!("{there}exec tail -n {last}{follows} {log}");
    };
    let from = format!(
        r#"awk -v since={since} '/^[0-9][0-9][0-9][0-9]-/ {{ is = $1 >= since }} is {{ print; fflush() }}'"#
    );
    match (follow, lines) {
        (true, _) => format!("{there}tail -n +1 -F {log} | {from}"),
        (false, Some(lines)) => format!("{there}{from} {log} | tail -n {lines}"),
        (false, None) => format!("{there}exec {from} {log}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use time::macros::datetime;

    const LOG: &str = "2026-03-01T11:00:00.5Z  INFO old\n2026-03-01T12:00:01.5Z  WARN new\n  and more of it\n2026-03-01T12:00:02.5Z  INFO newer\n";

    /// The script itself, on a host that has a file in the place of the log.
    fn said(since: Option<OffsetDateTime>, lines: Option<u32>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::io::Write::write_all(&mut std::fs::File::create(&log).unwrap(), LOG.as_bytes()).unwrap();
        let script = file(since, lines, false).replace("/var/log/wharfd.log", &log.display().to_string());
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_log_file_is_read_from_a_moment_on() {
        let noon = Some(datetime!(2026-03-01 12:00 UTC));
        assert_eq!(said(None, Some(1)), "2026-03-01T12:00:02.5Z  INFO newer\n");
        assert_eq!(said(None, None), LOG);
        let since = said(noon, None);
        assert!(since.starts_with("2026-03-01T12:00:01.5Z  WARN new\n  and more of it\n"), "{since}");
        assert_eq!(since.lines().count(), 3);
        assert_eq!(said(noon, Some(2)).lines().count(), 2);
        assert_eq!(said(Some(datetime!(2026-03-02 00:00 UTC)), None), "");
    }

    #[test]
    fn the_whole_script_is_one_that_a_shell_reads() {
        for follow in [false, true] {
            let script = script(Some(datetime!(2026-03-01 12:00 UTC)), Some(5), follow);
            let checked = Command::new("sh").args(["-n", "-c", &script]).status().unwrap();
            assert!(checked.success(), "{script}");
        }
        assert!(journal(None, Some(5), true).contains("--lines=5 --follow"));
    }

    #[test]
    fn moments_are_spans_or_dates() {
        let now = SystemTime::from(datetime!(2026-03-01 12:00 UTC));
        assert_eq!(moment("10m", now).unwrap(), datetime!(2026-03-01 11:50 UTC));
        assert_eq!(moment("2026-03-01T13:00:00+02:00", now).unwrap(), datetime!(2026-03-01 11:00 UTC));
        assert!(moment("yesterday", now).is_err());
    }
}
