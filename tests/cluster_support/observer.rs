//! A node of the service with a cache, of which everything it answers is noted.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use api_tokens::{
    Cache, Keyring, PostgresOptions, PostgresStore, Status, StoreErrorKind, Token, Verifier,
    VerifyError, prefix,
};
use tokio::task::JoinSet;

use super::load::lock;

/// Of the calls to the store: an answer that does not come is an outage soon.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Whoever is given up by its client goes on waiting in the server, which has no more than 100.
const CONNECTIONS: usize = 4;
/// Between two verifications of a token.
const PAUSE: Duration = Duration::from_millis(100);

/// Verifies tokens, each over and over, until it is stopped.
pub(crate) struct Observer {
    pub(crate) name: &'static str,
    verifier: Verifier<PostgresStore>,
    tokens: Arc<[Token]>,
    answers: Arc<Mutex<Vec<Answer>>>,
    tasks: JoinSet<()>,
}

#[derive(Clone, Copy)]
struct Answer {
    began: Instant,
    /// Which token.
    place: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Accepted,
    Revoked,
    Outage,
}

impl Observer {
    /// The node's connections have its name.
    pub(crate) async fn start(
        name: &'static str,
        url: &str,
        keyring: &Keyring,
        tokens: &Arc<[Token]>,
        confirmed: bool,
        cache: Cache,
    ) -> Self {
        let options = PostgresOptions::new(&format!("{url}&application_name={name}"))
            .timeout(TIMEOUT)
            .max_connections(CONNECTIONS)
            .confirmed_reads(confirmed);
        let mut opened = options.open().await;
        // A busy machine takes its time for the first connection.
        for _ in 0..10 {
            if opened.is_err() {
                opened = options.open().await;
            }
        }
        let store = opened.expect("open");
        let (verifier, background) =
            Verifier::builder(prefix!("cluster"), keyring, store).cache(cache).build();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let mut observer =
            Self { name, verifier, tokens: Arc::clone(tokens), answers, tasks: JoinSet::new() };
        observer.tasks.spawn(background.run_until(core::future::pending()));
        for place in 0..tokens.len() {
            let (verifier, tokens) = (observer.verifier.clone(), Arc::clone(tokens));
            let answers = Arc::clone(&observer.answers);
            observer.tasks.spawn(async move {
                loop {
                    let began = Instant::now();
                    let kind = verify(&verifier, &tokens[place]).await;
                    lock(&answers).push(Answer { began, place, kind });
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        observer
    }

    /// Waits until each token is answered so, and says how long that took.
    pub(crate) async fn wait_until(&self, accepted: bool, within: Duration) -> Duration {
        let begin = Instant::now();
        let expected = if accepted { Kind::Accepted } else { Kind::Revoked };
        for token in &*self.tokens {
            while verify(&self.verifier, token).await != expected {
                assert!(begin.elapsed() < within, "{}: not as it should be", self.name);
                tokio::time::sleep(PAUSE).await;
            }
        }
        begin.elapsed()
    }

    /// Ends the tasks. What was noted remains.
    pub(crate) async fn stop(&mut self) {
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            assert!(ended.err().is_none_or(|error| error.is_cancelled()), "{}", self.name);
        }
    }

    /// How many verifications began so late that they had to refuse, and were accepted, refused and
    /// an outage. Each token's `deadline` is when its revocation must have come to count.
    pub(crate) fn after(&self, deadlines: &[Instant], until: Instant) -> [usize; 3] {
        let answers = lock(&self.answers);
        let late = |answer: &&Answer| answer.began > deadlines[answer.place];
        [Kind::Accepted, Kind::Revoked, Kind::Outage].map(|kind| {
            let of_kind = answers.iter().filter(|answer| answer.kind == kind);
            of_kind.filter(late).filter(|answer| answer.began < until).count()
        })
    }

    /// For how long, at most, there were but outages: from an answer to the next one.
    pub(crate) fn longest_outage(&self) -> Duration {
        let mut began: Vec<Instant> = lock(&self.answers)
            .iter()
            .filter(|answer| answer.kind != Kind::Outage)
            .map(|answer| answer.began)
            .collect();
        began.sort();
        began.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

async fn verify(verifier: &Verifier<PostgresStore>, token: &Token) -> Kind {
    match verifier.verify(token.expose_secret().as_bytes()).await {
        Ok(_) => Kind::Accepted,
        Err(VerifyError::NotActive { status: Status::Revoked, .. }) => Kind::Revoked,
        Err(VerifyError::Outage(error)) if error.kind() == StoreErrorKind::Unavailable => {
            Kind::Outage
        }
        Err(error) => panic!("{error}"),
    }
}
