//! Out of a container: what is at a path, alone or with everything below it as an archive.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use tokio::sync::oneshot;

use super::channel::{Outward, Pieces, outward};
use super::path::{self, Found, PathStat};
use super::{Container, Containers, no_such_file};
use crate::engine::error::{Error, Result};
use crate::store::pack::{Manner, Packer};

impl Containers {
    /// What is at a path.
    pub(crate) async fn path_stat(&self, container: &Container, path: &str) -> Result<PathStat> {
        let wanted = path.to_owned();
        let found = self.inside(container, true, move |root| {
            path::find(root, &wanted).map(|found| found.describe(root, &wanted))
        });
        found.await?.map_err(|errno| lookup_failed(container, path, errno))
    }

    /// What is at a path, and then an archive of it, made as the client takes it.
    pub(crate) async fn read_path(&self, container: &Container, path: &str) -> Result<(PathStat, Pieces)> {
        let (found, answer) = oneshot::channel();
        let (to, pieces) = outward();
        let wanted = path.to_owned();
        let work = move |root: &OwnedFd| answer_then_send(root, &wanted, found, to);
        let (containers, of) = (self.clone(), container.clone());
        let reading = tokio::spawn(async move { containers.inside(&of, true, work).await });
        match answer.await {
            Ok(Ok(stat)) => {
                self.tell_of(container, "archive-path");
                Ok((stat, pieces))
            }
            Ok(Err(errno)) => Err(lookup_failed(container, path, errno)),
            // It never came to the looking.
            Err(_) => match reading.await {
                Ok(Err(error)) => Err(error),
                _ => Err(Error::unavailable("the container's files cannot be read")),
            },
        }
    }
}

fn answer_then_send(
    root: &OwnedFd,
    path: &str,
    answer: oneshot::Sender<Result<PathStat, Errno>>,
    mut to: Outward,
) {
    let found = match path::find(root, path) {
        Ok(found) => found,
        // Nobody hears it when the client is gone.
        Err(errno) => return drop(answer.send(Err(errno))),
    };
    if answer.send(Ok(found.describe(root, path))).is_ok()
        && let Err(error) = send(found, &mut to)
    {
        to.fail(error);
    }
}

fn send(found: Found, to: &mut Outward) -> io::Result<()> {
    let mut packer = Packer::new(to, Manner::Plain);
    let Found { folder, name, shown, .. } = found;
    let below = match name {
        None => Some(folder),
        Some(name) => match path::open_entry(&folder, &name)? {
            Some(below) => Some(below),
            None => packer.entry(&folder, &name, &shown)?,
        },
    };
    if let Some(below) = below {
        packer.folder(below, &shown)?;
    }
    packer.finish().map(drop)
}

pub(super) fn lookup_failed(container: &Container, path: &str, errno: Errno) -> Error {
    match errno {
        Errno::NOENT | Errno::NOTDIR => no_such_file(container, path),
        errno => Error::internal(&format!("looking up {path}"), io::Error::from(errno)),
    }
}
