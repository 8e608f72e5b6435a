use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use api_tokens::{
    Actor, Edit, Import, ImportedDigest, IssuerError, Rotate, StoreErrorKind, Token, TokenRecord,
};
use jiff::SignedDuration;
use rand::RngExt;

use super::{
    coverage::Seen,
    node::{Known, Node, imported},
    world::{magnitude, spread},
};
use crate::util::new_token;

/// The tokens that clients have, whichever node they go to.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<Mutex<Vec<Known>>>);

/// What a token of another system reads, which clients have before it is imported.
const OLD: &str = "old_Qm3rLxCzT9";

impl Tokens {
    pub(crate) fn new() -> Self {
        let id = imported().digest_of(OLD.as_bytes()).expect("a token of that system").id();
        Self(Arc::new(Mutex::new(vec![Known { id, text: OLD.into() }])))
    }

    fn list(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().expect("no panic while it is held")
    }

    fn add(&self, token: &Token) {
        self.list().push(Known { id: token.id(), text: token.expose_secret().into() });
    }

    pub(crate) fn all(&self) -> Vec<Known> {
        self.list().clone()
    }

    fn one(&self, node: &Node) -> Known {
        let list = self.list();
        list[node.world.draw(|rng| rng.random_range(0..list.len()))].clone()
    }
}

/// Sends requests until the end.
pub(crate) async fn send_requests(node: Arc<Node>, tokens: Tokens) {
    let longest = node.settings.unit.max(node.settings.network.delay);
    while !node.world.is_settling() {
        let (pause, patience) = node.world.draw(|rng| {
            let patience = if rng.random_bool(0.1) { spread(rng, longest) } else { longest * 100 };
            (spread(rng, node.settings.think), patience)
        });
        node.world.sleep(pause).await;
        let token = tokens.one(&node);
        node.verify(&token, patience).await;
    }
}

