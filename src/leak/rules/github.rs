//! What GitHub is told of tokens, by people who fill in a form and by vendors who write a letter.

use core::fmt::{self, Write};

use super::{HEAD, Rules, pattern};
use crate::{Prefix, TokenId, token};

pub(super) fn write_custom_pattern(rules: &Rules, out: &mut String) -> fmt::Result {
    writeln!(out, "<!-- {HEAD} -->\n")?;
    writeln!(out, "{CUSTOM_PATTERN}")?;
    for prefix in rules.prefixes() {
        let (start, end) = test_string(prefix);
        writeln!(out, "\n## Pattern for {prefix}\n")?;
        field(out, "Pattern name", &rules.title(prefix))?;
        field(out, "Secret format", &pattern(prefix))?;
        field(out, "Before secret", r"\A|[\s\S]")?;
        field(out, "After secret", r"\z|[\s\S]")?;
        field(out, "Test string, first part", &start)?;
        writeln!(out, "Test string, second part, right after the first:\n\n    {end}")?;
    }
    Ok(())
}

pub(super) fn write_partner(rules: &Rules, out: &mut String) -> fmt::Result {
    writeln!(out, "<!-- {HEAD} -->\n")?;
    writeln!(out, "{PARTNER}")?;
    for prefix in rules.prefixes() {
        writeln!(out, "\n## Tokens of {prefix}\n")?;
        field(out, "Name", &rules.title(prefix))?;
        field(out, "Type", &format!("{prefix}_token"))?;
        writeln!(out, "Regular expression:\n\n    {}", pattern(prefix))?;
    }
    Ok(())
}

const CUSTOM_PATTERN: &str = "\
# Custom patterns for GitHub secret scanning

In the settings of a repository, an organization or an enterprise, add a custom pattern for each
prefix, and open *More options*. Before and after a token anything may stand: what GitHub has there
otherwise misses tokens right after `\\n` in JSON, or after `%3D` in a URL.

The test string is in two parts, so that this file is no finding itself. It has no right checksum:
GitHub does not look at that.";

const PARTNER: &str = "\
# For GitHub's secret scanning partner programme

Each token is its prefix, `_`, an id of 16 characters, `_`, a secret of 39 characters and a checksum
of 6: the CRC-32 (ISO-HDLC, as in zlib) of everything before it, prefix included, written in
base62 with the digits `0-9A-Za-z`, most significant first, padded with `0`. Nothing is asked of the
characters around a token.";

/// Indented, since a name may have backticks.
fn field(out: &mut String, name: &str, value: &str) -> fmt::Result {
    writeln!(out, "{name}:\n\n    {value}\n")
}

/// What the pattern finds when both are put together.
fn test_string(prefix: Prefix) -> (String, String) {
    let after_id = token::SECRET_LEN.saturating_add(token::base62::CHECKSUM_LEN);
    let start = format!("{prefix}_{:0<id$}", "EXAMPLE", id = TokenId::LEN);
    (start, format!("_{:0<after_id$}", "EXAMPLE"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ParsedToken, TokenFormatError, prefix};

    #[test]
    fn the_test_string_has_the_shape_and_a_wrong_checksum() {
        let prefix = prefix!("acme_live");
        let (start, end) = test_string(prefix);
        let parsed = ParsedToken::parse(&prefix, [start, end].concat().as_bytes()).unwrap_err();
        assert_eq!(parsed, TokenFormatError::Checksum);
    }
}
