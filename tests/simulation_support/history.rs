use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use api_tokens::{Revision, Status, StoreErrorKind, TokenId, TokenRecord, Verified, VerifyError};

use super::{clock::NodeClock, coverage::Seen, world::Readings, world::World};

/// What the store has held since when, and what each node must know of it: plain lists, by which
/// every verification is judged.
pub(crate) struct History {
    records: HashMap<TokenId, Vec<Version>>,
    heads: Vec<(Duration, Revision)>,
    known: Vec<Known>,
}

/// A record from an instant on; `None` for no record.
struct Version {
    since: Duration,
    record: Option<Arc<TokenRecord>>,
}

/// What a node has been told.
#[derive(Default)]
struct Known {
    /// Of changes that the node made itself: the version that it was told.
    own: HashMap<TokenId, usize>,
    /// The beginning of the latest poll that has returned.
    polled: Duration,
    /// For the coverage alone: when records were forgotten, and which should be in memory.
    forgotten: HashMap<TokenId, Duration>,
    all_forgotten: Duration,
    kept: HashSet<TokenId>,
}

/// A verification that is to be judged.
pub(crate) struct Case<'a> {
    pub(crate) node: usize,
    pub(crate) id: TokenId,
    pub(crate) begun: Duration,
    /// From [`History::must_know`], at its beginning.
    pub(crate) must_know: MustKnow,
    pub(crate) readings: &'a Readings,
    pub(crate) result: &'a Result<Verified, VerifyError>,
    pub(crate) ended: Duration,
}

/// What a verification must not be behind of, when it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MustKnow {
    version: usize,
    since: Duration,
}

/// The rules by which verifications are judged.
pub(crate) struct Rules<'a> {
    pub(crate) clock: &'a NodeClock,
    pub(crate) max_staleness: Duration,
    /// Whether the store answers from a replica that lags behind, against its contract.
    pub(crate) lags: bool,
}

