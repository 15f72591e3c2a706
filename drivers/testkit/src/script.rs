//! Programs that a test writes and runs at once.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a script that can be run as soon as this returns.
///
/// Another process writes it. A file that this process had open for writing could not be run (`ETXTBSY`) while a child
/// that another thread forked in that moment still holds its copy of the handle.
///
/// # Errors
///
/// When the file cannot be written.
pub fn script(path: &Path, text: &str) -> io::Result<()> {
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()?;
    // Dropped at once, which is the end of the file.
    let written = writer.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(text.as_bytes()));
    let status = writer.wait()?;
    written?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the shell ended with {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written and run by many threads at once, each forking while others write.
    #[test]
    fn a_script_can_be_run_at_once_while_others_fork() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let folder = folder.path();
                scope.spawn(move || {
                    for turn in 0..25 {
                        let path = folder.join(format!("{thread}-{turn}"));
                        script(&path, "#!/bin/sh\nexit 7\n").unwrap();
                        assert_eq!(Command::new(&path).status().unwrap().code(), Some(7));
                    }
                });
            }
        });
    }
}
