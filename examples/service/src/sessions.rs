//! Who is signed in, in the memory of this process.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// How long a session lasts.
pub(crate) const LIFETIME: Duration = Duration::from_secs(8 * 60 * 60);

/// When there are more, the oldest go.
const MAX_SESSIONS: usize = 1000;

/// Instants are those of [`Clock::monotonic`](api_tokens::Clock::monotonic).
#[derive(Default)]
pub(crate) struct Sessions {
    /// The oldest first.
    sessions: Mutex<VecDeque<Session>>,
}

struct Session {
    secret: SecretString,
    end: Duration,
}

impl Session {
    /// Takes as long for a wrong secret that begins like the right one.
    fn has(&self, secret: &str) -> bool {
        self.secret.expose_secret().as_bytes().ct_eq(secret.as_bytes()).into()
    }
}

impl Sessions {
    pub(crate) fn begin(&self, secret: SecretString, now: Duration) {
        let mut sessions = self.lock();
        sessions.retain(|session| now < session.end);
        if sessions.len() == MAX_SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back(Session { secret, end: now + LIFETIME });
    }

    pub(crate) fn contains(&self, secret: &str, now: Duration) -> bool {
        self.lock().iter().any(|session| now < session.end && session.has(secret))
    }

    pub(crate) fn end(&self, secret: &str) {
        self.lock().retain(|session| !session.has(secret));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(5);

    #[test]
    fn a_session_lasts_eight_hours() {
        let sessions = Sessions::default();
        sessions.begin("ann".into(), START);
        let end = START + Duration::from_secs(28_800);
        let just_before = START + Duration::from_millis(28_799_999);
        assert!(sessions.contains("ann", START));
        assert!(sessions.contains("ann", just_before));
        assert!(!sessions.contains("ann", end));
        for other in ["", "an", "anna", "Ann"] {
            assert!(!sessions.contains(other, START), "{other}");
        }
        sessions.begin("bob".into(), end);
        assert_eq!(sessions.lock().len(), 1, "what has ended takes no room");
    }

    #[test]
    fn ending_one_leaves_the_others() {
        let sessions = Sessions::default();
        sessions.begin("ann".into(), START);
        sessions.begin("bob".into(), START);
        sessions.end("ann");
        assert!(!sessions.contains("ann", START));
        assert!(sessions.contains("bob", START));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let sessions = Sessions::default();
        for number in 0..=MAX_SESSIONS {
            sessions.begin(number.to_string().into(), START);
        }
        assert!(!sessions.contains("0", START));
        assert!(sessions.contains("1", START));
        assert!(sessions.contains(&MAX_SESSIONS.to_string(), START));
    }
}
