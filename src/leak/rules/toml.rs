//! The TOML of gitleaks, which Betterleaks goes on with.

use core::fmt::{self, Write};

use super::{Rules, dashed, live_check::LiveCheck, pattern, quote::Quoted, write_comment};

pub(super) fn write_gitleaks(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, &["gitleaks dir --config gitleaks.toml PATH"])?;
    write(rules, None, out)
}

pub(super) fn write_betterleaks(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, &["betterleaks --config betterleaks.toml PATH"])?;
    write(rules, rules.live_check.as_ref(), out)
}

fn write(rules: &Rules, live_check: Option<&LiveCheck>, out: &mut String) -> fmt::Result {
    writeln!(out, "title = {}\n", Quoted(&rules.name))?;
    // Without, its own rules would be gone.
    writeln!(out, "[extend]\nuseDefault = true")?;
    for prefix in rules.prefixes() {
        let title = rules.title(prefix);
        writeln!(out, "\n[[rules]]")?;
        writeln!(out, "id = \"{}-token\"", dashed(prefix))?;
        writeln!(out, "description = {}", Quoted(&title))?;
        writeln!(out, "regex = '''{}'''", pattern(prefix))?;
        writeln!(out, "keywords = [\"{prefix}_\"]")?;
        if let Some(check) = live_check {
            write_live_check(out, check)?;
        }
    }
    Ok(())
}

/// In the expression language of Betterleaks.
fn write_live_check(out: &mut String, check: &LiveCheck) -> fmt::Result {
    let url = check.as_str();
    writeln!(
        out,
        "validate = '''
let answer = http.get(\"{url}\", {{\"Authorization\": \"Bearer \" + finding[\"secret\"]}});
answer.status == 200 ? {{\"result\": \"valid\"}}
  : answer.status == 401 ? {{\"result\": \"invalid\", \"reason\": \"not accepted\"}}
  : validate.unknown(answer)
'''"
    )
}
