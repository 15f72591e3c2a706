//! `wharf import FILE`: machines of another store.

use wharf_core::{Bundle, Bundled, Opener};

use super::super::{Cx, each};
use super::PATIENCE;
use crate::error::{Error, Result};
use crate::ui::Board;

pub(super) async fn run(file: &str, dry_run: bool, cx: &Cx) -> Result<()> {
    let bytes = if file == "-" {
        cx.ui.read_all()?
    } else {
        let path = cx.world.absolute(file);
        std::fs::read(&path).map_err(|e| {
            Error::failed(format!("the bundle `{}` cannot be read: {e}", path.display()))
                .hint("`wharf export` makes one; docker-machine's machines come with --from docker-machine")
        })?
    };
    let opener = Opener { identity: cx.config.identity.clone(), passphrase: cx.config.passphrase.clone() };
    let bundle = Bundle::open(&bytes, &opener)?;
    let wharf = cx.wharf();
    let names: Vec<_> = bundle.machines.keys().cloned().collect();
    let call = cx.call("import", PATIENCE, &Board::new(&cx.ui));
    let ends = each(cx, &names, |name| {
        let (wharf, call, bundle) = (&wharf, &call, &bundle);
        async move {
            let machine = &bundle.machines[&name];
            Ok(if dry_run {
                wharf.try_in(&name, machine).await?
            } else {
                wharf.take_in(&name, machine, call).await?
            })
        }
    })
    .await;
    let all: Vec<&Bundled> = ends.done.iter().map(|(_, machine)| machine).collect();
    if cx.ui.is_json() {
        cx.ui.json(&all)?;
        return ends.end;
    }
    for machine in all {
        show(machine, dry_run, cx)?;
    }
    ends.end
}

fn show(machine: &Bundled, dry_run: bool, cx: &Cx) -> Result<()> {
    let Bundled { name, driver, .. } = machine;
    let done = if dry_run { "would be imported" } else { "imported" };
    cx.ui.result(&format!("{name}: {done}, a machine of driver `{driver}`"))?;
    if machine.engine {
        cx.ui.result(&format!(
            "  its engine believes the store that it came from: `wharf provision {name}` has it believe this one"
        ))?;
    }
    for lack in &machine.lacks {
        cx.ui.result(&format!("  not on this computer: {lack}"))?;
    }
    Ok(())
}
