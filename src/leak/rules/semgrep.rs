//! A file of rules in YAML, for all files whatever their language.

use core::fmt::{self, Write};

use super::{Rules, dashed, pattern, quote::Quoted, write_comment};
use crate::Prefix;

pub(super) fn write(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, "semgrep scan --config semgrep.yml PATH")?;
    writeln!(out, "rules:")?;
    rules.prefixes().try_for_each(|prefix| write_rule(rules, prefix, out))
}

fn write_rule(rules: &Rules, prefix: Prefix, out: &mut String) -> fmt::Result {
    let message = format!("{}: revoke it, then remove it", rules.title(prefix));
    writeln!(
        out,
        "  - id: {id}-token
    message: {message}
    severity: ERROR
    languages: [regex]
    pattern-regex: '{pattern}'
    metadata:
      category: security
      technology: [secrets]
      cwe: \"CWE-798: Use of Hard-coded Credentials\"",
        id = dashed(prefix),
        message = Quoted(&message),
        pattern = pattern(prefix),
    )
}
