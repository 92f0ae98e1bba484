//! The contract of `Backend`, for every implementation: what its doc comment promises, and nothing else.
//!
//! A new backend adds itself to [`SUBJECTS`]; everything else here is the same for all.

use std::slice;

use stripe_projects_mcp::{
    backend::{
        Backend, BackendError, Credentials, Order, Refusal, Scope,
        simulated::{PaymentMethod, Simulated, World},
    },
    clock::Clock,
    money::{Cents, MicroUsd},
    project::{ProjectId, ResourceId},
    secret::Secret,
};

use crate::backends::{KEY, SUBJECTS, order, simulated};

#[tokio::test]
async fn an_order_creates_one_resource_however_often_it_is_placed() {
    for subject in SUBJECTS {
        let subject = subject();
        let order = subject.order("once");
        let first = subject.backend.provision(&order).await.unwrap();
        let again = subject.backend.provision(&order).await.unwrap();
        assert_eq!(first.resource, again.resource);
        let (first, again) = (key(&first.credentials), key(&again.credentials));
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(subject.resources(), 1);
        assert!(subject.works(first));
    }
}

#[tokio::test]
async fn two_orders_are_two_resources_even_of_one_name() {
    for subject in SUBJECTS {
        let subject = subject();
        let first = subject.order("same");
        let second = Order { name: first.name.clone(), ..subject.order("other") };
        let first = subject.backend.provision(&first).await.unwrap();
        let second = subject.backend.provision(&second).await.unwrap();
        assert_ne!(first.resource, second.resource);
    }
}

#[tokio::test]
async fn reveal_hands_out_what_there_is_and_mints_nothing() {
    for subject in SUBJECTS {
        let subject = subject();
        let service = subject.backend.provision(&subject.order("reveal")).await.unwrap();
        let revealed = subject.backend.reveal(&service.resource).await.unwrap();
        let (before, after) = (key(&service.credentials), key(&revealed));
        assert_eq!(before.fingerprint(), after.fingerprint());
    }
}

#[tokio::test]
async fn a_rotation_kills_the_old_credential() {
    for subject in SUBJECTS {
        let subject = subject();
        let service = subject.backend.provision(&subject.order("rotate")).await.unwrap();
        let rotated = subject.backend.rotate(&service.resource).await.unwrap();
        assert!(!subject.works(key(&service.credentials)));
        assert!(subject.works(key(&rotated)));
    }
}

#[tokio::test]
async fn a_teardown_is_final_and_may_be_repeated() {
    for subject in SUBJECTS {
        let subject = subject();
        let service = subject.backend.provision(&subject.order("gone")).await.unwrap();
        for _ in 0..2 {
            subject.backend.teardown(&service.resource).await.unwrap();
        }
        assert!(!subject.works(key(&service.credentials)));
        assert_eq!(subject.resources(), 0);
        assert_eq!(subject.backend.observe(Scope::Resources(slice::from_ref(&service.resource))).await.unwrap(), []);
        let error = subject.backend.rotate(&service.resource).await.unwrap_err();
        assert!(matches!(error, BackendError::NotFound), "{error}");
        let error = subject.backend.reveal(&service.resource).await.unwrap_err();
        assert!(matches!(error, BackendError::NotFound), "{error}");
    }
}

#[tokio::test]
async fn what_never_was_is_gone_already() {
    for subject in SUBJECTS {
        let subject = subject();
        subject.backend.teardown(&ResourceId::new("fres_none".to_owned())).await.unwrap();
    }
}

#[tokio::test]
async fn a_suspension_kills_what_was_handed_out_and_resume_reveals_what_works() {
    for subject in SUBJECTS {
        let subject = subject();
        let service = subject.backend.provision(&subject.order("pause")).await.unwrap();
        subject.backend.suspend(&service.resource).await.unwrap();
        assert!(!subject.works(key(&service.credentials)));
        subject.backend.resume(&service.resource).await.unwrap();
        let revealed = subject.backend.reveal(&service.resource).await.unwrap();
        assert!(subject.works(key(&revealed)));
        assert!(!subject.works(key(&service.credentials)), "what was killed stays dead");
    }
}

#[tokio::test]
async fn in_the_simulation_a_rotation_is_no_way_around_a_suspension() {
    let subject = simulated();
    let service = subject.backend.provision(&subject.order("pause")).await.unwrap();
    subject.backend.suspend(&service.resource).await.unwrap();
    let rotated = subject.backend.rotate(&service.resource).await.unwrap();
    assert!(!subject.works(key(&rotated)));
    subject.backend.resume(&service.resource).await.unwrap();
    assert!(!subject.works(key(&service.credentials)));
    assert!(subject.works(key(&rotated)));
}

#[tokio::test]
async fn observations_are_complete_within_their_scope() {
    for subject in SUBJECTS {
        let subject = subject();
        let (one, two) = (subject.order("one"), subject.order("two"));
        let first = subject.backend.provision(&one).await.unwrap().resource;
        let second = subject.backend.provision(&two).await.unwrap().resource;
        let of = |scope| subject.backend.observe(scope);
        match of(Scope::Everything).await {
            Ok(everything) => assert_eq!(everything.len(), 2),
            Err(error) => assert!(matches!(error, BackendError::Unknown { .. }), "{error}"),
        }
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
    let service = subject.backend.provision(&subject.order("meter")).await.unwrap();
    let credential = key(&service.credentials);
    let bill = |micro_usd| subject.backend.record_usage(&service.resource, MicroUsd::new(micro_usd));
    let seen = bill(9_999_999).await.unwrap();
    assert!(!seen.suspended && subject.works(credential));
    let seen = bill(1).await.unwrap();
    assert!(seen.suspended && !subject.works(credential));
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
    let seen = backend.observe(Scope::Resources(slice::from_ref(&second))).await.unwrap();
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
    backend.provision(&Order { paid: false, ..order("free") }).await.unwrap();
}

#[tokio::test]
async fn nothing_that_is_shown_contains_a_credential() {
    for subject in SUBJECTS {
        let subject = subject();
        let service = subject.backend.provision(&subject.order("quiet")).await.unwrap();
        let seen = subject.backend.observe(Scope::Resources(slice::from_ref(&service.resource))).await.unwrap();
        let shown = format!("{service:?} {seen:?}");
        let key = key(&service.credentials);
        assert!(!shown.contains(&key.mask().as_str()[key.mask().as_str().len() - 4..]), "{shown}");
    }
}

fn key(credentials: &Credentials) -> &Secret {
    credentials.pick(Some(KEY)).unwrap()
}
