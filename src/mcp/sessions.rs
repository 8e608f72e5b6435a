//! Which sessions there are, whose, and when they are over.

use core::{fmt, future::poll_fn, pin::pin, task::Poll, time::Duration};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::HeaderValue;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{Status, TokenId, Verified, VerifyError, sharded::Sharded};

/// The sessions of each family of tokens. A session is looked for among those of the request's
/// token alone, so nobody else's can be found.
pub(super) struct Sessions {
    families: Sharded<Mutex<Families>>,
    max_of_family: usize,
}

type Families = HashMap<TokenId, Vec<Session>>;

struct Session {
    id: HeaderValue,
    /// With it, the session ends.
    last_use: watch::Sender<Use>,
}

/// When a session was used, and with which token.
#[derive(Clone)]
pub(super) struct Use {
    token: Verified,
    at: Instant,
}

impl Use {
    fn now(token: &Verified) -> Self {
        Self { token: token.clone(), at: Instant::now() }
    }
}

impl Sessions {
    pub(super) fn with_max(of_family: usize) -> Self {
        Self { families: Sharded::default(), max_of_family: of_family }
    }

    /// Adds a session, in place of the one that was unused for longest if there are too many.
    pub(super) fn open(&self, token: &Verified, id: HeaderValue) -> watch::Receiver<Use> {
        let (last_use, uses) = watch::channel(Use::now(token));
        let family = family(token);
        let mut families = self.lock(&family);
        let sessions = families.entry(family).or_default();
        if sessions.len() >= self.max_of_family {
            let unused = |(_, session): &(usize, &Session)| session.last_use.borrow().at;
            if let Some((oldest, _)) = sessions.iter().enumerate().min_by_key(unused) {
                sessions.swap_remove(oldest);
            }
        }
        sessions.push(Session { id, last_use });
        uses
    }

    /// Notes a use of a session, and says whether there is such a one of this token's.
    pub(super) fn join(&self, token: &Verified, id: &HeaderValue) -> bool {
        let family = family(token);
        let families = self.lock(&family);
        let mut sessions = families.get(&family).into_iter().flatten();
        let session = sessions.find(|session| session.id == *id);
        if let Some(session) = session {
            session.last_use.send_replace(Use::now(token));
        }
        session.is_some()
    }

    pub(super) fn remove(&self, token: &Verified, id: &HeaderValue) {
        let family = family(token);
        let mut families = self.lock(&family);
        if let Some(sessions) = families.get_mut(&family) {
            sessions.retain(|session| session.id != *id);
            if sessions.is_empty() {
                families.remove(&family);
            }
        }
    }

    fn lock(&self, family: &TokenId) -> MutexGuard<'_, Families> {
        self.families.of(family).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// A token and those that replace it by rotation have the same one.
fn family(token: &Verified) -> TokenId {
    token.record().rotation.map_or(token.id(), |rotation| rotation.family)
}

/// Waits until a session is removed, unused for so long, or of a token that is no more.
pub(super) async fn until_over(uses: &mut watch::Receiver<Use>, idle_timeout: Duration) {
    let mut is_over = false;
    while !is_over {
        let last = uses.borrow_and_update().clone();
        let left = idle_timeout.saturating_sub(last.at.elapsed());
        let mut used = pin!(uses.changed());
        let mut gone = pin!(gone(&last.token));
        let either = poll_fn(|context| match used.as_mut().poll(context) {
            Poll::Ready(used) => Poll::Ready(used.is_err()),
            Poll::Pending => gone.as_mut().poll(context).map(|()| true),
        });
        is_over = timeout(left, either).await.unwrap_or(true);
    }
}

/// Waits until neither the token nor a successor of it can be accepted.
async fn gone(token: &Verified) {
    const PAUSE: Duration = Duration::from_secs(1);

    loop {
        match token.revoked().await {
            // Nobody can tell; meanwhile requests are refused.
            VerifyError::Outage(_) | VerifyError::UnknownKey { .. } => sleep(PAUSE).await,
            // The successor goes on with the session.
            VerifyError::NotActive { status: Status::RotatedOut, .. } => {
                core::future::pending::<()>().await;
            }
            _ => return,
        }
    }
}
