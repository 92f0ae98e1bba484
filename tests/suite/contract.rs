//! The contract of `Backend`, for every implementation: exactly what its doc comment promises.
//!
//! A new backend adds itself to [`BACKENDS`]; everything else here is the same for all.

use std::slice;

use backends::{
    Backend, BackendError, Credentials, Order, Refusal, Scope,
    simulated::{PaymentMethod, Simulated, SimulatedStripe},
};
use domain::{
    clock::Clock,
    money::{Cents, MicroUsd},
    project::{ProjectId, ResourceId},
    secret::Secret,
};

use crate::backends::{BACKENDS, KEY, order, simulated};

#[tokio::test]
async fn order_placed_repeatedly_creates_one_resource() {
    for under_test in BACKENDS {
        let under_test = under_test();
        let order = under_test.order("once");
        let first = under_test.backend.provision(&order).await.unwrap();
        let again = under_test.backend.provision(&order).await.unwrap();
        assert_eq!(first.resource, again.resource);
        let (first, again) = (key(&first.credentials), key(&again.credentials));
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(under_test.resources(), 1);
        assert!(under_test.accepts(first));
    }
}

#[tokio::test]
async fn two_orders_with_one_name_are_two_resources() {
    for under_test in BACKENDS {
        let under_test = under_test();
        let first = under_test.order("same");
        let second = Order { name: first.name.clone(), ..under_test.order("other") };
        let first = under_test.backend.provision(&first).await.unwrap();
        let second = under_test.backend.provision(&second).await.unwrap();
        assert_ne!(first.resource, second.resource);
    }
}

#[tokio::test]
async fn reveal_returns_existing_credentials_and_creates_none() {
    for under_test in BACKENDS {
        let under_test = under_test();
        let service = under_test.backend.provision(&under_test.order("reveal")).await.unwrap();
        let revealed = under_test.backend.reveal(&service.resource).await.unwrap();
        let (before, after) = (key(&service.credentials), key(&revealed));
        assert_eq!(before.fingerprint(), after.fingerprint());
    }
}

#[tokio::test]
async fn rotation_revokes_the_old_credential() {
    for under_test in BACKENDS {
        let under_test = under_test();
        let service = under_test.backend.provision(&under_test.order("rotate")).await.unwrap();
        let rotated = under_test.backend.rotate(&service.resource).await.unwrap();
        assert!(!under_test.accepts(key(&service.credentials)));
        assert!(under_test.accepts(key(&rotated)));
    }
}

#[tokio::test]
async fn teardown_is_final_and_idempotent() {
    for under_test in BACKENDS {
        let under_test = under_test();
        let service = under_test.backend.provision(&under_test.order("gone")).await.unwrap();
        for _ in 0..2 {
            under_test.backend.teardown(&service.resource).await.unwrap();
        }
        assert!(!under_test.accepts(key(&service.credentials)));
        assert_eq!(under_test.resources(), 0);
        assert_eq!(under_test.backend.observe(Scope::Resources(slice::from_ref(&service.resource))).await.unwrap(), []);
        let error = under_test.backend.rotate(&service.resource).await.unwrap_err();
        assert!(matches!(error, BackendError::NotFound), "{error}");
        let error = under_test.backend.reveal(&service.resource).await.unwrap_err();
        assert!(matches!(error, BackendError::NotFound), "{error}");
    }
}

#[tokio::test]
async fn teardown_of_an_unknown_resource_succeeds() {
    for under_test in BACKENDS {
        let under_test = under_test();
        under_test.backend.teardown(&ResourceId::new("fres_none".to_owned())).await.unwrap();
    }
}

#[tokio::test]
async fn suspension_revokes_credentials_and_resume_reveals_valid_ones() {
    for under_test in BACKENDS {
        let under_test = under_test();
        let service = under_test.backend.provision(&under_test.order("pause")).await.unwrap();
        under_test.backend.suspend(&service.resource).await.unwrap();
        assert!(!under_test.accepts(key(&service.credentials)));
        under_test.backend.resume(&service.resource).await.unwrap();
        let revealed = under_test.backend.reveal(&service.resource).await.unwrap();
        assert!(under_test.accepts(key(&revealed)));
        assert!(!under_test.accepts(key(&service.credentials)), "a revoked credential stays revoked");
    }
}

#[tokio::test]
async fn simulated_rotation_does_not_lift_a_suspension() {
    let under_test = simulated();
    let service = under_test.backend.provision(&under_test.order("pause")).await.unwrap();
    under_test.backend.suspend(&service.resource).await.unwrap();
    let rotated = under_test.backend.rotate(&service.resource).await.unwrap();
    assert!(!under_test.accepts(key(&rotated)));
    under_test.backend.resume(&service.resource).await.unwrap();
    assert!(!under_test.accepts(key(&service.credentials)));
    assert!(under_test.accepts(key(&rotated)));
}

