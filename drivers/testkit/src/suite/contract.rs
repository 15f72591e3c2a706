//! What the trait's comments promise, one by one.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wharf_driver::{
    ActionKey, AnyDriver, Context, Known, MachineId, MachineSpec, OwnerTag, Places, Plan, Power, Progress,
    Session, State, Step, StoreId, layers,
};

use crate::suite::bench::{folder, name};
use crate::suite::{World, seed};

/// Checks the promises without the engine.
///
/// # Panics
/// When one is broken.
pub async fn contract<W: World>(fresh: &impl Fn() -> W) -> usize {
    let desk = async || Desk::new(fresh()).await.layered();
    plans_only_read(&desk().await).await;
    repeating_converges(&desk().await).await;
    settling_only_reads(&desk().await).await;
    destroying_twice_is_fine(&desk().await).await;
    power_reaches_its_state(&desk().await).await;
    5
}

/// A connected driver and what its calls need, for tests of one call.
#[derive(Debug)]
pub struct Desk<W> {
    /// The driver's world.
    pub world: W,
    /// The driver.
    pub driver: Arc<dyn AnyDriver>,
    /// A wish.
    pub spec: MachineSpec,
    /// A context for it.
    pub cx: Context,
    _folder: tempfile::TempDir,
}

impl<W: World> Desk<W> {
    /// Connects to the driver of `world`.
    ///
    /// # Panics
    /// When that fails.
    #[expect(clippy::expect_used, reason = "a test that cannot begin cannot go on")]
    pub async fn new(world: W) -> Self {
        let folder = folder();
        let places = Places {
            machine: folder.path().join("machines/trial/driver"),
            cache: folder.path().join("cache"),
            program: world.program(),
        };
        std::fs::create_dir_all(&places.machine).expect("the machine's folder");
        std::fs::create_dir_all(&places.cache).expect("the cache");
        let clock = world.clock();
        let id = MachineId::from_bytes([7; 16]);
        let owner = OwnerTag {
            store: StoreId("0123456789abcdef".to_owned()),
            machine: id.clone(),
            name: name(),
            made: 1_700_000_000,
            expires: None,
        };
        let cx = Context {
            key: ActionKey::derive(&id, "", 0),
            owner: owner.clone(),
            seed: Some(seed()),
            deadline: clock.now() + world.deadline(),
            cancel: CancellationToken::new(),
            progress: Progress::silent(),
            places,
            session: Session::new(clock).with_environment(world.environment()),
        };
        let spec = MachineSpec { name: name(), id, owner, attempt: 1, engine_port: 2376 };
        let driver = world.factory().connect(world.config(), &cx).await.expect("a connection");
        Self { world, driver, spec, cx, _folder: folder }
    }

    /// With the layers that the engine puts around every driver: where answers lag, a driver may say "ask again".
    fn layered(self) -> Self {
        let driver = layers::standard(Arc::clone(&self.driver), &self.world.clock());
        Self { driver, ..self }
    }

    #[expect(clippy::expect_used, reason = "a test that cannot plan cannot go on")]
    async fn plan(&self) -> Plan<Value> {
        self.driver.plan(&self.spec, None, &self.cx).await.expect("a plan")
    }

    /// Whether machines share something that it is made of.
    pub async fn shares(&self) -> bool {
        self.plan().await.steps.iter().any(|step| step.shared)
    }

    fn under(&self, step: &Step<Value>) -> Context {
        let key = match step.shared {
            true => ActionKey::shared(&self.spec.owner.store, &step.name),
            false => ActionKey::derive(&self.spec.id, &step.name, self.spec.attempt),
        };
        Context { key, ..self.cx.clone() }
    }

    async fn make(&self) -> Vec<Value> {
        let mut made = Vec::new();
        for step in self.plan().await.steps {
            let one = self.driver.perform(&step.action, &made, &self.under(&step)).await;
            made.push(one.unwrap_or_else(|e| panic!("perform {}: {e:?}", step.name)));
        }
        made
    }

