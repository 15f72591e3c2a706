//! A store that ignores conditions is found out before anything is kept in it.

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::{ObjectStore, PutMode};
use wharf_core::Kind;
use wharf_objects::prove;

use crate::World;
use crate::faults::{Faulty, Ignored, Weather};

#[tokio::test]
async fn a_store_that_heeds_conditions_is_taken_and_left_as_it_was() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    prove(&objects, &"probe".into()).await.unwrap();
    assert!(objects.list_with_delimiter(None).await.unwrap().objects.is_empty());
}

#[tokio::test]
async fn one_that_ignores_a_condition_is_refused() {
    let ignored: [Ignored; 3] =
        [|_| true, |mode| matches!(mode, PutMode::Create), |mode| matches!(mode, PutMode::Update(_))];
    for ignored in ignored {
        let world = World::new().await;
        let weather = Weather::new();
        weather.ignore(ignored);
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let store = world.open_over(Arc::new(Faulty { inner: Arc::clone(&inner), weather }));
        let refused = store.init().await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Refused);
        assert!(refused.message().contains("this store is not capable of"), "{refused}");
        assert!(refused.facts().iter().any(|(name, _)| *name == "ignored"), "{refused:?}");
        let left = inner.list_with_delimiter(None).await.unwrap();
        assert!(left.objects.is_empty() && left.common_prefixes.is_empty(), "nothing is left: {left:?}");
    }
}

#[tokio::test]
async fn a_store_is_made_once_and_never_by_accident() {
    let world = World::new().await;
    let again = world.open_over(Arc::clone(&world.objects));
    let id = again.init().await.unwrap();
    assert_eq!(world.open().id().await.unwrap(), id);
    let empty = world.open_over(Arc::new(InMemory::new()));
    let none = wharf_core::store::Store::machines(&empty).await.unwrap_err();
    assert_eq!(none.kind(), Kind::Refused);
    assert!(none.advice().unwrap().contains("wharf store init s3://memory/team/prod"), "{none:?}");
}
