//! A file of rules in YAML, for all files whatever their language.

use core::fmt::{self, Write};

use super::{Rules, dashed, pattern, quote::Quoted, write_comment};

pub(super) fn write(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, &["semgrep scan --config semgrep.yml PATH"])?;
    writeln!(out, "rules:")?;
    for prefix in rules.prefixes() {
        let message = format!("{}: revoke it, then remove it", rules.title(prefix));
        writeln!(out, "  - id: {}-token", dashed(prefix))?;
        writeln!(out, "    message: {}", Quoted(&message))?;
        writeln!(out, "    severity: ERROR\n    languages: [regex]")?;
        writeln!(out, "    pattern-regex: '{}'", pattern(prefix))?;
        writeln!(out, "    metadata:\n      category: security\n      technology: [secrets]")?;
        writeln!(out, "      cwe: \"CWE-798: Use of Hard-coded Credentials\"")?;
    }
    Ok(())
}
