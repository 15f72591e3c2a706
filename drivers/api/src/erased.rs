//! The erased twin of [`Driver`]: what the engine sees and the layers decorate. Configurations, actions and resources
//! are JSON here, as they stand in the journal; a value that the driver's types do not take is refused with its place.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::{
    About, Account, Admission, Context, Door, Driver, Error, Found, Kind, Known, MachineSpec, Observation,
    Plan, Power, Result, Step, Stored, Survey,
};

/// What the engine calls. Every verb promises what the verb of the same name in [`Driver`] promises.
pub trait AnyDriver: Debug + Send + Sync {
    /// What the driver is, as data.
    fn about(&self) -> About;

    /// [`Driver::account`].
    fn account(&self) -> Option<Account>;

    /// [`Driver::survey`].
    fn survey<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Survey>>;

    /// [`Driver::plan`].
    fn plan<'a>(
        &'a self,
        spec: &'a MachineSpec,
        now: Option<&'a Observation>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Plan<Value>>>;

    /// [`Driver::perform`].
    fn perform<'a>(
        &'a self,
        action: &'a Value,
        made: &'a [Value],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Value>>;

    /// [`Driver::settle`].
    fn settle<'a>(&'a self, action: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<Option<Value>>>;

    /// [`Driver::observe`].
    fn observe<'a>(
        &'a self,
        machines: &'a [Known<'a, Value>],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<Observation>>>;

    /// [`Driver::power`].
    fn power<'a>(&'a self, made: &'a [Value], to: Power, cx: &'a Context) -> BoxFuture<'a, Result<()>>;

    /// [`Driver::admission`].
    fn admission<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Admission>>;

    /// [`Driver::admit`].
    fn admit<'a>(&'a self, made: &'a [Value], door: Door<'a>, cx: &'a Context) -> BoxFuture<'a, Result<()>>;

    /// [`Driver::destroy`].
    fn destroy<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>>;

    /// [`Driver::find_owned`].
    fn find_owned<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Found<Value>>>;

    /// [`Driver::mark`].
    fn mark<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>>;

    /// [`Driver::console`].
    fn console<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Option<String>>>;
}

/// A driver as it stands in the list of drivers: what it is, and how to connect to it.
#[derive(Clone)]
pub struct Factory {
    about: About,
    connect: Arc<Connect>,
}

type Connect = dyn Fn(Value, Context) -> BoxFuture<'static, Result<Arc<dyn AnyDriver>>> + Send + Sync;

impl Factory {
    /// The factory of `D`.
    #[must_use]
    pub fn of<D: Driver>() -> Self {
        Self { about: D::ABOUT, connect: Arc::new(|config, cx| Box::pin(connect::<D>(config, cx))) }
    }

    /// The factory of a driver that is known and not here: every connection is refused.
    #[must_use]
    pub fn absent(about: About) -> Self {
        let refuse = move || Error::new(Kind::Refused, format!("this build has no driver `{}`", about.name));
        Self { about, connect: Arc::new(move |_, _| Box::pin(std::future::ready(Err(refuse())))) }
    }

    /// What the driver is.
    #[must_use]
    pub const fn about(&self) -> About {
        self.about
    }

    /// Whether `name` is the driver's name or one of its aliases.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.about.name == name || self.about.aliases.contains(&name)
    }

    /// Puts a layer around every driver that this factory connects.
    #[must_use]
    pub fn layered(
        self,
        wrap: impl Fn(Arc<dyn AnyDriver>) -> Arc<dyn AnyDriver> + Send + Sync + 'static,
    ) -> Self {
        let (inner, wrap) = (self.connect, Arc::new(wrap));
        let connect: Arc<Connect> = Arc::new(move |config, cx| {
            let (connecting, wrap) = (inner(config, cx), Arc::clone(&wrap));
            Box::pin(async move { Ok(wrap(connecting.await?)) })
        });
        Self { about: self.about, connect }
    }

    /// [`Driver::connect`] with a configuration as the journal holds it.
    ///
    /// # Errors
    /// As [`Driver::connect`]; [`Kind::Refused`] when the configuration is none of this driver's.
    pub async fn connect(&self, config: Value, cx: &Context) -> Result<Arc<dyn AnyDriver>> {
        (self.connect)(config, cx.clone()).await
    }
}

impl Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factory").field("about", &self.about).finish_non_exhaustive()
    }
}

