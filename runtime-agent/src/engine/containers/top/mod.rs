//! `docker top`: a container's processes in the columns of ps, without ps.
//!
//! Honoured of ps's arguments: `-ef`, `aux` and `-e` in their spellings, and lists of columns (`-o pid,args`,
//! `axo user=WHO,pid`). Everything else is refused by name: another program's output is not guessed.

mod arguments;
mod columns;

use wharfd_api_types::container::TopResponse;

use super::record::Status;
use super::{Container, Containers};
use crate::engine::error::{Error, Result};
use columns::{Column, Surroundings};

impl Containers {
    /// The processes, one row each, by pid.
    pub(crate) async fn top(&self, container: &Container, arguments: Option<&str>) -> Result<TopResponse> {
        let columns = arguments::parse(arguments.unwrap_or("-ef"))?;
        if !columns.iter().any(|(column, title)| *column == Column::Pid && title == "PID") {
            return Err(Error::invalid("Couldn't find PID field in ps output"));
        }
        let snapshot = container.snapshot();
        match snapshot.record.state.status {
            Status::Restarting => {
                let text =
                    format!("Container {} is restarting, wait until the container is running", container.id);
                return Err(Error::conflict(text));
            }
            status if status.has_process() => {}
            _ => return Err(Error::conflict(format!("Container {} is not running", container.id))),
        }
        let shim = container.shim()?;
        let processes =
            shim.processes().await.map_err(|error| Error::internal("listing the processes", error))?;
        let surroundings = Surroundings::read();
        let row = |facts| columns.iter().map(|(column, _)| column.show(facts, &surroundings)).collect();
        let answer = TopResponse {
            processes: processes.iter().map(row).collect(),
            titles: columns.iter().map(|(_, title)| title.clone()).collect(),
        };
        self.tell_of(container, "top");
        Ok(answer)
    }
}