/// Polls for changes, as the background does it, but at random intervals.
pub(crate) async fn poll_changes(node: Arc<Node>) {
    let settings = node.settings;
    loop {
        let is_settling = node.world.is_settling();
        let (interval, patience) = node.world.draw(|rng| {
            if is_settling {
                (settings.max_staleness / 8, settings.max_staleness / 2)
            } else {
                let interval = settings.poll_interval.mul_f64(magnitude(rng, -1.0, 0.1));
                (interval, settings.patience(rng))
            }
        });
        node.world.sleep(interval.max(Duration::from_micros(20))).await;
        let begun = node.world.now();
        node.world.log(|| format!("node {} polls", node.number));
        match node.world.within(patience, node.background.poll_changes()).await {
            Some(Ok(())) => {
                node.server.with_history(|history| history.note_polled(node.number, begun));
                node.world.log(|| format!("node {} has polled", node.number));
                node.world.count(Seen::Poll);
            }
            Some(Err(_)) => node.world.count(Seen::PollFailed),
            None => {
                node.world.log(|| format!("node {} gives a poll up", node.number));
                node.world.count(Seen::PollDropped);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Create,
    Import,
    Prune,
    Revoke,
    Disable,
    Enable,
    Edit,
    Rotate,
    Finish,
    Cancel,
}

impl Change {
    /// By how often they are made.
    const ALL: [Self; 16] = [
        Self::Create,
        Self::Import,
        Self::Import,
        Self::Prune,
        Self::Revoke,
        Self::Revoke,
        Self::Revoke,
        Self::Disable,
        Self::Disable,
        Self::Enable,
        Self::Enable,
        Self::Edit,
        Self::Edit,
        Self::Rotate,
        Self::Finish,
        Self::Cancel,
    ];
}

/// Changes tokens until the end.
pub(crate) async fn make_changes(node: Arc<Node>, tokens: Tokens) {
    let longest = node.settings.unit.max(node.settings.network.delay);
    while !node.world.is_settling() {
        let (pause, patience, change) = node.world.draw(|rng| {
            let patience = if rng.random_bool(0.1) { spread(rng, longest) } else { longest * 100 };
            (spread(rng, node.settings.rest), patience, Change::ALL[rng.random_range(0..16)])
        });
        node.world.sleep(pause).await;
        let token = tokens.one(&node);
        node.world.log(|| format!("node {} begins to {change:?} {}", node.number, token.id));
        let made = node.world.within(patience, node.make(change, &token, &tokens)).await;
        node.world.log(|| match made {
            Some(Ok(())) => format!("node {} has done it", node.number),
            Some(Err(error)) => format!("node {} has not done it: {error}", node.number),
            None => format!("node {} gives it up", node.number),
        });
    }
}

/// A few tokens to begin with.
pub(crate) async fn prepare(node: Arc<Node>, tokens: Tokens) {
    let token = tokens.one(&node);
    for change in [Change::Create, Change::Create] {
        // By chance, the network fails.
        let _ = node.make(change, &token, &tokens).await;
    }
}

impl Node {
    async fn make(
        &self,
        change: Change,
        token: &Known,
        tokens: &Tokens,
    ) -> Result<(), IssuerError> {
        const MOST_TOKENS: usize = 6;
        let (issuer, id) = (&self.issuer, token.id);
        let admin: Actor = "admin".parse().expect("a name");
        let has_room = tokens.list().len() < MOST_TOKENS;
        let made = match change {
            Change::Create | Change::Rotate if !has_room => Ok(()),
            Change::Create => issuer.create(new_token("a token"), &admin).await.map(|created| {
                tokens.add(&created.token);
                self.is_done(&created.record, Seen::Created);
            }),
            Change::Import => self.import(&admin).await,
            Change::Prune => issuer.prune(issuer.now()).await.map(drop),
            Change::Revoke => {
                let was_revoked = self.server.with_history(|history| {
                    history.latest(&id).is_some_and(|record| record.revocation.is_some())
                });
                let seen = if was_revoked { Seen::RevokedAgain } else { Seen::Revoked };
                issuer.revoke(id, &admin, None).await.map(|it| self.is_done(&it.record, seen))
            }
            Change::Disable => {
                issuer.disable(id, &admin).await.map(|it| self.is_done(&it, Seen::Narrowed))
            }
            Change::Enable => {
                issuer.enable(id, &admin).await.map(|it| self.is_done(&it, Seen::Enabled))
            }
            Change::Edit => {
                let scopes = if self.world.draw(RngExt::random) { "a b" } else { "a" };
                let scopes = Some(scopes.parse().expect("scopes"));
                let edit = Edit { scopes, ..Edit::default() };
                issuer.edit(id, &admin, edit).await.map(|it| self.is_done(&it, Seen::Narrowed))
            }
            Change::Rotate => {
                let overlap = self.world.draw(|rng| match rng.random_range(0..3) {
                    0 => Duration::ZERO,
                    _ => spread(rng, self.settings.unit * 10),
                });
                let overlap = SignedDuration::try_from(overlap).expect("a short time");
                issuer.rotate(id, &admin, Rotate::with_overlap(overlap)).await.map(|it| {
                    tokens.add(&it.token);
                    self.is_done(&it.record, Seen::Rotated);
                    self.is_done(&it.predecessor, Seen::Rotated);
                })
            }
            Change::Finish => {
                issuer.finish_rotation(id, &admin).await.map(|it| self.is_done(&it, Seen::Rotated))
            }
            Change::Cancel => {
                issuer.cancel_rotation(id, &admin).await.map(|it| self.is_done(&it, Seen::Rotated))
            }
        };
        match &made {
            Ok(())
            | Err(
                IssuerError::NotAllowed { .. }
                | IssuerError::NotFound
                | IssuerError::PredecessorInUse { .. }
                | IssuerError::AlreadyImported { .. },
            ) => {}
            Err(IssuerError::Store(error)) if error.kind() == StoreErrorKind::Unavailable => {}
            Err(error) => panic!("{change:?}: {error}"),
        }
        made
    }

    async fn import(&self, admin: &Actor) -> Result<(), IssuerError> {
        let hash = "26187b6a58cc1be059a1d01c0a67827eb797ee9caf38d9cd2c97489ea6e8bf76";
        let digest = ImportedDigest::sha256_hex(hash).expect("a digest");
        let import = Import { digest, token: new_token("a token"), created_at: None };
        let record = self.issuer.import(import, admin).await?;
        let was_there = self.server.with_history(|history| history.times_added(&record.id) > 1);
        self.is_done(&record, if was_there { Seen::ImportedAgain } else { Seen::Imported });
        Ok(())
    }

    fn is_done(&self, record: &TokenRecord, seen: Seen) {
        self.server.with_history(|history| history.note_own(self.number, record));
        self.world.count(seen);
    }
}
