//! `wharf schema`: the JSON Schema of fleet files, for editors. It holds the options of the drivers of this build.

use wharf_driver::Takes;
use wharf_fleet::SchemaOption;

use super::Cx;
use crate::error::Result;
use crate::settings;

/// Prints the JSON Schema of fleet files, for editors
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An editor that knows YAML's language server takes it from the file's first line:
  wharf schema > fleet.schema.json
  # yaml-language-server: $schema=fleet.schema.json")]
pub(crate) struct Args {}

pub(crate) fn run(Args {}: &Args, cx: &Cx) -> Result<()> {
    let drivers = &cx.build.drivers;
    let names: Vec<String> = drivers.iter().map(|entry| entry.about().name.to_owned()).collect();
    let options: Vec<SchemaOption> = drivers
        .iter()
        .flat_map(|entry| {
            let driver = entry.about().name;
            let shared = entry.settings().iter().filter(|setting| !setting.takes.is_personal());
            shared.map(move |setting| SchemaOption {
                name: settings::key(setting, driver).to_owned(),
                driver: driver.to_owned(),
                help: setting.help.to_owned(),
                many: matches!(setting.takes, Takes::List(_) | Takes::Paths(_)),
                switch: setting.takes == Takes::Switch,
            })
        })
        .collect();
    cx.ui.json(&wharf_fleet::schema(&names, &options))
}
