//! The TOML of gitleaks, which Betterleaks goes on with.

use core::fmt::{self, Write};

use super::{Rules, dashed, live_check::LiveCheck, pattern, quote::Quoted, write_comment};
use crate::Prefix;

pub(super) fn write_gitleaks(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, "gitleaks dir --config gitleaks.toml PATH")?;
    write_head(rules, out)?;
    rules.prefixes().try_for_each(|prefix| write_rule(rules, prefix, out))
}

pub(super) fn write_betterleaks(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, "betterleaks --config betterleaks.toml PATH")?;
    write_head(rules, out)?;
    for prefix in rules.prefixes() {
        write_rule(rules, prefix, out)?;
        writeln!(out, "confidence = \"high\"")?;
        if let Some(check) = &rules.live_check {
            write_live_check(out, check)?;
        }
    }
    Ok(())
}

/// With the rules that the scanner has: without this they would be gone.
fn write_head(rules: &Rules, out: &mut String) -> fmt::Result {
    writeln!(out, "title = {}\n\n[extend]\nuseDefault = true", Quoted(&rules.name))
}

fn write_rule(rules: &Rules, prefix: Prefix, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "
[[rules]]
id = \"{id}-token\"
description = {title}
regex = '''{pattern}'''
keywords = [\"{prefix}_\"]",
        id = dashed(prefix),
        title = Quoted(&rules.title(prefix)),
        pattern = pattern(prefix),
    )
}

/// In the expression language of Betterleaks. It revokes only when it is told to.
fn write_live_check(out: &mut String, check: &LiveCheck) -> fmt::Result {
    let arguments =
        format!("\"{}\", {{\"Authorization\": \"Bearer \" + finding[\"secret\"]}}", check.as_str());
    writeln!(
        out,
        "validate = '''
let answer = http.get({arguments});
answer.status == 200 ? {{\"result\": \"valid\"}}
  : answer.status == 401 ? {{\"result\": \"invalid\", \"reason\": \"not accepted\"}}
  : validate.unknown(answer)
'''
revoke = '''
let answer = http.delete({arguments});
answer.status == 200 ? {{\"result\": \"revoked\"}} : revoke.unknown(answer)
'''"
    )
}
