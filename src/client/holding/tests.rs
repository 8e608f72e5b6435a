use std::sync::atomic::{AtomicUsize, Ordering};

use rand::{SeedableRng, rngs::ChaCha20Rng};
use tokio::time::{advance, sleep, timeout};
use zeroize::Zeroizing;

use super::super::{
    ClientToken,
    error::Failure,
    place::{Text, Where},
};
use super::*;
use crate::{Token, prefix};

/// A place that has what the test says, and counts how often it is asked.
#[derive(Clone, Default)]
pub(in super::super) struct Script(Arc<Scripted>);

#[derive(Default)]
struct Scripted {
    text: Mutex<String>,
    takes: Duration,
    readings: AtomicUsize,
}

impl Script {
    fn new(text: &str, takes: Duration) -> Self {
        let text = Mutex::new(text.to_owned());
        Self(Arc::new(Scripted { text, takes, readings: AtomicUsize::new(0) }))
    }

    pub(in super::super) async fn read(&self) -> Result<Option<Text>, Failure> {
        self.0.readings.fetch_add(1, Ordering::SeqCst);
        // As a command does: what it prints is what was there when it began.
        let text = self.0.text.lock().unwrap().clone().into_bytes();
        sleep(self.0.takes).await;
        Ok(Some(Zeroizing::new(text)))
    }

    fn set(&self, text: &str) {
        text.clone_into(&mut self.0.text.lock().unwrap());
    }

    fn readings(&self) -> usize {
        self.0.readings.load(Ordering::SeqCst)
    }

    async fn load(&self) -> ClientToken {
        let source = TokenSource::at(Where::Scripted(self.clone()));
        ClientToken::load(prefix!("acme_live"), source).await.unwrap()
    }
}

fn text(seed: u64) -> String {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let token = Token::generate(&prefix!("acme_live"), &mut rng).unwrap();
    token.expose_secret().to_owned()
}

