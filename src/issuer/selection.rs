use jiff::Timestamp;

use super::LifetimePolicy;
use crate::{
    ListFilter, Principal, Project, Status, TokenId, TokenRecord, Usage, transition::State,
};

/// Which tokens are meant: those that match every field that is set.
///
/// Project and owner are looked up by index. Everything else is decided here, record by record,
/// so a rare one costs reading the records that do not match: about 3 seconds for a million in
/// SQLite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only tokens of this project.
    pub project: Option<Project>,
    /// Only tokens that act for this owner.
    pub owner: Option<Principal>,
    /// Only tokens that this person or service created, in person or through a token.
    pub created_by: Option<Principal>,
    /// Only tokens that were created through this token.
    pub created_through: Option<TokenId>,
    /// Only tokens that were created before this instant.
    pub created_before: Option<Timestamp>,
    /// Only tokens that now have this status.
    pub status: Option<Status>,
    /// Only tokens that nothing has ended: not expired, rotated out or revoked.
    pub living: bool,
    /// Only tokens whose whole name is like this, in upper or lower case; a `*` stands for any
    /// text. A field that searches puts one at both ends.
    pub name_pattern: Option<String>,
    /// Only tokens that come to their end before this instant, by expiry or by rotation.
    pub ends_before: Option<Timestamp>,
    /// Only tokens that were last used before this instant, or that were never used and created
    /// before it.
    pub unused_since: Option<Timestamp>,
    /// Only tokens that were never used.
    pub never_used: bool,
    /// Only tokens that the issuer's [`LifetimePolicy`] would not allow now.
    pub outside_policy: bool,
    /// All but these.
    pub except: Vec<TokenId>,
}

impl Selection {
    /// All tokens of one project.
    #[must_use]
    pub fn of_project(project: Project) -> Self {
        Self { project: Some(project), ..Self::default() }
    }

    /// All tokens of one owner.
    #[must_use]
    pub fn of_owner(owner: Principal) -> Self {
        Self { owner: Some(owner), ..Self::default() }
    }

    pub(super) fn filter(&self, actors_project: Option<&Project>) -> ListFilter {
        let project = self.project.as_ref().or(actors_project).cloned();
        ListFilter { project, owner: self.owner.clone() }
    }

    /// Whether it chooses among all tokens at all. What to leave out is no choice.
    pub(super) fn is_restricted(&self) -> bool {
        let everything =
            Self { except: self.except.clone(), living: self.living, ..Self::default() };
        *self != everything
    }

    pub(super) fn depends_on_usage(&self) -> bool {
        self.never_used || self.unused_since.is_some()
    }

    /// All but what depends on usage.
    pub(super) fn matches(
        &self,
        record: &TokenRecord,
        now: Timestamp,
        policy: &LifetimePolicy,
    ) -> bool {
        // No `..`: a criterion that is added must be decided.
        let Self {
            project,
            owner,
            created_by,
            created_through,
            created_before,
            status,
            living,
            name_pattern,
            ends_before,
            unused_since: _,
            never_used: _,
            outside_policy,
            except,
        } = self;
        project.as_ref().is_none_or(|project| *project == record.project)
            && owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && created_by.as_ref().is_none_or(|by| *by == record.created_by)
            && created_through.is_none_or(|id| record.created_through == Some(id))
            && created_before.is_none_or(|before| record.created_at < before)
            && status.is_none_or(|status| record.status(now) == status)
            && (!living || !State::of(record, now).is_final())
            && name_pattern.as_ref().is_none_or(|name| is_like(record.name.as_str(), name))
            && ends_before.is_none_or(|before| record.ends_at().is_some_and(|end| end < before))
            && (!outside_policy || !policy.allows(record))
            && !except.contains(&record.id)
    }

    pub(super) fn matches_usage(&self, record: &TokenRecord, usage: Option<Usage>) -> bool {
        let is_unused = usage.is_none();
        let last = usage.map_or(record.created_at, |usage| usage.last_used_at);
        (!self.never_used || is_unused) && self.unused_since.is_none_or(|since| last < since)
    }
}

/// Whether `text` is like `pattern`, in which `*` stands for any text.
///
/// What is between two stars is looked for from left to right, each time the first place, which is
/// as good as any.
fn is_like(text: &str, pattern: &str) -> bool {
    // Each character by itself: in a whole text, one may depend on those beside it.
    let lowercase = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    let (text, pattern) = (lowercase(text), lowercase(pattern));
    let Some((start, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        match text.find(part) {
            Some(place) => text = text.split_at(place.saturating_add(part.len())).1,
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_patterns() {
        for (text, pattern) in [
            ("CI", "ci"),
            ("CI", "*"),
            ("CI", "**"),
            ("ci-linux-7", "CI-*"),
            ("ci-linux-7", "*linux*"),
            ("ci-linux-7", "*-7"),
            ("ci-linux-7", "c*-*-*7"),
            ("abab", "*ab"),
            ("aXbXc", "a*b*c"),
            ("Été", "é*É"),
            // A sigma is another letter at the end of a word.
            ("ΟΔΟΣ ΑΒ", "οδοσ*"),
            ("ΟΔΟΣΑ", "ΟΔΟΣ*"),
            ("", "*"),
        ] {
            assert!(is_like(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [
            ("ci", ""),
            ("ci", "c"),
            ("ci-linux-7", "linux*"),
            ("ci-linux-7", "*linux"),
            ("aba", "aba*a"),
            ("ab", "a*ab"),
            ("a", "a*a"),
            ("abc", "a*c*b"),
        ] {
            assert!(!is_like(text, pattern), "{text} {pattern}");
        }
    }
}
