//! Holding a token: when its source is read again, and by whom.

use core::time::Duration;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::{sync::watch, time::Instant};

use super::{
    HeldToken, TokenSource, TokenSourceError,
    file::{self, Stamps},
};
use crate::Prefix;

/// How often the files of a source are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// For how long a source that had nothing new is not read again for a token that was refused.
const PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Holding {
    prefix: Prefix,
    source: TokenSource,
    files: Vec<PathBuf>,
    token: ArcSwap<HeldToken>,
    state: Mutex<State>,
}

struct State {
    /// Not before this are the files looked at again.
    look_at: Instant,
    /// The files, as they were before the last reading that brought a token.
    seen: Stamps,
    /// The number of the place that the token is from.
    place: usize,
    /// The files, as they were before the last reading that failed, if none has succeeded since.
    warned: Option<Stamps>,
    reading: Option<Reading>,
    /// Not before this is the source read again for a token that was refused.
    read_at: Instant,
}

/// A reading that is under way: ends when its sender is dropped, also by a panic or with the
/// runtime.
type Reading = watch::Receiver<()>;

impl Holding {
    pub(super) async fn begin(
        prefix: Prefix,
        source: TokenSource,
    ) -> Result<Self, TokenSourceError> {
        let files = source.files();
        // Before the reading: what changes meanwhile is read again.
        let seen = stamps(&files).await;
        let (token, place) = source.read(&prefix).await?;
        let token = ArcSwap::from_pointee(token);
        let now = Instant::now();
        let state =
            State { look_at: now + LOOK, seen, place, warned: None, reading: None, read_at: now };
        Ok(Self { prefix, source, files, token, state: Mutex::new(state) })
    }

    pub(super) fn token(&self) -> Arc<HeldToken> {
        self.token.load_full()
    }

    /// Looks at the files if it is time to, and if they have changed, reads the source.
    pub(super) async fn look(self: &Arc<Self>) {
        if self.is_time_to_look() && stamps(&self.files).await != self.state().seen {
            let reading = self.join(&mut self.state());
            wait_for(reading).await;
        }
    }

    /// Reads the source for a token that was refused, unless it had nothing new just now. Files tell
    /// whether they have by now.
    pub(super) async fn read_again(self: &Arc<Self>) {
        if self.had_nothing_new() && stamps(&self.files).await == self.state().seen {
            return;
        }
        let reading = self.join(&mut self.state());
        wait_for(reading).await;
    }

    fn had_nothing_new(&self) -> bool {
        let state = self.state();
        state.reading().is_none() && Instant::now() < state.read_at
    }

    /// Says so to one caller a second.
    fn is_time_to_look(&self) -> bool {
        if self.files.is_empty() {
            return false;
        }
        let now = Instant::now();
        let mut state = self.state();
        let is_time = now >= state.look_at;
        if is_time {
            state.look_at = now + LOOK;
        }
        is_time
    }

    /// Joins the reading that is under way, or begins one in a task of its own, which nobody who
    /// waits for it can cancel.
    fn join(self: &Arc<Self>, state: &mut State) -> Reading {
        if let Some(reading) = state.reading() {
            return reading;
        }
        let (ends, reading) = watch::channel(());
        state.reading = Some(reading.clone());
        let holding = Arc::clone(self);
        tokio::spawn(async move {
            holding.read().await;
            drop(ends);
        });
        reading
    }

    async fn read(&self) {
        let stamps = stamps(&self.files).await;
        let place = self.state().place;
        let read = self.source.read_again(place, &self.prefix).await;
        let old = self.token();
        let mut state = self.state();
        match read {
            Ok((token, place)) => {
                state.seen = stamps;
                state.place = place;
                state.warned = None;
                if !token.is_same(&old) {
                    tracing::info!(
                        target: "api_tokens", old = %old.id(), new = %token.id(),
                        "took a new API token",
                    );
                    self.token.store(Arc::new(token));
                    return;
                }
            }
            Err(error) => {
                // `seen` stays as it is, so that the next look finds the change again.
                if state.warned.as_ref() != Some(&stamps) {
                    tracing::warn!(
                        target: "api_tokens", %error,
                        "cannot read the API token again, so the old one stays",
                    );
                    state.warned = Some(stamps);
                }
            }
        }
        state.read_at = Instant::now() + PAUSE;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reading(&self) -> Option<Reading> {
        self.reading.clone().filter(|reading| reading.has_changed().is_ok())
    }
}

async fn wait_for(mut reading: Reading) {
    // Nothing is ever sent: this is the error that the sender is gone.
    let _ = reading.changed().await;
}

/// Empty if the runtime is about to end.
async fn stamps(files: &[PathBuf]) -> Stamps {
    if files.is_empty() {
        return Stamps::new();
    }
    let files = files.to_owned();
    tokio::task::spawn_blocking(move || file::stamps(&files)).await.unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
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
        let change =
            |round: u64| std::fs::write(&path, "x".repeat(usize::try_from(round).unwrap()));
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
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
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
}
