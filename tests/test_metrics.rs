//! What is recorded for the `metrics` facade.

mod util;

use std::collections::BTreeMap;

use api_tokens::{
    Cache, Issuer, Keyring, MemoryStore, MeteredStore, TokenStore, Verifier, WriteBatch, prefix,
    testing::ManualClock,
};
use jiff::SignedDuration;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use util::{ann, at_once, new_token};

/// The counters and gauges that were recorded since the last time, and how often each histogram was.
fn recorded(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let snapshot = snapshotter.snapshot().into_vec();
    snapshot
        .into_iter()
        .map(|(key, _, _, value)| {
            let (_, key) = key.into_parts();
            let (name, labels) = key.into_parts();
            let labels: Vec<String> = labels.iter().map(|l| l.value().to_owned()).collect();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(values) => values.len() as f64,
            };
            (format!("{} {}", name.as_str(), labels.join(" ")), value)
        })
        .collect()
}

#[test]
fn a_tick_records_what_happened_since_the_last() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let store = MeteredStore::new(MemoryStore::new());
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().expect("a time"));
        let (verifier, mut background) =
            Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), store.clone())
                .clock(clock.clone())
                .cache(Cache::new())
                .build();
        at_once(background.poll_changes()).expect("poll");
        let issuer = Issuer::new(&verifier);
        let token = at_once(issuer.create(new_token("a token"), &ann())).expect("create").token;
        for _ in 0..5 {
            at_once(verifier.verify(token.expose_secret().as_bytes())).expect("accepted");
        }
        for _ in 0..30 {
            at_once(verifier.verify(b"garbage")).expect_err("refused");
        }
        at_once(issuer.revoke(token.id(), &ann(), None)).expect("revoke");
        at_once(verifier.verify(token.expose_secret().as_bytes())).expect_err("revoked");
        at_once(
            store.write(&WriteBatch::update(
                at_once(store.find(&token.id()))
                    .expect("find")
                    .expect("a record")
                    .record
                    .as_ref()
                    .clone(),
            )),
        )
        .expect_err("a conflict");
        clock.advance(SignedDuration::from_millis(250));
        at_once(background.tick()).expect("tick");

        let figures = recorded(&snapshotter);
        let figure = |name: &str| figures.get(name).copied();
        for (name, value) in [
            ("api_tokens_verifications_total acme_live accepted", 5.0),
            ("api_tokens_verifications_total acme_live malformed", 30.0),
            ("api_tokens_verifications_total acme_live revoked", 1.0),
            ("api_tokens_cache_hits_total acme_live", 4.0),
            ("api_tokens_cache_misses_total acme_live", 2.0),
            ("api_tokens_cache_lease_expirations_total acme_live", 0.0),
            ("api_tokens_cache_tokens acme_live", 1.0),
            ("api_tokens_store_duration_seconds changes_since ok", 1.0),
            // Two by verifications, one to revoke, one above.
            ("api_tokens_store_duration_seconds find ok", 4.0),
            ("api_tokens_store_duration_seconds write ok", 2.0),
            ("api_tokens_store_duration_seconds write conflict", 1.0),
            ("api_tokens_store_duration_seconds record_usage ok", 1.0),
        ] {
            assert_eq!(figure(name), Some(value), "{name} in {figures:#?}");
        }
        for (name, value) in [
            ("api_tokens_cache_lease_seconds acme_live", 0.75),
            ("api_tokens_cache_feed_age_seconds acme_live", 0.25),
        ] {
            assert_eq!(figure(name), Some(value), "{name}");
        }

        at_once(background.tick()).expect("tick");
        let figures = recorded(&snapshotter);
        let accepted = figures.get("api_tokens_verifications_total acme_live accepted");
        assert_eq!(accepted, Some(&0.0), "{figures:#?}");
    });
}