    async fn unmake(&self, made: &[Value]) {
        for resource in made.iter().rev() {
            let gone = self.driver.destroy(resource, &self.cx).await;
            gone.unwrap_or_else(|e| panic!("destroy {resource}: {e:?}"));
        }
        assert_eq!(self.world.remains().await, [""; 0], "left after everything was destroyed");
    }

    async fn state(&self, made: &[Value]) -> State {
        let seen = self.driver.observe(&[Known::of(made)], &self.cx).await;
        seen.unwrap_or_else(|e| panic!("observe: {e:?}"))[0].state
    }
}

async fn plans_only_read<W: World>(desk: &Desk<W>) {
    let (first, second) = (desk.plan().await, desk.plan().await);
    assert_eq!(first, second, "two plans of one wish differ");
    assert_eq!(desk.world.remains().await, [""; 0], "planning made something");
    for (index, step) in first.steps.iter().enumerate() {
        assert!(step.after.iter().all(|&needed| needed < index), "step {index} needs a later one");
        let same = first.steps.iter().filter(|other| other.name == step.name).count();
        assert_eq!(same, 1, "two steps are called {}", step.name);
        assert!(!step.summary.is_empty(), "{} has no summary", step.name);
    }
}

async fn repeating_converges<W: World>(desk: &Desk<W>) {
    let mut made = Vec::new();
    for step in desk.plan().await.steps {
        let cx = desk.under(&step);
        let once = desk.driver.perform(&step.action, &made, &cx).await.unwrap_or_else(|e| panic!("{e:?}"));
        let again = desk.driver.perform(&step.action, &made, &cx).await.unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!(once, again, "{}: repeating made something else", step.name);
        made.push(once);
    }
    let seen = desk.state(&made).await;
    assert!(matches!(seen, State::Running | State::Unknown), "a made machine is {seen:?}");
    desk.unmake(&made).await;
}

async fn settling_only_reads<W: World>(desk: &Desk<W>) {
    let plan = desk.plan().await;
    let adopts = desk.driver.about().capabilities.adopts;
    for step in &plan.steps {
        let found = desk.driver.settle(&step.action, &desk.under(step)).await;
        let found = found.unwrap_or_else(|e| panic!("settle {}: {e:?}", step.name));
        assert!(found.is_none() || adopts, "{}: settled before it was begun: {found:?}", step.name);
    }
    assert_eq!(desk.world.remains().await, [""; 0], "settling made something");
    let made = desk.make().await;
    for (step, one) in plan.steps.iter().zip(&made) {
        let found = desk.driver.settle(&step.action, &desk.under(step)).await;
        let found = found.unwrap_or_else(|e| panic!("settle {}: {e:?}", step.name));
        assert_eq!(found.as_ref(), Some(one), "{}: settling finds something else than was made", step.name);
    }
    desk.unmake(&made).await;
}

async fn destroying_twice_is_fine<W: World>(desk: &Desk<W>) {
    let made = desk.make().await;
    desk.unmake(&made).await;
    desk.unmake(&made).await;
    let seen = desk.state(&made).await;
    assert!(
        matches!(seen, State::Absent | State::Unknown | State::Running),
        "a destroyed machine is {seen:?}"
    );
    let adopts = desk.driver.about().capabilities.adopts;
    assert!(adopts || seen == State::Absent, "a destroyed machine is {seen:?}");
}

async fn power_reaches_its_state<W: World>(desk: &Desk<W>) {
    if !desk.driver.about().capabilities.power {
        return;
    }
    let made = desk.make().await;
    for (to, state) in [
        (Power::On, State::Running),
        (Power::Off, State::Stopped),
        (Power::Off, State::Stopped),
        (Power::On, State::Running),
        (Power::Restart, State::Running),
        (Power::Kill, State::Stopped),
        (Power::Kill, State::Stopped),
    ] {
        let done = desk.driver.power(&made, to, &desk.cx).await;
        done.unwrap_or_else(|e| panic!("power {to:?}: {e:?}"));
        assert_eq!(desk.state(&made).await, state, "after {to:?}");
    }
    desk.unmake(&made).await;
}
