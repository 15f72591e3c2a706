//! `docker export`: the whole root filesystem, without what is mounted into it.

use std::io;
use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use super::channel::{Outward, Pieces, outward};
use super::{Container, Containers, path};
use crate::engine::containers::record::Status;
use crate::engine::error::{Error, Result};
use crate::store::pack::{Manner, Packer};

impl Containers {
    /// An archive of everything, made as the client takes it.
    pub(crate) async fn export(&self, container: &Container) -> Result<Pieces> {
        match container.snapshot().record.state.status {
            Status::Dead => {
                return Err(Error::conflict(format!(
                    "You cannot export container {} which is Dead",
                    container.id
                )));
            }
            Status::Removing => {
                let text = format!("You cannot export container {} which is being removed", container.id);
                return Err(Error::conflict(text));
            }
            _ => {}
        }
        let (mut to, pieces) = outward();
        let (begun, answer) = oneshot::channel::<()>();
        let work = move |root: &OwnedFd| {
            // From here on an error is a broken stream.
            if begun.send(()).is_ok()
                && let Err(error) = send(root, &mut to)
            {
                to.fail(error);
            }
        };
        let (containers, of) = (self.clone(), container.clone());
        let exporting = tokio::spawn(async move { containers.inside(&of, false, work).await });
        if answer.await.is_err() {
            exporting.await.map_err(|e| Error::internal("exporting", e))??;
        }
        self.tell_of(container, "export");
        Ok(pieces)
    }
}

fn send(root: &OwnedFd, to: &mut Outward) -> io::Result<()> {
    let mut packer = Packer::new(to, Manner::Plain);
    packer.folder(path::open_folder(root, "/")?, b"")?;
    packer.finish().map(drop)
}
