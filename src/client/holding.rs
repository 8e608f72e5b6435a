//! Holding a token: when its source is read again, and by whom.

#[cfg(test)]
pub(super) mod tests;

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
