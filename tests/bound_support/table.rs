//! What came of the faults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Of one fault, over all its windows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) store: String,
    pub(crate) fault: String,
    pub(crate) revocations: usize,
    /// From the return of `revoke` to the check of the last acceptance, for each token and verifier; 0
    /// if there was none.
    pub(crate) delays: Vec<Duration>,
    /// By how much the last acceptance returned later than the bound, though its check was in time.
    pub(crate) returned_late: Duration,
    /// Verifications of living tokens that were outages.
    pub(crate) outages: u64,
    pub(crate) verifications: u64,
    /// Verifications that were under way when their process was stopped.
    pub(crate) spanning: u64,
    /// The longest time from the end of a fault until all was well again.
    pub(crate) recovery: Duration,
    pub(crate) violations: Vec<String>,
}

const HEAD: &str = "store       fault                              revocations  median     p99   \
                    worst  late  outages  recovery  spanning  verified  violations";

pub(crate) fn head() -> String {
    format!("{HEAD}\n{}", "-".repeat(HEAD.len()))
}

impl Row {
    /// Both as one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.revocations += other.revocations;
        self.delays.extend(other.delays);
        self.returned_late = self.returned_late.max(other.returned_late);
        self.outages += other.outages;
        self.verifications += other.verifications;
        self.spanning += other.spanning;
        self.recovery = self.recovery.max(other.recovery);
        self.violations.extend(other.violations);
        self
    }

    /// In milliseconds.
    pub(crate) fn line(&self) -> String {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let part = |per_cent: usize| {
            let last = delays.len().saturating_sub(1);
            delays.get(last * per_cent / 100).copied().unwrap_or_default()
        };
        format!(
            "{:<11} {:<34} {:>11} {:>7.2} {:>7.2} {:>7.2} {:>5.1} {:>8} {:>9.0} {:>9} {:>9} {:>11}",
            self.store,
            self.fault,
            self.revocations,
            milliseconds(part(50)),
            milliseconds(part(99)),
            milliseconds(part(100)),
            milliseconds(self.returned_late),
            self.outages,
            milliseconds(self.recovery),
            self.spanning,
            self.verifications,
            self.violations.len(),
        )
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
