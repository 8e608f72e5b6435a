//! What others say of where a token was found: bounded, and without the token.

use std::io::Write;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::{
    LeakSource, LeakUrl,
    field::is_control,
    leak::{Finder, Redactor},
};

/// Where a token was found, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeakPlace {
    /// Who reported it.
    pub source: LeakSource,
    /// Where they found it, if they said so.
    pub url: Option<LeakUrl>,
}

/// For a URL in which a token hides.
const LEFT_OUT: &str = "[left out: it has a token in it]";

impl LeakPlace {
    /// How many places of one token are recorded among its latest 100 events.
    pub const MAX_RECORDED: usize = 20;
}

/// What others say of where a token was found, as they say it.
pub(super) struct Claim<'a> {
    pub(super) reporter: &'a LeakSource,
    /// In what kind of text they found it, such as `commit`.
    pub(super) source: Option<&'a str>,
    pub(super) url: Option<&'a str>,
}

impl Claim<'_> {
    /// As it may be kept.
    pub(super) fn place(&self, redacted: &Redacted<'_>) -> LeakPlace {
        let source = self.source.and_then(|source| redacted.clean(source, LeakSource::MAX_CHARS));
        let source = source.and_then(|source| {
            let text = format!("{}: {source}", self.reporter);
            cut(&text, LeakSource::MAX_CHARS).parse().ok()
        });
        let url = self.url.and_then(|url| redacted.clean(url, LeakUrl::MAX_CHARS));
        LeakPlace {
            source: source.unwrap_or_else(|| self.reporter.clone()),
            url: url.and_then(|url| url.parse().ok()),
        }
    }
}

/// What must not be in a text about a token.
pub(super) struct Redacted<'a> {
    pub(super) finder: &'a Finder,
    /// The reported token, which is not empty.
    pub(super) token: &'a [u8],
}

impl Redacted<'_> {
    /// The text as it may be kept; `None` if nothing is left.
    fn clean(&self, text: &str, max: usize) -> Option<String> {
        // Before anything is looked for: what nobody sees must not hide a token. More than is kept,
        // since the end of a token that was cut is none; not all, whatever is sent.
        let visible = text.chars().filter(|c| !is_control(*c));
        let text: String = visible.take(max.saturating_mul(4)).collect();
        let text = self.replace(&text);
        let text = if self.is_hidden_in(&text) { LEFT_OUT.to_owned() } else { text };
        let text = cut(&text, max).trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Whether a token shows once percent-encoding is undone, also if it was done several times.
    fn is_hidden_in(&self, text: &str) -> bool {
        const MAX_TIMES: usize = 4;
        let mut decoded = text.to_owned();
        for _ in 0..MAX_TIMES {
            let next = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
            if next == decoded {
                return false;
            }
            if self.replace(&next) != next {
                return true;
            }
            decoded = next;
        }
        // Nobody writes a URL so.
        true
    }

    /// Puts the ids in the place of tokens.
    fn replace(&self, text: &str) -> String {
        let mut redactor = Redactor::new(self.finder, Vec::new());
        // Writing to memory does not fail; if it did, nothing would be kept.
        let written = redactor.write_all(text.as_bytes()).and_then(|()| redactor.finish());
        let replaced = String::from_utf8(written.unwrap_or_default()).unwrap_or_default();
        self.replace_reported(&replaced)
    }

    /// The reported token, also without what comes before its secret, and in whatever case.
    fn replace_reported(&self, text: &str) -> String {
        /// What is shorter is no secret.
        const MIN_SECRET: usize = 16;
        // If it is not text, it cannot be in one.
        let Ok(token) = str::from_utf8(self.token) else { return text.to_owned() };
        let secret = token.rsplit(|c: char| !c.is_ascii_alphanumeric()).next();
        let secret = secret.filter(|secret| secret.len() >= MIN_SECRET).unwrap_or(token);
        let secret = Zeroizing::new(secret.to_ascii_lowercase());
        let mut replaced = String::with_capacity(text.len());
        let mut done = 0;
        // What is at an offset in lower case is there in the text, too.
        for (start, found) in text.to_ascii_lowercase().match_indices(&**secret) {
            replaced.push_str(text.get(done..start).unwrap_or_default());
            replaced.push_str("[token]");
            done = start.saturating_add(found.len());
        }
        replaced.push_str(text.get(done..).unwrap_or_default());
        replaced
    }
}

