use std::{
    io::{IsTerminal, stderr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::tell;

/// How much was looked at; shown on a terminal while it goes on.
pub(super) struct Progress {
    counts: Arc<Counts>,
    bar: ProgressBar,
}

struct Counts {
    names: [&'static str; 2],
    pieces: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// `pieces` is what they are called, one and several.
    pub(super) fn new(pieces: [&'static str; 2]) -> Self {
        let counts =
            Arc::new(Counts { pieces: AtomicU64::new(0), bytes: AtomicU64::new(0), names: pieces });
        if !stderr().is_terminal() {
            return Self { counts, bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let shown = Arc::clone(&counts);
        let style = ProgressStyle::default_spinner()
            .template("{spinner} {counts} ({elapsed})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .with_key(
                "counts",
                move |_: &indicatif::ProgressState, out: &mut dyn core::fmt::Write| {
                    let _ = out.write_str(&shown.describe());
                },
            );
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { counts, bar }
    }

    pub(super) fn add(&self, bytes: u64) {
        self.counts.pieces.fetch_add(1, Ordering::Relaxed);
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Says something on stderr, above the bar.
    pub(super) fn tell(&self, text: &str) {
        self.bar.suspend(|| tell(text));
    }

    /// Takes the bar away, and says what was looked at.
    pub(super) fn finish(&self) -> String {
        self.bar.finish_and_clear();
        self.counts.describe()
    }
}

impl Counts {
    fn describe(&self) -> String {
        let count = self.pieces.load(Ordering::Relaxed);
        let [one, several] = self.names;
        let pieces = if count == 1 { one } else { several };
        let count = HumanCount(count);
        let bytes = HumanBytes(self.bytes.load(Ordering::Relaxed));
        format!("{count} {pieces}, {bytes}")
    }
}