const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_by_one_reading_for_all_who_wait() {
    let script = Script::new(&text(1), MOMENT);
    let token = script.load().await;
    let used = token.current().await;
    script.set(&text(2));

    let renewals: Vec<_> = (0..50)
        .map(|_| {
            let (token, used) = (token.clone(), Arc::clone(&used));
            tokio::spawn(async move { token.renew(&used).await })
        })
        .collect();
    for renewal in renewals {
        assert_eq!(renewal.await.unwrap().unwrap().expose_secret(), text(2));
    }
    assert_eq!(script.readings(), 2);
    assert_eq!(token.current().await.expose_secret(), text(2));
    // Whoever comes late with the old one has the new one at once.
    assert_eq!(token.renew(&used).await.unwrap().expose_secret(), text(2));
    assert_eq!(script.readings(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_does_not_cancel_the_reading() {
    let script = Script::new(&text(1), MOMENT);
    let token = script.load().await;
    let used = token.current().await;
    script.set(&text(2));

    assert!(timeout(MOMENT / 2, token.renew(&used)).await.is_err());
    let began = Instant::now();
    assert_eq!(token.renew(&used).await.unwrap().expose_secret(), text(2));
    assert!(began.elapsed() <= MOMENT / 2 + Duration::from_millis(2), "it began anew");
    assert_eq!(script.readings(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_reading_goes_on_though_nobody_waits() {
    let script = Script::new(&text(1), MOMENT);
    let token = script.load().await;
    script.set(&text(2));
    let used = token.current().await;
    assert!(timeout(MOMENT / 2, token.renew(&used)).await.is_err());
    sleep(MOMENT).await;
    assert_eq!(token.current().await.expose_secret(), text(2));
}

#[tokio::test(start_paused = true)]
async fn what_brought_nothing_new_is_not_read_again_for_five_seconds() {
    let script = Script::new(&text(1), Duration::ZERO);
    let token = script.load().await;
    let used = token.current().await;

    for _ in 0..1000 {
        assert!(token.renew(&used).await.is_none());
    }
    assert_eq!(script.readings(), 2);
    script.set(&text(2));
    advance(Duration::from_millis(4_990)).await;
    assert!(token.renew(&used).await.is_none());
    advance(Duration::from_millis(10)).await;
    assert_eq!(token.renew(&used).await.unwrap().expose_secret(), text(2));
    assert_eq!(script.readings(), 3);
    // What was new may be replaced at once.
    script.set(&text(3));
    let used = token.current().await;
    assert_eq!(token.renew(&used).await.unwrap().expose_secret(), text(3));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_not_read_again_for_five_seconds_either() {
    let script = Script::new(&text(1), Duration::ZERO);
    let token = script.load().await;
    let used = token.current().await;
    script.set("");
    assert!(token.renew(&used).await.is_none());
    assert!(token.renew(&used).await.is_none());
    assert_eq!(script.readings(), 2);
    assert_eq!(token.current().await.expose_secret(), text(1));
    script.set(&text(2));
    advance(PAUSE).await;
    assert_eq!(token.renew(&used).await.unwrap().expose_secret(), text(2));
}

/// A token may come again under its id with another secret, if its creation was repeated.
#[tokio::test(start_paused = true)]
async fn tokens_are_told_apart_by_all_of_their_text() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let id = text(1)[10..26].parse().unwrap();
    let again = Token::generate_with_id(id, &prefix!("acme_live"), &mut rng).unwrap();
    let script = Script::new(&text(1), Duration::ZERO);
    let token = script.load().await;
    let used = token.current().await;
    script.set(again.expose_secret());
    let newer = token.renew(&used).await.unwrap();
    assert_eq!(newer.id(), used.id());
    assert_eq!(newer.expose_secret(), again.expose_secret());
}

#[tokio::test(start_paused = true)]
async fn a_place_has_thirty_seconds_or_what_it_was_given() {
    for (limit, source) in [
        (30, TokenSource::at(Where::Scripted(Script::new(&text(1), PAUSE * 10)))),
        (
            2,
            TokenSource::at(Where::Scripted(Script::new(&text(1), PAUSE)))
                .timeout(Duration::from_secs(2)),
        ),
    ] {
        let began = Instant::now();
        let error = ClientToken::load(prefix!("acme_live"), source).await.unwrap_err();
        let message =
            format!("the script is not there after {limit}s: is it waiting for somebody?");
        assert_eq!(error.to_string(), message);
        assert!(!error.is_absent() && !error.is_malformed());
        assert_eq!(began.elapsed().as_secs(), limit);
    }
}

/// The files are looked at before the source is read, so that no change falls in between.
#[tokio::test(start_paused = true)]
async fn what_changes_during_a_reading_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let change = |round: u64| std::fs::write(&path, "x".repeat(usize::try_from(round).unwrap()));
    let script = Script::new(&text(1), MOMENT);
    let source = TokenSource::at(Where::Scripted(script.clone())).or(TokenSource::file(&path));

    let loading = tokio::spawn(ClientToken::load(prefix!("acme_live"), source));
    sleep(MOMENT / 2).await;
    change(1).unwrap();
    let token = loading.await.unwrap().unwrap();
    assert_eq!(script.readings(), 1);
    for round in 2..4 {
        advance(LOOK).await;
        let looking = {
            let token = token.clone();
            tokio::spawn(async move { token.current().await })
        };
        sleep(MOMENT / 2).await;
        change(round).unwrap();
        looking.await.unwrap();
        assert_eq!(script.readings(), usize::try_from(round).unwrap());
    }
}

/// What reads in one runtime ends with it; those in others go on.
#[test]
fn a_reading_that_ended_with_its_runtime_is_begun_anew() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let script = Script::new(&text(1), MOMENT);
    let first = runtime();
    let token = first.block_on(script.load());
    script.set(&text(2));
    first.block_on(async {
        let used = token.current().await;
        assert!(timeout(MOMENT / 2, token.renew(&used)).await.is_err());
    });
    drop(first);
    runtime().block_on(async {
        let used = token.current().await;
        assert_eq!(token.renew(&used).await.unwrap().expose_secret(), text(2));
    });
    assert_eq!(script.readings(), 3);
}
