//! This computer: the programs that people and wharf call, and docker contexts that lead nowhere.

use super::super::Cx;
use super::Finding;
use crate::docker::DockerFolder;

pub(super) fn look(cx: &Cx) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut missing = |program: &str, what: &str, mend: &str| {
        if cx.world.on_path(program).is_none() {
            let wrong = format!("there is no `{program}` on PATH, so {what}");
            found.push(Finding::new("computer", wrong, mend));
        }
    };
    missing(
        "docker",
        "nothing can be run on the machines from here",
        "install the docker client; its daemon is not needed",
    );
    missing("ssh", "there is no shell on machines, and no `logs -f`", "install the OpenSSH client");
    if cx.config.agent.is_none() {
        let wrong = "the agent's executable, wharfd, is neither beside the program nor named, so no machine gets an engine";
        let mend = "build it with runtime-agent/build.sh, then name it with --agent or WHARF_AGENT";
        found.push(Finding::new("computer", wrong, mend));
    }
    for variable in ["DOCKER_HOST", "DOCKER_CONTEXT"] {
        let chosen = DockerFolder::new(cx.config.docker.clone()).current();
        if let (Some(_), Some(context)) = (cx.world.var(variable), chosen) {
            let wrong = format!("{variable} is set in this terminal and wins over the context `{context}`");
            found.push(Finding::new("computer", wrong, format!("unset {variable}")));
        }
    }
    found
}
