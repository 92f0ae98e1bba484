//! The contract of `Backend`, for every implementation: what its doc comment promises, and nothing else.
//!
//! A new backend adds itself to [`WORLDS`]; everything else here is the same for all.

use std::sync::Arc;

use serde_json::Map;
use stripe_projects_mcp::{
    backend::{
        Backend, BackendError, Order, Refusal, Scope,
        simulated::{PaymentMethod, Simulated, World},
    },
    clock::Clock,
    money::{Cents, MicroUsd},
    name::{ProjectName, ServiceRef},
    project::{ProjectId, ResourceId},
    secret::Secret,
};
use tempfile::TempDir;

/// A backend, and a way to try a credential at the service it opens.
struct Subject {
    backend: Arc<dyn Backend>,
    works: Box<dyn Fn(&Secret) -> bool>,
    _folder: TempDir,
}

const WORLDS: &[fn() -> Subject] = &[simulated];

fn simulated() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("simulated.db");
    let world = World::new(file.clone(), Clock::system());
    Subject {
        backend: Arc::new(Simulated::new(file, PaymentMethod::Succeeds, Clock::system())),
        works: Box::new(move |credential| world.owner_of(credential).unwrap().is_some()),
        _folder: folder,
    }
}

#[tokio::test]
async fn an_order_creates_one_resource_however_often_it_is_placed() {
    for world in WORLDS {
        let subject = world();
        let order = order("once");
        let first = subject.backend.provision(&order).await.unwrap();
        let again = subject.backend.provision(&order).await.unwrap();
        assert_eq!(first.resource, again.resource);
        let (first, again) = (first.credentials.pick(None).unwrap(), again.credentials.pick(None).unwrap());
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(subject.backend.observe(Scope::Everything).await.unwrap().len(), 1);
        assert!((subject.works)(first));
    }
}

#[tokio::test]
async fn two_orders_are_two_resources_even_of_one_name() {
    for world in WORLDS {
        let subject = world();
        let (first, second) = (order("same"), order("same"));
        let first = subject.backend.provision(&first).await.unwrap();
        let second = subject.backend.provision(&second).await.unwrap();
        assert_ne!(first.resource, second.resource);
    }
}

#[tokio::test]
async fn reveal_hands_out_what_there_is_and_mints_nothing() {
    for world in WORLDS {
        let subject = world();
        let service = subject.backend.provision(&order("reveal")).await.unwrap();
        let revealed = subject.backend.reveal(&service.resource).await.unwrap();
        let (before, after) = (service.credentials.pick(None).unwrap(), revealed.pick(None).unwrap());
        assert_eq!(before.fingerprint(), after.fingerprint());
    }
}

#[tokio::test]
async fn a_rotation_kills_the_old_credential() {
    for world in WORLDS {
        let subject = world();
        let service = subject.backend.provision(&order("rotate")).await.unwrap();
        let rotated = subject.backend.rotate(&service.resource).await.unwrap();
        assert!(!(subject.works)(service.credentials.pick(None).unwrap()));
        assert!((subject.works)(rotated.pick(None).unwrap()));
    }
}

#[tokio::test]
async fn a_teardown_is_final_and_may_be_repeated() {
    for world in WORLDS {
        let subject = world();
        let service = subject.backend.provision(&order("gone")).await.unwrap();
        for _ in 0..2 {
            subject.backend.teardown(&service.resource).await.unwrap();
        }
        assert!(!(subject.works)(service.credentials.pick(None).unwrap()));
        assert_eq!(subject.backend.observe(Scope::Everything).await.unwrap(), []);
        let error = subject.backend.rotate(&service.resource).await.unwrap_err();
        assert!(matches!(error, BackendError::NotFound), "{error}");
        let error = subject.backend.reveal(&service.resource).await.unwrap_err();
        assert!(matches!(error, BackendError::NotFound), "{error}");
    }
}

#[tokio::test]
async fn what_never_was_is_gone_already() {
    for world in WORLDS {
        let subject = world();
        subject.backend.teardown(&ResourceId::new("fres_none".to_owned())).await.unwrap();
    }
}

#[tokio::test]
async fn a_suspension_kills_what_was_handed_out_and_resume_reveals_what_works() {
    for world in WORLDS {
        let subject = world();
        let service = subject.backend.provision(&order("pause")).await.unwrap();
        subject.backend.suspend(&service.resource).await.unwrap();
        assert!(!(subject.works)(service.credentials.pick(None).unwrap()));
        subject.backend.resume(&service.resource).await.unwrap();
        let revealed = subject.backend.reveal(&service.resource).await.unwrap();
        assert!((subject.works)(revealed.pick(None).unwrap()));
    }
}

