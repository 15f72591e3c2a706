//! Properties of the fold, over journals that an engine might write and over any others.

use proptest::prelude::*;
use serde_json::json;
use wharf_driver::{
    Access, ActionKey, MachineId, MachineName, OwnerTag, Plan, Power, Reach, Step, StoreId, Verb,
};

use crate::journal::{Entry, Event, Machine, Status, fold, parse, write_line};
use crate::{HookEnd, Life};

const STEPS: usize = 3;

fn name() -> MachineName {
    "trial".parse().unwrap()
}

fn begun() -> Event {
    let machine = MachineId::from_bytes([1; 16]);
    let owner = OwnerTag {
        store: StoreId("0".repeat(16)),
        machine: machine.clone(),
        name: name(),
        made: 1,
        expires: None,
    };
    Event::Begun {
        machine,
        name: name(),
        driver: "memory".to_owned(),
        driver_version: 1,
        config: json!({}),
        options: Box::default(),
        owner,
        adopts: false,
        account: None,
        bare: false,
        fleet: None,
    }
}

fn planned() -> Event {
    let step = |index: usize| Step {
        verb: Verb::Create,
        name: format!("step-{index}"),
        action: json!({ "make": index }),
        after: if index == STEPS - 1 { (0..index).collect() } else { Vec::new() },
        summary: "makes it".to_owned(),
        shared: index == 0,
    };
    Event::Planned { attempt: 1, plan: Plan { steps: (0..STEPS).map(step).collect() } }
}

fn reach() -> Reach {
    Reach {
        ssh_host: "192.0.2.1".to_owned(),
        ssh_port: 22,
        ssh_user: "root".to_owned(),
        engine_host: "192.0.2.1".to_owned(),
        engine_port: 2376,
        url: None,
        access: Access::default(),
    }
}

/// Any event at all, with steps that may not be there.
fn any_event() -> impl Strategy<Value = Event> {
    let step = 0..=STEPS;
    let power = prop_oneof![Just(Power::On), Just(Power::Off), Just(Power::Kill), Just(Power::Restart)];
    let names = || vec!["192.0.2.1".to_owned()];
    prop_oneof![
        1 => Just(begun()),
        2 => Just(planned()),
        8 => (step.clone(), 0..2_u32).prop_map(|(step, attempt)| Event::Started {
            step,
            key: ActionKey::derive(&MachineId::from_bytes([1; 16]), "step", attempt),
            deadline: 1,
        }),
        8 => step.clone().prop_map(|step| Event::Made { step, resource: json!({ "made": step }) }),
        3 => step.clone().prop_map(|step| Event::Undone { step, because: "gone".to_owned() }),
        3 => Just(Event::Seen { reach: reach() }),
        1 => Just(Event::HostKeys { keys: vec!["ssh-ed25519 AAAA".to_owned()] }),
        2 => Just(Event::Imported { from: "another program".to_owned() }),
        3 => Just(Event::Provisioning { names: names() }),
        3 => Just(Event::Provisioned {
            engine: "1".to_owned(),
            names: names(),
            expires: 1,
            agent: String::new(),
            facts: json!({}),
        }),
        1 => power.clone().prop_map(|to| Event::Powering { to }),
        1 => power.prop_map(|to| Event::Powered { to }),
        1 => Just(Event::Certifying { names: names() }),
        1 => Just(Event::Certified { names: names(), expires: 2 }),
        2 => Just(Event::Joined { fleet: Some("shop".to_owned()) }),
        2 => Just(Event::Configured { options: Box::default() }),
        2 => (1..3_u64).prop_map(|list| Event::Revoking { list }),
        2 => Just(Event::Hooking { hook: "register".to_owned() }),
        2 => (0..2).prop_map(|code| Event::Hooked { hook: "register".to_owned(), end: HookEnd::Code(code) }),
        2 => Just(Event::Upgrading { agent: String::new() }),
        2 => Just(Event::RolledBack { because: "it is silent".to_owned() }),
        2 => (1..3_u64).prop_map(|list| Event::Revoked { list }),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(purge, force)| Event::Removing { purge, force }),
        1 => Just(Event::Purging),
        1 => Just(Event::Purged),
        5 => step.clone().prop_map(|step| Event::Destroying { step }),
        5 => step.clone().prop_map(|step| Event::Destroyed { step }),
        2 => step.clone().prop_map(|step| Event::Kept { step, by: name() }),
        2 => step.prop_map(|step| Event::Left { step, because: "it is used".to_owned() }),
        2 => Just(Event::Removed),
    ]
}