/// The first `max` characters.
fn cut(text: &str, max: usize) -> &str {
    let end = text.char_indices().nth(max).map(|(end, _)| end);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefix;

    const TOKEN: &str = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";
    const SECRET: &str = "25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";

    fn place(source: Option<&str>, url: &str) -> LeakPlace {
        let finder = Finder::new([prefix!("acme_live"), prefix!("acme_test")]);
        let redacted = Redacted { finder: &finder, token: TOKEN.as_bytes() };
        let reporter = &"github".parse().unwrap();
        Claim { reporter, source, url: Some(url) }.place(&redacted)
    }

    fn url(url: &str) -> Option<String> {
        place(None, url).url.map(Into::into)
    }

    #[test]
    fn an_ordinary_url_is_kept() {
        let text = "https://github.com/octocat/Hello-World/blob/\
                    12345600b9cbe38a219f39a9941c9319b600c002/foo%20bar.txt?plain=1#L5";
        assert_eq!(url(text).unwrap(), text);
        assert_eq!(url("some_url").unwrap(), "some_url");
        assert_eq!(url("acme_live acme_live_").unwrap(), "acme_live acme_live_");
        assert_eq!(url(""), None);
        assert_eq!(url(" \u{200b}\n"), None);
    }

    #[test]
    fn no_token_is_kept() {
        let other = crate::Token::generate(&prefix!("acme_test"), &mut rand::rngs::SysRng).unwrap();
        let other = other.expose_secret();
        let other_id = other.get(10..26).unwrap();
        for (text, expected) in [
            (
                format!("https://a.example/?t={TOKEN}&u=1"),
                "https://a.example/?t=[token Ky9Pf34qY6Nb3wWD]&u=1",
            ),
            (format!("{TOKEN}{TOKEN}"), "[token Ky9Pf34qY6Nb3wWD][token Ky9Pf34qY6Nb3wWD]"),
            (format!("acme_live_{TOKEN}"), "acme_live_[token Ky9Pf34qY6Nb3wWD]"),
            (format!("?t={SECRET}é"), "?t=[token]é"),
            (format!("?t={}", TOKEN.to_lowercase()), "?t=[token ky9pf34qy6nb3wwd]"),
            (TOKEN.replace("25RQ", "25\u{200b}R\nQ"), "[token Ky9Pf34qY6Nb3wWD]"),
            (TOKEN.replace('_', "%5F"), "acme%5Flive%5FKy9Pf34qY6Nb3wWD%5F[token]"),
            (TOKEN.replace("25RQ", "25%52Q"), LEFT_OUT),
            (TOKEN.replace("25RQ", "25%2552Q"), LEFT_OUT),
            (TOKEN.replace("25RQ", "25%2525252552Q"), LEFT_OUT),
            (format!("?t={other}"), &format!("?t=[token {other_id}]")),
            (other.replace('_', "%5f"), LEFT_OUT),
        ] {
            assert_eq!(url(&text).unwrap(), expected);
        }
    }

    #[test]
    fn no_part_of_a_token_is_left_at_the_cut() {
        for before in (0..LeakUrl::MAX_CHARS).step_by(7) {
            let kept = url(&format!("{}{}", "é".repeat(before), TOKEN.repeat(70))).unwrap();
            assert!(kept.chars().count() <= LeakUrl::MAX_CHARS);
            assert!(!kept.contains("25RQ"), "{before}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(url(&"é".repeat(1001)).unwrap(), "é".repeat(1000));
        let long = place(Some(&"commit ".repeat(100)), "").source;
        assert!(long.as_str().starts_with("github: commit commit"));
        assert!(long.as_str().chars().count() <= 100);
        assert_eq!(place(Some("commit"), "").source.as_str(), "github: commit");
        assert_eq!(place(Some("\u{202e}"), "").source.as_str(), "github");
        assert_eq!(place(Some(TOKEN), "").source.as_str(), "github: [token Ky9Pf34qY6Nb3wWD]");
    }
}