#[tokio::test]
async fn in_the_simulation_a_rotation_is_no_way_around_a_suspension() {
    let subject = simulated();
    let service = subject.backend.provision(&order("pause")).await.unwrap();
    subject.backend.suspend(&service.resource).await.unwrap();
    let rotated = subject.backend.rotate(&service.resource).await.unwrap();
    assert!(!(subject.works)(rotated.pick(None).unwrap()));
    subject.backend.resume(&service.resource).await.unwrap();
    assert!(!(subject.works)(service.credentials.pick(None).unwrap()));
    assert!((subject.works)(rotated.pick(None).unwrap()));
}

#[tokio::test]
async fn observations_are_complete_within_their_scope() {
    for world in WORLDS {
        let subject = world();
        let (one, two) = (order("one"), order("two"));
        let first = subject.backend.provision(&one).await.unwrap().resource;
        let second = subject.backend.provision(&two).await.unwrap().resource;
        let of = |scope| subject.backend.observe(scope);
        assert_eq!(of(Scope::Everything).await.unwrap().len(), 2);
        let asked = [second.clone(), ResourceId::new("fres_none".to_owned())];
        let seen = of(Scope::Resources(&asked)).await.unwrap();
        assert_eq!(seen.iter().map(|observed| &observed.resource).collect::<Vec<_>>(), [&second]);
        let seen = of(Scope::Order(&one.id)).await.unwrap();
        assert_eq!(seen.iter().map(|observed| &observed.resource).collect::<Vec<_>>(), [&first]);
        assert_eq!(of(Scope::Order(&ProjectId::random().unwrap())).await.unwrap(), []);
    }
}

#[tokio::test]
async fn usage_suspends_at_the_cap_and_not_before() {
    let subject = simulated();
    let service = subject.backend.provision(&order("meter")).await.unwrap();
    let credential = service.credentials.pick(None).unwrap();
    let bill = |micro_usd| subject.backend.record_usage(&service.resource, MicroUsd::new(micro_usd));
    let seen = bill(9_999_999).await.unwrap();
    assert!(!seen.suspended && (subject.works)(credential));
    let seen = bill(1).await.unwrap();
    assert!(seen.suspended && !(subject.works)(credential));
    assert_eq!(seen.usage, Some(MicroUsd::new(10_000_000)));
    let refused = bill(1).await.unwrap_err();
    assert!(matches!(refused, BackendError::Refused(Refusal::CapReached)), "{refused}");
    let refused = subject.backend.resume(&service.resource).await.unwrap_err();
    assert!(matches!(refused, BackendError::Refused(Refusal::CapReached)), "{refused}");
}

#[tokio::test]
async fn a_provider_that_used_up_its_month_is_stopped_until_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("simulated.db");
    let november = Clock::new(|| "2026-11-30T23:59:59Z".parse().unwrap());
    let december = Clock::new(|| "2026-12-01T00:00:00Z".parse().unwrap());
    let backend = Simulated::new(file.clone(), PaymentMethod::Succeeds, november.clone());
    let first = backend.provision(&order("first")).await.unwrap().resource;
    let second = backend.provision(&order("second")).await.unwrap().resource;
    let world = World::new(file.clone(), november);
    world.set_monthly_limit("supermemory", Cents::new(500).unwrap()).unwrap();
    assert!(world.accrue(&first, MicroUsd::new(5_000_000)).unwrap().suspended);
    let seen = backend.observe(Scope::Resources(std::slice::from_ref(&second))).await.unwrap();
    assert!(seen[0].suspended, "the limit is the provider's, not the project's");
    let refused = backend.resume(&second).await.unwrap_err();
    assert!(matches!(refused, BackendError::Refused(Refusal::MonthlyLimitReached { .. })), "{refused}");
    World::new(file, december).resume(&second).unwrap();
}

#[tokio::test]
async fn a_declined_card_stops_what_is_paid_and_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Simulated::new(folder.path().join("simulated.db"), PaymentMethod::Declines, Clock::system());
    let declined = backend.provision(&Order { paid: true, ..order("paid") }).await.unwrap_err();
    assert!(matches!(declined, BackendError::Refused(Refusal::CardDeclined)), "{declined}");
    assert_eq!(backend.observe(Scope::Everything).await.unwrap(), []);
    backend.provision(&order("free")).await.unwrap();
}

#[tokio::test]
async fn nothing_that_is_shown_contains_a_credential() {
    for world in WORLDS {
        let subject = world();
        let service = subject.backend.provision(&order("quiet")).await.unwrap();
        let shown = format!("{service:?} {:?}", subject.backend.observe(Scope::Everything).await.unwrap());
        let key = service.credentials.pick(None).unwrap();
        assert!(!shown.contains(&key.mask().as_str()[key.mask().as_str().len() - 4..]), "{shown}");
    }
}

fn order(name: &str) -> Order {
    Order {
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse(name).unwrap(),
        service: ServiceRef::parse("supermemory/memory").unwrap(),
        plan: None,
        config: Map::new(),
        credentials: Vec::new(),
        cap: Cents::parse_usd("10").unwrap(),
        paid: false,
        terms_accepted: true,
    }
}