fn entries(events: Vec<Event>) -> Vec<Entry> {
    let numbered = events.into_iter().zip(1..);
    numbered.map(|(event, number)| Entry { number, at: number, fence: 1, event }).collect()
}

/// What is legal of these events, in this order, after a beginning and a plan.
fn legal(events: Vec<Event>) -> (Vec<Entry>, Machine) {
    let mut written = entries(vec![begun(), planned()]);
    let mut machine = fold(&written).unwrap().unwrap();
    for event in events {
        let entry = Entry { number: machine.last + 1, at: 1, fence: 1, event };
        if machine.apply(&entry).is_ok() {
            written.push(entry);
        }
    }
    (written, machine)
}

proptest! {
    #[test]
    fn any_events_fold_or_are_refused_with_a_number(events in prop::collection::vec(any_event(), 0..30)) {
        let entries = entries(events);
        match fold(&entries) {
            Ok(None) => prop_assert!(entries.is_empty()),
            Ok(Some(machine)) => prop_assert_eq!(machine.last, entries.len() as u64),
            Err(illegal) => {
                let before = usize::try_from(illegal.number).unwrap() - 1;
                prop_assert!(fold(&entries[..before]).is_ok(), "not the first that is illegal");
                prop_assert_eq!(illegal.event, entries[before].event.name());
            }
        }
    }

    #[test]
    fn a_refused_event_changes_nothing(
        events in prop::collection::vec(any_event(), 0..60),
        next in any_event(),
    ) {
        let (_, machine) = legal(events);
        let mut after = machine.clone();
        let entry = Entry { number: machine.last + 1, at: 1, fence: 1, event: next };
        if after.apply(&entry).is_err() {
            prop_assert_eq!(after, machine);
        }
    }

    #[test]
    fn folding_in_two_parts_is_folding_at_once(
        events in prop::collection::vec(any_event(), 0..60),
        cut in 1..60_usize,
    ) {
        let (written, machine) = legal(events);
        let cut = cut.min(written.len());
        let mut parts = fold(&written[..cut]).unwrap().unwrap();
        for entry in &written[cut..] {
            parts.apply(entry).unwrap();
        }
        prop_assert_eq!(parts, machine);
    }

    #[test]
    fn nothing_is_forgotten_that_may_still_be_there(events in prop::collection::vec(any_event(), 0..120)) {
        let (_, machine) = legal(events);
        let idle = machine.steps().iter().all(|(_, s)| matches!(s, Status::Planned | Status::Destroyed));
        let forced = machine.removal.is_some_and(|removal| removal.force);
        prop_assert!(!machine.forgettable() || idle || forced, "{machine:?}");
    }

    #[test]
    fn what_is_needed_outlives_what_needs_it(events in prop::collection::vec(any_event(), 0..120)) {
        let (_, machine) = legal(events);
        let last = &machine.steps()[STEPS - 1].1;
        let may_be_there = !matches!(last, Status::Planned | Status::Destroyed);
        let needed = machine.steps()[..STEPS - 1].iter().all(|(_, s)| matches!(s, Status::Made(_)));
        prop_assert!(!may_be_there || needed, "{machine:?}");
    }

    #[test]
    fn what_is_written_is_read_and_folds_to_the_same(events in prop::collection::vec(any_event(), 0..40)) {
        let (written, machine) = legal(events);
        let (mut bytes, mut sum) = (Vec::new(), String::new());
        for entry in &written {
            let (line, next) = write_line(&sum, entry).unwrap();
            bytes.extend(line);
            sum = next;
        }
        let lines = parse(&bytes).unwrap();
        prop_assert_eq!(&lines.entries, &written);
        prop_assert_eq!(fold(&lines.entries).unwrap().unwrap(), machine);
    }
}

