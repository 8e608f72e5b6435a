//! A file of rules in YAML. Kingfisher puts what it found into the templates between `{{` and `}}`.

use core::fmt::{self, Write};

use super::{Rules, dashed, live_check::LiveCheck, pattern, quote::Quoted, write_comment};
use crate::token;

pub(super) fn write(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, &["kingfisher scan --rules-path kingfisher.yml PATH"])?;
    writeln!(out, "rules:")?;
    for prefix in rules.prefixes() {
        let title = rules.title(prefix);
        writeln!(out, "  - name: {}", Quoted(&title))?;
        writeln!(out, "    id: custom.{}.token", dashed(prefix))?;
        // The group is what it reports, and the value of TOKEN.
        writeln!(out, "    pattern: '({})'", pattern(prefix))?;
        writeln!(out, "    confidence: high")?;
        // The checksum decides, and nothing else.
        writeln!(out, "    min_entropy: 0.0")?;
        write_checksum(out, prefix.as_bytes().len())?;
        if let Some(check) = &rules.live_check {
            write_live_check(out, check)?;
        }
    }
    Ok(())
}

/// Over all that comes before it, as [`token::base62::checksum`] is.
fn write_checksum(out: &mut String, prefix_len: usize) -> fmt::Result {
    let checksum = token::base62::CHECKSUM_LEN;
    let before = prefix_len.saturating_add(token::LEN_AFTER_PREFIX).saturating_sub(checksum);
    writeln!(
        out,
        "    pattern_requirements:
      checksum:
        actual:
          template: '{{{{ MATCH | suffix: {checksum} }}}}'
        expected: '{{{{ MATCH | prefix: {before} | crc32 | base62: {checksum} }}}}'
        skip_if_missing: false"
    )
}

/// What it does for those who scan, and what it does when it is told to.
fn write_live_check(out: &mut String, check: &LiveCheck) -> fmt::Result {
    for (purpose, method, matchers) in
        [("validation", "GET", "\n            - type: JsonValid"), ("revocation", "DELETE", "")]
    {
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
              status: [200]{matchers}",
            url = check.as_str(),
        )?;
    }
    Ok(())
}
