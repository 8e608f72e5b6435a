//! A configuration in YAML with a custom detector for each prefix.
//!
//! Its verification posts what it found to a server that is made for it: there is none here.

use core::fmt::{self, Write};

use super::{Rules, pattern, quote::Quoted, write_comment};

pub(super) fn write(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, &["trufflehog filesystem PATH --config=trufflehog.yml"])?;
    writeln!(out, "detectors:")?;
    for prefix in rules.prefixes() {
        let title = rules.title(prefix);
        writeln!(out, "  - name: {}", Quoted(&title))?;
        writeln!(out, "    keywords:\n      - {prefix}_")?;
        // The group is what it reports.
        writeln!(out, "    regex:\n      token: '({})'", pattern(prefix))?;
    }
    Ok(())
}