#[tokio::test]
async fn observations_are_complete_within_their_scope() {
    for under_test in BACKENDS {
        let under_test = under_test();
        let (one, two) = (under_test.order("one"), under_test.order("two"));
        let first = under_test.backend.provision(&one).await.unwrap().resource;
        let second = under_test.backend.provision(&two).await.unwrap().resource;
        let of = |scope| under_test.backend.observe(scope);
        match of(Scope::Everything).await {
            Ok(everything) => assert_eq!(everything.len(), 2),
            Err(error) => assert!(matches!(error, BackendError::Unknown { .. }), "{error}"),
        }
        let ids = [second.clone(), ResourceId::new("fres_none".to_owned())];
        let observed = of(Scope::Resources(&ids)).await.unwrap();
        assert_eq!(observed.iter().map(|observed| &observed.resource).collect::<Vec<_>>(), [&second]);
        let observed = of(Scope::Order(&one.id)).await.unwrap();
        assert_eq!(observed.iter().map(|observed| &observed.resource).collect::<Vec<_>>(), [&first]);
        assert_eq!(of(Scope::Order(&ProjectId::random().unwrap())).await.unwrap(), []);
    }
}

#[tokio::test]
async fn usage_suspends_at_the_cap_and_not_before() {
    let under_test = simulated();
    let service = under_test.backend.provision(&under_test.order("meter")).await.unwrap();
    let credential = key(&service.credentials);
    let bill = |micro_usd| under_test.backend.record_usage(&service.resource, MicroUsd::new(micro_usd));
    let observed = bill(9_999_999).await.unwrap();
    assert!(!observed.suspended && under_test.accepts(credential));
    let observed = bill(1).await.unwrap();
    assert!(observed.suspended && !under_test.accepts(credential));
    assert_eq!(observed.usage, Some(MicroUsd::new(10_000_000)));
    let error = bill(1).await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(Refusal::CapReached)), "{error}");
    let error = under_test.backend.resume(&service.resource).await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(Refusal::CapReached)), "{error}");
}

#[tokio::test]
async fn provider_at_its_monthly_limit_stops_until_the_next_month() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("simulated.db");
    let november = Clock::new(|| "2026-11-30T23:59:59Z".parse().unwrap());
    let december = Clock::new(|| "2026-12-01T00:00:00Z".parse().unwrap());
    let backend = Simulated::new(file.clone(), PaymentMethod::Succeeds, november.clone());
    let first = backend.provision(&order("first")).await.unwrap().resource;
    let second = backend.provision(&order("second")).await.unwrap().resource;
    let world = SimulatedStripe::new(file.clone(), november);
    world.set_monthly_limit("supermemory", Cents::new(500).unwrap()).unwrap();
    assert!(world.accrue(&first, MicroUsd::new(5_000_000)).unwrap().suspended);
    let observed = backend.observe(Scope::Resources(slice::from_ref(&second))).await.unwrap();
    assert!(observed[0].suspended, "the limit is the provider's, not the project's");
    let error = backend.resume(&second).await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(Refusal::MonthlyLimitReached { .. })), "{error}");
    SimulatedStripe::new(file, december).resume(&second).unwrap();
}

#[tokio::test]
async fn declined_card_stops_paid_services_and_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Simulated::new(folder.path().join("simulated.db"), PaymentMethod::Declines, Clock::system());
    let declined = backend.provision(&Order { paid: true, ..order("paid") }).await.unwrap_err();
    assert!(matches!(declined, BackendError::Refused(Refusal::CardDeclined)), "{declined}");
    assert_eq!(backend.observe(Scope::Everything).await.unwrap(), []);
    backend.provision(&Order { paid: false, ..order("free") }).await.unwrap();
}

#[tokio::test]
async fn debug_output_contains_no_credential() {
    for under_test in BACKENDS {
        let under_test = under_test();
        let service = under_test.backend.provision(&under_test.order("quiet")).await.unwrap();
        let observed = under_test.backend.observe(Scope::Resources(slice::from_ref(&service.resource))).await.unwrap();
        let debug = format!("{service:?} {observed:?}");
        let key = key(&service.credentials);
        assert!(!debug.contains(&key.mask().as_str()[key.mask().as_str().len() - 4..]), "{debug}");
    }
}

fn key(credentials: &Credentials) -> &Secret {
    credentials.pick(Some(KEY)).unwrap()
}
