//! Who is told of a leak, and that nothing depends on it.

use std::sync::{Arc, Mutex};

use api_tokens::{
    Status,
    leak::reports::{Leak, LeakAction, LeakNotifier, LeakPolicy, NotifyError},
};
use axum::http::StatusCode;
use serde_json::json;

use crate::support::{Signing, Told, app, found, in_memory, reports, send};

#[tokio::test]
async fn the_owner_is_told_once_of_each_place() {
    let (tokens, signing, told) = (in_memory(), Signing::new(1), Told::default());
    let app = app(&reports(&tokens, LeakPolicy::Quarantine).notifier(told.clone()), &signing);
    let token = tokens.create().await;
    let entry =
        |url: &str| json!({ "token": token.expose_secret(), "url": url, "source": "commit" });
    let body = json!([
        entry("https://a.example/"),
        entry("https://b.example/"),
        entry("https://a.example/")
    ]);
    for _ in 0..3 {
        send(&app, signing.request(body.to_string())).await;
    }
    let [leak] = &told.take(1).await[..] else { panic!("told once") };
    assert_eq!((leak.record.id, leak.record.owner.as_str()), (token.id(), "ann"));
    assert_eq!((leak.action, leak.status), (LeakAction::Disabled, Status::Disabled));
    let urls: Vec<_> =
        leak.places.iter().map(|place| place.url.as_ref().unwrap().as_str()).collect();
    assert_eq!(urls, ["https://a.example/", "https://b.example/"]);
    assert!(leak.places.iter().all(|place| place.source.as_str() == "github: commit"));

    // Somebody else has found it, too.
    found(&app, token.expose_secret(), None).await;
    let [leak] = &told.take(1).await[..] else { panic!("told once more") };
    assert_eq!((leak.action, leak.status), (LeakAction::None, Status::Disabled));
    // And nothing was to tell of what is not a token of ours.
    found(&app, "something", None).await;
    assert!(told.take(0).await.is_empty());
}

/// Fails in each way there is, one after the other.
#[derive(Clone, Default)]
struct Failing(Arc<Mutex<u32>>);

impl LeakNotifier for Failing {
    async fn notify(&self, _: Leak) -> Result<(), NotifyError> {
        let number = {
            let mut calls = self.0.lock().unwrap();
            *calls += 1;
            *calls
        };
        match number {
            1 => Err("no mail today".into()),
            2 => panic!("a deliberate panic of the notifier"),
            _ => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn a_notifier_that_fails_undoes_and_delays_nothing() {
    let (tokens, failing) = (in_memory(), Failing::default());
    let reports = reports(&tokens, LeakPolicy::Revoke).notifier(failing.clone());
    let app = app(&reports, &Signing::new(1));
    for calls in 1..=3 {
        let token = tokens.create().await;
        let answer = found(&app, token.expose_secret(), None).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!tokens.is_accepted(&token).await);
        while *failing.0.lock().unwrap() < calls {
            tokio::task::yield_now().await;
        }
    }
}