#[test]
fn a_whole_life_folds() {
    let key = ActionKey::derive(&MachineId::from_bytes([1; 16]), "step", 1);
    let mut events = vec![begun(), planned()];
    for step in 0..STEPS {
        events.push(Event::Started { step, key: key.clone(), deadline: 9 });
        events.push(Event::Made { step, resource: json!(step) });
    }
    let names = vec!["192.0.2.1".to_owned()];
    events.push(Event::Seen { reach: reach() });
    events.push(Event::Provisioning { names: names.clone() });
    let (engine, agent) = ("1".to_owned(), String::new());
    events.push(Event::Provisioned { engine, names, expires: 1, agent, facts: json!({}) });
    let ready = fold(&entries(events.clone())).unwrap().unwrap();
    assert_eq!((ready.life(), ready.resources().len()), (Life::Ready, STEPS));
    events.push(Event::Removing { purge: false, force: false });
    for step in (0..STEPS).rev() {
        events.push(Event::Destroying { step });
        events.push(Event::Destroyed { step });
    }
    events.push(Event::Removed);
    assert!(fold(&entries(events.clone())).unwrap().unwrap().forgettable());
    // Destroying what is still needed is refused, with its number.
    events.swap(12, 16);
    assert_eq!(fold(&entries(events)).unwrap_err().number, 13);
}

#[test]
fn only_what_machines_share_can_stay() {
    let key = ActionKey::derive(&MachineId::from_bytes([1; 16]), "step", 1);
    let mut events = vec![begun(), planned()];
    for step in 0..2 {
        events.push(Event::Started { step, key: key.clone(), deadline: 9 });
        events.push(Event::Made { step, resource: json!(step) });
    }
    events.push(Event::Removing { purge: false, force: false });
    let stays = |event: Event| {
        let mut events = events.clone();
        events.push(event);
        fold(&entries(events)).map(Option::unwrap)
    };
    let kept = |step| Event::Kept { step, by: "other".parse().unwrap() };
    assert_eq!(stays(kept(0)).unwrap().steps()[0].1, Status::Destroyed);
    assert_eq!(stays(kept(1)).unwrap_err().because, "no machine shares step 1");
    let left = Event::Left { step: 0, because: "a server uses it".to_owned() };
    assert_eq!(stays(left.clone()).unwrap_err().because, "step 0 was not being destroyed");
    events.push(Event::Destroying { step: 0 });
    events.push(left);
    let machine = fold(&entries(events)).unwrap().unwrap();
    assert_eq!(machine.left, ["step-0 stays: a server uses it"]);
}

#[test]
fn a_shared_step_has_a_name_that_may_stand_in_a_path() {
    for (name, plain) in
        [("wharf-1a2b-net", true), ("../x", false), ("a/b", false), (".a", false), ("", false)]
    {
        let Event::Planned { attempt, mut plan } = planned() else { unreachable!() };
        plan.steps[0].name = name.to_owned();
        let folded = fold(&entries(vec![begun(), Event::Planned { attempt, plan }]));
        assert_eq!(folded.is_ok(), plain, "{name}");
    }
}

#[test]
fn a_writer_that_lost_its_lock_is_refused() {
    let mut written = entries(vec![begun(), planned()]);
    written[0].fence = 7;
    written[1].fence = 6;
    let illegal = fold(&written).unwrap_err();
    assert_eq!((illegal.number, illegal.event), (2, "planned"));
}
