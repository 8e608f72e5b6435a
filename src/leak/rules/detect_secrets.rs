//! A plugin in Python, with a class that checks the checksum.

use core::fmt::{self, Write};

use super::{Rules, pattern, quote::Quoted, write_comment};
use crate::{Prefix, token::base62::CHECKSUM_LEN};

/// Of the base class for regular expressions, since the scanner takes what other classes find in a
/// line such as `user_id = …` for an id.
///
/// A token may begin within what only looks like one, so the search goes on right behind the start
/// of the latter.
pub(super) fn write(rules: &Rules, out: &mut String) -> fmt::Result {
    write_comment(out, "detect-secrets scan --plugin detect_secrets_plugin.py PATH")?;
    write!(
        out,
        r#"import re
import string
import zlib

from detect_secrets.plugins.base import RegexBasedDetector


class {class}ApiTokenDetector(RegexBasedDetector):
    """Finds texts that have the shape of a token and its checksum."""

    secret_type = {name}

    denylist = (
{patterns}    )

    def analyze_string(self, string, **kwargs):
        for pattern in self.denylist:
            found = pattern.search(string)
            while found:
                text = found.group()
                is_token = text[-{CHECKSUM_LEN}:] == checksum(text[:-{CHECKSUM_LEN}])
                if is_token:
                    yield text
                found = pattern.search(string, found.end() if is_token else found.start() + 1)


DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


def checksum(text):
    number = zlib.crc32(text.encode("ascii"))
    digits = ""
    for _ in range({CHECKSUM_LEN}):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits
"#,
        class = camel_case(rules.prefix),
        name = Quoted(&rules.name),
        patterns = Patterns(rules),
    )
}

struct Patterns<'a>(&'a Rules);

impl fmt::Display for Patterns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .prefixes()
            .try_for_each(|prefix| writeln!(f, "        re.compile(r\"{}\"),", pattern(prefix)))
    }
}

/// `acme_live` is `AcmeLive`.
fn camel_case(prefix: Prefix) -> String {
    let words = prefix.as_str().split('_');
    let capitals = words.flat_map(|word| {
        let mut characters = word.chars();
        characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters)
    });
    capitals.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefix;

    #[test]
    fn names_a_class_after_the_prefix() {
        assert_eq!(camel_case(prefix!("acme_live_2")), "AcmeLive2");
    }
}
