//! A configuration in YAML with a custom detector for each prefix.
//!
//! Its verification posts what it found to a server that is made for it: there is none here.

use core::fmt::{self, Write};

use super::{Rules, pattern, quote::Quoted, write_comment};
use crate::Prefix;

pub(super) fn write(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, "trufflehog filesystem PATH --config=trufflehog.yml")?;
    writeln!(out, "detectors:")?;
    rules.prefixes().try_for_each(|prefix| write_detector(rules, prefix, out))
}

/// The group of the pattern is what is reported.
fn write_detector(rules: &Rules, prefix: Prefix, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "  - name: {title}
    keywords:
      - {prefix}_
    regex:
      token: '({pattern})'",
        title = Quoted(&rules.title(prefix)),
        pattern = pattern(prefix),
    )
}
