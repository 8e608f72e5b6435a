//! A file of rules in YAML. Kingfisher puts what it found into the templates between `{{` and `}}`.

use core::fmt::{self, Write};

use super::{Rules, dashed, live_check::LiveCheck, pattern, quote::Quoted, write_comment};
use crate::{ParsedToken, Prefix, token::base62::CHECKSUM_LEN};

pub(super) fn write(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, "kingfisher scan --rules-path kingfisher.yml PATH")?;
    writeln!(out, "rules:")?;
    for prefix in rules.prefixes() {
        write_rule(rules, prefix, out)?;
        if let Some(check) = &rules.live_check {
            write_request(out, check, "validation", "GET")?;
            write_request(out, check, "revocation", "DELETE")?;
        }
    }
    Ok(())
}

/// The group of the pattern is what is reported, and the value of `TOKEN`. The checksum is over all
/// that comes before it, and it alone decides: the entropy of a text says less.
fn write_rule(rules: &Rules, prefix: Prefix, out: &mut String) -> fmt::Result {
    let len = ParsedToken::len(&prefix);
    writeln!(
        out,
        "  - name: {title}
    id: custom.{id}.token
    pattern: '({pattern})'
    confidence: high
    min_entropy: 0.0
    pattern_requirements:
      checksum:
        actual:
          template: '{{{{ MATCH | suffix: {CHECKSUM_LEN} }}}}'
        expected: '{{{{ MATCH | prefix: {before} | crc32 | base62: {CHECKSUM_LEN} }}}}'
        skip_if_missing: false",
        title = Quoted(&rules.title(prefix)),
        id = dashed(prefix),
        pattern = pattern(prefix),
        before = len.saturating_sub(CHECKSUM_LEN),
    )
}

/// It validates as it scans, and revokes only when it is told to.
fn write_request(out: &mut String, check: &LiveCheck, purpose: &str, method: &str) -> fmt::Result {
    writeln!(
        out,
        "    {purpose}:
      type: Http
      content:
        request:
          method: {method}
          url: '{url}'
          headers:
            Authorization: 'Bearer {{{{ TOKEN }}}}'
          response_matcher:
            - type: StatusMatch
              status: [200]
            - type: JsonValid",
        url = check.as_str(),
    )
}
