use std::fmt;

/// What a run must have seen, else it has shown nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen {
    Verification,
    AcceptedFromMemory,
    /// By a record that was no longer the latest, within the bound.
    AcceptedByOlder,
    RefusedFromMemory,
    AcceptedFromStore,
    /// Waited for a read that another verification had begun.
    Joined,
    /// Found a record that had changed on its way.
    Barred,
    RefusedTooLate,
    Outage,
    GivenUp,
    /// Read again though nothing had changed, since there was no room.
    Evicted,
    LeaseRanOut,
    Poll,
    PollDropped,
    PollFailed,
    PollAnsweredLate,
    Reset,
    Interruption,
    NodeHalted,
    RequestLost,
    AnswerLost,
    AppliedAfterError,
    BlackHole,
    Restart,
    HistoryForgotten,
    Created,
    Imported,
    ImportedAgain,
    Rotated,
    Narrowed,
    Enabled,
    Revoked,
    RevokedAgain,
    UnknownToken,
    ReadFromReplica,
    OlderAnswerRefused,
}

impl Seen {
    const ALL: [(Self, &'static str); 36] = [
        (Self::Verification, "verifications"),
        (Self::AcceptedFromMemory, "accepted from memory"),
        (Self::AcceptedByOlder, "accepted by an older record, within the bound"),
        (Self::RefusedFromMemory, "refused from memory"),
        (Self::AcceptedFromStore, "accepted from the store"),
        (Self::Joined, "reads that were joined"),
        (Self::Barred, "reads whose record changed meanwhile"),
        (Self::RefusedTooLate, "answers that came too late"),
        (Self::Outage, "other outages"),
        (Self::GivenUp, "verifications given up"),
        (Self::Evicted, "evicted"),
        (Self::LeaseRanOut, "leases that ran out"),
        (Self::Poll, "polls"),
        (Self::PollDropped, "polls dropped"),
        (Self::PollFailed, "polls failed"),
        (Self::PollAnsweredLate, "polls during which something changed"),
        (Self::Reset, "resets"),
        (Self::Interruption, "interruptions"),
        (Self::NodeHalted, "pauses of nodes"),
        (Self::RequestLost, "requests lost"),
        (Self::AnswerLost, "answers lost"),
        (Self::AppliedAfterError, "requests that took effect after their error"),
        (Self::BlackHole, "black holes"),
        (Self::Restart, "restarts of the store"),
        (Self::HistoryForgotten, "histories forgotten"),
        (Self::Created, "created"),
        (Self::Imported, "imported"),
        (Self::ImportedAgain, "imported again after they were pruned"),
        (Self::Rotated, "rotated"),
        (Self::Narrowed, "disabled or with other scopes"),
        (Self::Enabled, "enabled"),
        (Self::Revoked, "revoked"),
        (Self::RevokedAgain, "revoked though they were"),
        (Self::UnknownToken, "unknown tokens"),
        (Self::ReadFromReplica, "reads from a replica that lags behind"),
        (Self::OlderAnswerRefused, "older answers refused"),
    ];
}

#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    counts: [u64; Seen::ALL.len()],
}

impl Default for Coverage {
    fn default() -> Self {
        Self { counts: [0; Seen::ALL.len()] }
    }
}

impl Coverage {
    pub(crate) fn count(&mut self, seen: Seen, times: u64) {
        self.counts[seen as usize] += times;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// What happened less than once in so many schedules.
    pub(crate) fn rare(&self, schedules: u64, once_in: u64) -> Vec<&'static str> {
        let is_rare = |(seen, _): &&(Seen, &'static str)| {
            self.counts[*seen as usize] < schedules.div_ceil(once_in)
        };
        Seen::ALL.iter().filter(is_rare).map(|(_, name)| *name).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (seen, name) in Seen::ALL {
            writeln!(f, "{:>12} {name}", self.counts[seen as usize])?;
        }
        Ok(())
    }
}
