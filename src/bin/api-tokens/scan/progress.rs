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

#[derive(Default)]
struct Counts {
    pieces: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// `pieces` is what they are called, such as `files`.
    pub(super) fn new(pieces: &'static str) -> Self {
        let counts = Arc::new(Counts::default());
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
                    let _ = out.write_str(&shown.describe(pieces));
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
    pub(super) fn finish(&self, pieces: &str) -> String {
        self.bar.finish_and_clear();
        self.counts.describe(pieces)
    }
}

impl Counts {
    fn describe(&self, pieces: &str) -> String {
        let count = HumanCount(self.pieces.load(Ordering::Relaxed));
        let bytes = HumanBytes(self.bytes.load(Ordering::Relaxed));
        format!("{count} {pieces}, {bytes}")
    }
}
