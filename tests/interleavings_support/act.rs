use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use api_tokens::{
    Actor, Edit, Expiry, Issuer, IssuerError, Keyring, MasterKey, NewToken, Prefix, Principal,
    Project, RepeatConflict, Rotate, Scopes, Selection, SqliteOptions, SqliteStore, State, Status,
    Token, TokenId, TokenStore, Verifier, VerifyError, prefix,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::pausing::PausingStore;

pub(crate) const PREFIX: Prefix = prefix!("pair");

/// What one side of a pair has to do, in whichever process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) act: Act,
    /// The text of the token through which it is done; `None` for an administrator in person.
    pub(crate) through: Option<String>,
    /// Texts that must be refused from the moment at which it is done.
    pub(crate) ends: Vec<String>,
    /// How long to wait before, after the acting token was verified, in microseconds.
    pub(crate) delay: u64,
    /// Chooses the pauses within.
    pub(crate) seed: u64,
}

impl Job {
    pub(crate) fn new(act: Act) -> Self {
        Self { act, through: None, ends: Vec::new(), delay: 0, seed: 0 }
    }

    pub(crate) fn through(self, text: &str) -> Self {
        Self { through: Some(text.to_owned()), ..self }
    }

    pub(crate) fn ends(self, text: &str) -> Self {
        Self { ends: vec![text.to_owned()], ..self }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Act {
    Create(Creation),
    Rotate {
        target: TokenId,
        overlap_seconds: i64,
        key: Option<String>,
        times: u32,
    },
    FinishRotation(TokenId),
    CancelRotation(TokenId),
    EditScopes(TokenId, Scopes),
    /// `None` for never.
    EditExpiry(TokenId, Option<Timestamp>),
    Disable(TokenId),
    Enable(TokenId),
    Revoke(TokenId),
    RevokeFamily(TokenId),
    RevokeAll {
        project: Project,
        owner: Option<Principal>,
        created_by: Option<Principal>,
        created_through: Option<TokenId>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Creation {
    pub(crate) project: Project,
    pub(crate) owner: Principal,
    pub(crate) scopes: Scopes,
    pub(crate) key: Option<String>,
    pub(crate) times: u32,
    /// Whether each is created through the one before.
    pub(crate) chained: bool,
}

/// What came of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Also if it was refused half-way.
    pub(crate) made: Vec<Made>,
    pub(crate) refusal: Option<Refusal>,
    /// Of the texts that it should have ended, those that were accepted when it had returned.
    pub(crate) accepted_still: Vec<String>,
    /// How many writes came too late.
    pub(crate) conflicts: u32,
}

/// A token that somebody has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) id: TokenId,
    pub(crate) text: String,
}

impl Made {
    pub(crate) fn of(token: &Token) -> Self {
        Self { id: token.id(), text: token.expose_secret().to_owned() }
    }
}

/// The documented refusals; any other error fails the test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    NotAllowed(State),
    ActorNotActive(Status),
    Exceeds,
    /// A repeated request whose token has ended.
    Ended,
    Undocumented(String),
}

impl From<IssuerError> for Refusal {
    fn from(error: IssuerError) -> Self {
        match error {
            IssuerError::NotAllowed { state, .. } => Self::NotAllowed(state),
            IssuerError::ActorNotActive(Some(status)) => Self::ActorNotActive(status),
            IssuerError::Exceeds(_) => Self::Exceeds,
            IssuerError::Repeated { conflict: RepeatConflict::Ended, .. } => Self::Ended,
            error => Self::Undocumented(format!("{error}: {error:?}")),
        }
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::NotActive { status, .. } => Self::ActorNotActive(status),
            error => Self::Undocumented(format!("{error}: {error:?}")),
        }
    }
}

pub(crate) fn open(path: &Path) -> SqliteStore {
    // Longer than any machine is busy, since a lock that is not had is no finding.
    let options = SqliteOptions::new(path).busy_timeout(Duration::from_secs(60));
    options.migrate().expect("migrate");
    options.open().expect("open")
}

pub(crate) fn verifier<S: TokenStore>(store: S) -> Verifier<S> {
    let key: Vec<u8> = (0..32).collect();
    let keyring = Keyring::new(MasterKey::from_bytes(&key).expect("a key"));
    // That usage is noted is what a repeated request relies on.
    let (verifier, _) = Verifier::builder(PREFIX, &keyring, store).build();
    verifier
}

