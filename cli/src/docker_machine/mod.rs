//! Called as `docker-machine`, or as `wharf docker-machine …`: the same commands, in the words and with the exit codes
//! that scripts of docker-machine look at.
//!
//! Only what is said is another: what is done is what `wharf` does. Names that are missing mean `default`, a stopped
//! machine has no address, and whatever fails ends with 1, or with 3 where a check before a create refused it.

mod arguments;
mod checks;
mod store;
mod words;

use std::ffi::OsString;
use std::path::Path;

pub(crate) use arguments::Typed;
pub(crate) use store::{Kept, Remembered, machines};
pub(crate) use words::{COLUMNS, NEW_ADDRESSES, asks, code, says, version};

use crate::world::World;

const NAME: &str = "docker-machine";

/// Whether the command line is docker-machine's; then the name by which it was called is taken off it.
pub(crate) fn is_called(args: &mut Vec<OsString>) -> bool {
    let stem = args.first().and_then(|program| Path::new(program).file_stem());
    if stem.is_some_and(|stem| stem == NAME) {
        return true;
    }
    if args.get(1).is_some_and(|word| word == NAME) {
        args.remove(1);
        return true;
    }
    false
}

/// What docker-machine's variables mean here. Ours, where they are set, count before them.
pub(crate) fn take_up_environment(world: &mut World) {
    for (theirs, ours) in [
        ("MACHINE_STORAGE_PATH", "WHARF_HOME"),
        ("MACHINE_DEBUG", "WHARF_DEBUG"),
        ("MACHINE_DRIVER", "WHARF_DRIVER"),
    ] {
        if let (Some(value), None) = (world.var(theirs).map(str::to_owned), world.var(ours)) {
            world.env.insert(ours.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_by_its_name() {
        let called = |line: &str| {
            let mut args: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let called = is_called(&mut args);
            (called, args.len())
        };
        assert_eq!(called("/usr/local/bin/docker-machine ls -q"), (true, 3));
        assert_eq!(called("wharf docker-machine ls"), (true, 2));
        assert_eq!(called("wharf ls docker-machine"), (false, 3));
    }
}