async fn connect<D: Driver>(config: Value, cx: Context) -> Result<Arc<dyn AnyDriver>> {
    let config: D::Config = read::<D, _>(&config, "configuration")?;
    let erased: Arc<dyn AnyDriver> = Arc::new(Erased(D::connect(config, &cx).await?, PhantomData::<D>));
    Ok(erased)
}

#[derive(Debug)]
struct Erased<D>(D, PhantomData<D>);

impl<D: Driver> AnyDriver for Erased<D> {
    fn about(&self) -> About {
        D::ABOUT
    }

    fn account(&self) -> Option<Account> {
        self.0.account()
    }

    fn survey<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Survey>> {
        Box::pin(self.0.survey(cx))
    }

    fn plan<'a>(
        &'a self,
        spec: &'a MachineSpec,
        now: Option<&'a Observation>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Plan<Value>>> {
        Box::pin(async move {
            let plan = self.0.plan(spec, now, cx).await?;
            let steps = plan.steps.into_iter().map(erase_step).collect::<Result<_>>()?;
            Ok(Plan { steps })
        })
    }

    fn perform<'a>(
        &'a self,
        action: &'a Value,
        made: &'a [Value],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let action: D::Action = read::<D, _>(action, "action")?;
            let made: Vec<D::Resource> = read_all::<D, _>(made)?;
            write(&self.0.perform(&action, &made, cx).await?)
        })
    }

    fn settle<'a>(&'a self, action: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<Option<Value>>> {
        Box::pin(async move {
            let action: D::Action = read::<D, _>(action, "action")?;
            self.0.settle(&action, cx).await?.as_ref().map(write).transpose()
        })
    }

    fn observe<'a>(
        &'a self,
        machines: &'a [Known<'a, Value>],
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<Observation>>> {
        Box::pin(async move {
            let read: Vec<Vec<D::Resource>> =
                machines.iter().map(|known| read_all::<D, _>(known.made)).collect::<Result<_>>()?;
            let known: Vec<Known<'_, D::Resource>> = machines
                .iter()
                .zip(&read)
                .map(|(known, made)| Known { made: made.as_slice(), state: known.state })
                .collect();
            let seen = self.0.observe(&known, cx).await?;
            if seen.len() != machines.len() {
                let message = format!("asked for {} machines, got {} answers", machines.len(), seen.len());
                return Err(Error::new(Kind::Failed, message).fact("driver", D::ABOUT.name));
            }
            Ok(seen)
        })
    }

    fn power<'a>(&'a self, made: &'a [Value], to: Power, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.0.power(&read_all::<D, _>(made)?, to, cx).await })
    }

    fn admission<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Admission>> {
        Box::pin(async move { self.0.admission(&read_all::<D, _>(made)?, cx).await })
    }

    fn admit<'a>(&'a self, made: &'a [Value], door: Door<'a>, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.0.admit(&read_all::<D, _>(made)?, door, cx).await })
    }

    fn destroy<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.0.destroy(&read::<D, _>(resource, "resource")?, cx).await })
    }

    fn find_owned<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Found<Value>>> {
        Box::pin(async move { self.0.find_owned(cx).await?.try_map(|resource| write(&resource)) })
    }

    fn mark<'a>(&'a self, resource: &'a Value, cx: &'a Context) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.0.mark(&read::<D, _>(resource, "resource")?, cx).await })
    }

    fn console<'a>(&'a self, made: &'a [Value], cx: &'a Context) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move { self.0.console(&read_all::<D, _>(made)?, cx).await })
    }
}

fn erase_step<A: Stored>(step: Step<A>) -> Result<Step<Value>> {
    let Step { verb, name, action, after, summary, shared } = step;
    Ok(Step { verb, name, action: write(&action)?, after, summary, shared })
}

fn write<T: Stored>(value: &T) -> Result<Value> {
    serde_json::to_value(value)
        .map_err(|e| Error::new(Kind::Failed, "a driver's value cannot be written as JSON").caused_by(e))
}

fn read<D: Driver, T: Stored>(value: &Value, what: &str) -> Result<T> {
    T::deserialize(value).map_err(|e| {
        let name = D::ABOUT.name;
        Error::new(Kind::Refused, format!("driver `{name}` does not know this {what}: {e}"))
            .fact("driver version", D::ABOUT.version.to_string())
            .hint("it was written by another release of wharf; use that one, or remove the machine with it")
    })
}

fn read_all<D: Driver, T: Stored>(values: &[Value]) -> Result<Vec<T>> {
    values.iter().map(|value| read::<D, T>(value, "resource")).collect()
}