pub(crate) fn admin() -> Actor {
    "admin".parse().expect("a name")
}

pub(crate) async fn perform(store: &SqliteStore, job: &Job) -> Outcome {
    let conflicts = Arc::new(AtomicU32::new(0));
    let verifier = verifier(PausingStore::new(store.clone(), job.seed, Arc::clone(&conflicts)));
    let performance = Performance { issuer: Issuer::new(&verifier), verifier };
    let mut made = Vec::new();
    let refusal = performance.perform(job, &mut made).await.err();
    let mut accepted_still = Vec::new();
    for text in job.ends.iter().filter(|_| refusal.is_none()) {
        match performance.verifier.verify(text.as_bytes()).await {
            Err(VerifyError::NotActive { .. }) => {}
            _ => accepted_still.push(text.clone()),
        }
    }
    Outcome { made, refusal, accepted_still, conflicts: conflicts.load(Ordering::Relaxed) }
}

struct Performance {
    issuer: Issuer<PausingStore>,
    verifier: Verifier<PausingStore>,
}

impl Performance {
    async fn perform(&self, job: &Job, made: &mut Vec<Made>) -> Result<(), Refusal> {
        let actor = match &job.through {
            Some(text) => self.through(text).await?,
            None => admin(),
        };
        tokio::time::sleep(Duration::from_micros(job.delay)).await;
        let issuer = &self.issuer;
        match job.act.clone() {
            Act::Create(creation) => self.create(&creation, actor, made).await?,
            Act::Rotate { target, overlap_seconds, key, times } => {
                for _ in 0..times {
                    let rotate = Rotate {
                        idempotency_key: key.as_ref().map(|key| key.parse().expect("a key")),
                        ..Rotate::with_overlap(SignedDuration::from_secs(overlap_seconds))
                    };
                    let rotated = issuer.rotate(target, &actor, rotate).await?;
                    made.push(Made::of(&rotated.token));
                }
            }
            Act::FinishRotation(id) => drop(issuer.finish_rotation(id, &actor).await?),
            Act::CancelRotation(id) => drop(issuer.cancel_rotation(id, &actor).await?),
            Act::EditScopes(id, scopes) => {
                let edit = Edit { scopes: Some(scopes), ..Edit::default() };
                issuer.edit(id, &actor, edit).await?;
            }
            Act::EditExpiry(id, end) => {
                let expiry = Some(end.map_or(Expiry::Never, Expiry::At));
                issuer.edit(id, &actor, Edit { expiry, ..Edit::default() }).await?;
            }
            Act::Disable(id) => drop(issuer.disable(id, &actor).await?),
            Act::Enable(id) => drop(issuer.enable(id, &actor).await?),
            Act::Revoke(id) => drop(issuer.revoke(id, &actor, None).await?),
            Act::RevokeFamily(id) => {
                issuer.revoke_family(id, &actor, None).await?;
            }
            Act::RevokeAll { project, owner, created_by, created_through } => {
                let project = Selection::of_project(project);
                let selection = Selection { owner, created_by, created_through, ..project };
                issuer.revoke_all(selection, &actor, None)?.run().await?;
            }
        }
        Ok(())
    }

    async fn create(
        &self,
        creation: &Creation,
        mut actor: Actor,
        made: &mut Vec<Made>,
    ) -> Result<(), Refusal> {
        for time in 0..creation.times {
            if let Some(latest) = made.last().filter(|_| creation.chained && time > 0) {
                actor = self.through(&latest.text).await?;
            }
            let created = self.issuer.create(creation.new_token(), &actor).await?;
            made.push(Made::of(&created.token));
        }
        Ok(())
    }

    /// The token of a request that has come in.
    async fn through(&self, text: &str) -> Result<Actor, Refusal> {
        Ok(Actor::from(&self.verifier.verify(text.as_bytes()).await?))
    }
}

impl Creation {
    pub(crate) fn new_token(&self) -> NewToken {
        let name = "a token".parse().expect("a name");
        let new = NewToken::new(self.project.clone(), self.owner.clone(), name);
        NewToken {
            // Whoever may not outlast their own token is refused, rather than given less.
            expiry: Expiry::Never,
            idempotency_key: self.key.as_ref().map(|key| key.parse().expect("a key")),
            ..new.with_scopes(self.scopes.clone())
        }
    }
}