impl History {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            records: HashMap::new(),
            heads: vec![(Duration::ZERO, Revision(0))],
            known: (0..nodes).map(|_| Known::default()).collect(),
        }
    }

    /// The store holds another record from now on, or none.
    pub(crate) fn note(&mut self, now: Duration, id: TokenId, record: Option<&TokenRecord>) {
        let record = record.map(|record| Arc::new(record.clone()));
        self.versions(id).push(Version { since: now, record });
    }

    pub(crate) fn note_head(&mut self, now: Duration, changes: usize) {
        let (_, Revision(before)) = *self.heads.last().expect("one at least");
        let changes = u64::try_from(changes).expect("a small number");
        self.heads.push((now, Revision(before + changes)));
    }

    fn versions(&mut self, id: TokenId) -> &mut Vec<Version> {
        let none = || vec![Version { since: Duration::ZERO, record: None }];
        self.records.entry(id).or_insert_with(none)
    }

    pub(crate) fn ids(&self) -> Vec<TokenId> {
        let mut ids: Vec<TokenId> = self.records.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn latest(&self, id: &TokenId) -> Option<&TokenRecord> {
        self.records.get(id)?.last()?.record.as_deref()
    }

    /// How often a record of this id was added that was not there.
    pub(crate) fn times_added(&self, id: &TokenId) -> usize {
        let versions = self.records.get(id).map_or(&[][..], Vec::as_slice);
        let is_added = |pair: &&[Version]| pair[0].record.is_none() && pair[1].record.is_some();
        versions.windows(2).filter(is_added).count()
    }

    /// What a replica holds that is so far behind.
    pub(crate) fn at(&self, at: Duration, id: &TokenId) -> Option<(Arc<TokenRecord>, Revision)> {
        let (_, head) = *self.heads.iter().rev().find(|(since, _)| *since <= at)?;
        let version = self.records.get(id)?.iter().rev().find(|version| version.since <= at)?;
        Some((Arc::clone(version.record.as_ref()?), head))
    }

    /// A node was told that this is what it has made, or what was so already.
    pub(crate) fn note_own(&mut self, node: usize, record: &TokenRecord) {
        let versions = self.versions(record.id);
        let is_it = |version: &Version| version.record.as_deref() == Some(record);
        let version = versions.iter().rposition(is_it).expect("what was acknowledged is stored");
        let known = self.known[node].own.entry(record.id).or_default();
        *known = version.max(*known);
    }

    pub(crate) fn note_polled(&mut self, node: usize, begun: Duration) {
        let known = &mut self.known[node];
        known.polled = known.polled.max(begun);
    }

    pub(crate) fn must_know(&self, node: usize, id: &TokenId) -> MustKnow {
        let known = &self.known[node];
        MustKnow { version: known.own.get(id).copied().unwrap_or_default(), since: known.polled }
    }

    pub(crate) fn note_forgotten(&mut self, node: usize, now: Duration, id: TokenId) {
        self.known[node].forgotten.insert(id, now);
        self.known[node].kept.remove(&id);
    }

    pub(crate) fn note_all_forgotten(&mut self, node: usize, now: Duration) {
        self.known[node].all_forgotten = now;
        self.known[node].kept.clear();
    }

    /// A read has returned a record. Whether a change was told meanwhile.
    pub(crate) fn note_read(&mut self, node: usize, begun: Duration, id: TokenId) -> bool {
        let known = &mut self.known[node];
        let is_barred = known.all_forgotten >= begun
            || known.forgotten.get(&id).is_some_and(|forgotten| *forgotten >= begun);
        if !is_barred {
            known.kept.insert(id);
        }
        is_barred
    }

    pub(crate) fn is_kept(&self, node: usize, id: &TokenId) -> bool {
        self.known[node].kept.contains(id)
    }

    pub(crate) fn has_changed_since(&self, since: Duration) -> bool {
        self.heads.last().is_some_and(|(at, _)| *at > since)
    }

    /// Judges a verification: it must be what some record says that the store held at some instant
    /// no longer ago than it may be, and that the node must know of.
    pub(crate) fn judge(&self, case: &Case<'_>, rules: &Rules<'_>) -> Option<Seen> {
        let Case { id, begun, readings, result, ended, .. } = case;
        let walls = || {
            let own = [World::wall(*begun), World::wall(*ended)];
            readings.wall.iter().copied().chain(own)
        };
        let has = |record: &TokenRecord, status: Status| {
            walls().any(|wall| record.status(wall) == status)
        };
        let none = Version { since: Duration::ZERO, record: None };
        let versions = self.records.get(id).map_or(core::slice::from_ref(&none), Vec::as_slice);
        let mut found = None;
        for (number, version) in versions.iter().enumerate() {
            let next = versions.get(number + 1);
            let until = next.map(|next| next.since);
            // What is pruned is dead, and so is not noted as a change.
            let noted = next.filter(|next| next.record.is_some()).map(|next| next.since);
            let says_so = match (result, &version.record) {
                (Ok(verified), Some(record)) => {
                    verified.record() == &**record && has(record, Status::Active)
                }
                (Err(VerifyError::NotActive { status, .. }), Some(record)) => has(record, *status),
                (Err(VerifyError::UnknownToken | VerifyError::Malformed(_)), None) => true,
                (Err(VerifyError::Outage(error)), _) => {
                    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
                    return None;
                }
                _ => false,
            };
            // A replica may not have it yet.
            if rules.lags
                && matches!(result, Err(VerifyError::UnknownToken | VerifyError::Malformed(_)))
            {
                return None;
            }
            let is_allowed = || {
                version.since <= *ended
                    && noted.is_none_or(|noted| noted >= case.must_know.since)
                    && may_go_by(case, rules, number, version.record.is_some(), until)
            };
            if says_so && is_allowed() {
                found = Some(if until.is_some_and(|until| until <= *begun) {
                    Seen::AcceptedByOlder
                } else {
                    Seen::Verification
                });
            }
        }
        assert!(found.is_some(), "{}", explain(case, rules, versions));
        found
    }
}

/// Whether a version may decide that the store held until then.
fn may_go_by(
    case: &Case<'_>,
    rules: &Rules<'_>,
    number: usize,
    is_record: bool,
    until: Option<Duration>,
) -> bool {
    let Rules { clock, max_staleness, lags } = rules;
    let Some(until) = until else { return true };
    if *lags {
        // What is left of the promise then: what a node was told of by a poll, it does not accept.
        return true;
    }
    if number < case.must_know.version {
        return false;
    }
    // That there is no record is never kept in memory, and without a cache nothing is.
    let is_read_each_time = !is_record || max_staleness.is_zero();
    if is_read_each_time {
        return until >= case.begun;
    }
    let check = case.readings.monotonic.unwrap_or(case.ended);
    assert!(case.readings.policy_answered <= Some(check), "the check is before the decision");
    clock.at(until) + *max_staleness > clock.at(check)
}

fn explain(case: &Case<'_>, rules: &Rules<'_>, versions: &[Version]) -> String {
    use std::fmt::Write;

    let Case { node, id, begun, must_know, readings, result, ended } = case;
    let max_staleness = rules.max_staleness;
    let mut text = format!(
        "node {node} decided against the rules about {id}: {}; begun {begun:?}, checked {:?}, \
         ended {ended:?}, {max_staleness:?} at most behind, and not behind of {must_know:?}.",
        match result {
            Ok(verified) => format!("accepted by version {}", verified.record().version),
            Err(error) => error.to_string(),
        },
        readings.monotonic,
    );
    for Version { since, record } in versions {
        let what = record.as_ref().map_or_else(
            || "no record".to_owned(),
            |record| {
                let status = record.status(World::wall(*ended));
                format!("version {}, {status}", record.version)
            },
        );
        write!(text, "\n  since {since:?}: {what}").expect("a text");
    }
    text
}
