//! What other scanners must know of this application's tokens, in the words of each.

mod detect_secrets;
mod github;
mod kingfisher;
mod live_check;
mod quote;
mod scanner;
mod secretlint;
mod semgrep;
mod toml;
mod trufflehog;

use core::fmt::{self, Write};

use self::live_check::{LiveCheck, LiveCheckProblem};
use crate::{Prefix, TokenId, field, field::FieldProblem, token};

pub use self::scanner::{Scanner, ScannerError};

/// Teaches other scanners an application's tokens: writes their rule files.
///
/// Every rule looks for the shape of a token (prefix, `_`, 16 characters, `_`, 45 characters of
/// `0-9A-Za-z` of which the 40th is one of `0`-`4`), wherever it stands: nothing is asked of the
/// character before it, since a word boundary there would miss a token after `\n` in JSON or
/// after `%3D` in a URL. Kingfisher and detect-secrets check the checksum, too, and so report
/// tokens alone; the others report whatever has the shape.
///
/// No file holds a text that its own rules would find, so that the files can be kept in a
/// repository that is scanned. They therefore have no complete example: one with a right
/// checksum would be reported by all scanners, and any other by most of them.
///
/// # Defaults
///
/// - No live check: scanners say that they found a token, not whether it is still accepted.
///
/// ```
/// use api_tokens::{leak::{Rules, Scanner}, prefix};
///
/// let rules = Rules::new("Acme API token", prefix!("acme_live"))?
///     .with_prefix(prefix!("acme_test"))
///     .with_live_check("https://acme.example/settings/api/token")?;
/// for scanner in Scanner::ALL {
///     let file = rules.file(scanner);
///     println!("{scanner} reads {}, of {} bytes", file.name, file.contents.len());
/// }
/// # Ok::<_, api_tokens::leak::RulesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    name: Box<str>,
    prefix: Prefix,
    more_prefixes: Vec<Prefix>,
    live_check: Option<LiveCheck>,
}

impl Rules {
    /// The greatest length of a name, in characters.
    pub const MAX_NAME: usize = 100;

    /// Rules for the tokens of one prefix, which people are shown by a name such as "Acme API
    /// token". White space around it is taken away.
    ///
    /// # Errors
    ///
    /// [`RulesError`] if the name is empty, has more than [`MAX_NAME`](Self::MAX_NAME)
    /// characters, or has control or invisible characters.
    pub fn new(name: &str, prefix: Prefix) -> Result<Self, RulesError> {
        let name = name.trim();
        field::check(name, Self::MAX_NAME).map_err(RulesErrorKind::Name)?;
        Ok(Self { name: name.into(), prefix, more_prefixes: Vec::new(), live_check: None })
    }

    /// Also for tokens of another prefix. One that is there already is not added again.
    #[must_use]
    pub fn with_prefix(mut self, prefix: Prefix) -> Self {
        if self.prefixes().all(|known| known != prefix) {
            self.more_prefixes.push(prefix);
        }
        self
    }

    /// Lets scanners ask whether a token that they found is still accepted, and revoke it: the URL
    /// of `/token` in the management API, such as `https://acme.example/settings/api/token`.
    ///
    /// Kingfisher and Betterleaks then send it `GET` with the token in `Authorization`, and take
    /// 200 for live and 401 for not live, other answers for neither. Told to revoke, which they
    /// never do by themselves, they send `DELETE`.
    ///
    /// **Scanners send tokens to this URL**, so it must be your own.
    ///
    /// # Errors
    ///
    /// [`RulesError`] if it is not `https`, or `http` on the machine itself (`127.0.0.1`, `[::1]`,
    /// `localhost`); if it has a user, a query or a fragment; or if it has characters besides
    /// `0-9A-Za-z`, `-._~%/:` and the brackets of an IPv6 address, which some rule file would
    /// need to quote.
    pub fn with_live_check(self, url: &str) -> Result<Self, RulesError> {
        let check = LiveCheck::new(url).map_err(RulesErrorKind::LiveCheck)?;
        Ok(Self { live_check: Some(check), ..self })
    }

    /// The file for a scanner. It ends with a newline.
    #[must_use]
    pub fn file(&self, scanner: Scanner) -> RuleFile {
        let mut contents = String::new();
        // Writing to a string never fails.
        let _ = self.write(scanner, &mut contents);
        RuleFile { name: scanner.file_name(), contents }
    }

    fn write(&self, scanner: Scanner, out: &mut String) -> fmt::Result {
        match scanner {
            Scanner::Kingfisher => kingfisher::write(self, out),
            Scanner::Gitleaks => toml::write_gitleaks(self, out),
            Scanner::Betterleaks => toml::write_betterleaks(self, out),
            Scanner::Trufflehog => trufflehog::write(self, out),
            Scanner::DetectSecrets => detect_secrets::write(self, out),
            Scanner::Secretlint => secretlint::write(self, out),
            Scanner::Semgrep => semgrep::write(self, out),
            Scanner::Github => github::write_custom_pattern(self, out),
            Scanner::GithubPartner => github::write_partner(self, out),
        }
    }

    fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        core::iter::once(self.prefix).chain(self.more_prefixes.iter().copied())
    }

    /// How people tell the rule for one prefix from that for another.
    fn title(&self, prefix: Prefix) -> String {
        if self.more_prefixes.is_empty() {
            self.name.to_string()
        } else {
            format!("{} ({prefix})", self.name)
        }
    }
}

/// A file that a scanner reads, or a text for its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleFile {
    /// A name for it, without a folder. It is none that a scanner loads unasked, so that it does
    /// not take the place of a configuration that is there already.
    pub name: &'static str,
    /// Its whole text.
    pub contents: String,
}

/// A name or a URL that rule files cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct RulesError {
    #[from]
    kind: RulesErrorKind,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum RulesErrorKind {
    #[error("the name of the tokens {0}")]
    Name(FieldProblem),
    #[error("the URL of the live check {0}")]
    LiveCheck(LiveCheckProblem),
}

/// How every file begins that has comments.
const HEAD: &str = "Written by api-tokens; write it anew instead of editing it.";

/// The regular expression of a prefix's tokens, in the syntax that all scanners share: no group, no
/// boundary on either side. A CRC-32 is less than 5 times 62^5, so its first digit is `0` to `4`.
fn pattern(prefix: Prefix) -> String {
    let (id, secret) = (TokenId::LEN, token::SECRET_LEN);
    let rest = token::base62::CHECKSUM_LEN.saturating_sub(1);
    format!("{prefix}_[0-9A-Za-z]{{{id}}}_[0-9A-Za-z]{{{secret}}}[0-4][0-9A-Za-z]{{{rest}}}")
}

/// A prefix in an identifier that allows no underscore. No two prefixes give the same.
fn dashed(prefix: Prefix) -> String {
    prefix.as_str().replace('_', "-")
}

/// The head of a file in which comments begin with `#`, with the command that it is for.
fn write_comment(out: &mut String, command: &str) -> fmt::Result {
    writeln!(out, "# {HEAD}\n# {command}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefix;

    fn rules() -> Rules {
        Rules::new("Acme API token", prefix!("acme_live")).unwrap()
    }

    #[test]
    fn pattern_has_the_published_form() {
        assert_eq!(
            pattern(prefix!("acme_live")),
            "acme_live_[0-9A-Za-z]{16}_[0-9A-Za-z]{39}[0-4][0-9A-Za-z]{5}"
        );
    }

    #[test]
    fn no_pattern_has_a_boundary_or_a_complete_token() {
        let rules = rules().with_prefix(prefix!("acme"));
        for scanner in Scanner::ALL {
            let text = rules.file(scanner).contents;
            assert!(!text.contains(r"\b"), "{scanner}");
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{scanner}");
            // 16 characters after a prefix are an id already.
            for (at, _) in text.match_indices("acme_live_") {
                let word = text.get(at + "acme_live_".len()..).unwrap();
                let len = word.chars().take_while(char::is_ascii_alphanumeric).count();
                let after = word.get(len..).unwrap().chars().next();
                assert!(len < 16 || after != Some('_'), "{scanner}: {text}");
            }
        }
    }

    #[test]
    fn a_prefix_is_added_once() {
        let rules = rules().with_prefix(prefix!("acme")).with_prefix(prefix!("acme_live"));
        assert_eq!(rules.prefixes().collect::<Vec<_>>(), [prefix!("acme_live"), prefix!("acme")]);
    }

    #[test]
    fn names_are_checked_and_not_repeated() {
        for (name, why) in [
            ("", "must not be empty"),
            (" \t", "must not be empty"),
            ("a\nb", "control"),
            ("a\u{202e}b", "invisible"),
            (&"a".repeat(101), "at most 100"),
        ] {
            let error = Rules::new(name, prefix!("acme")).unwrap_err().to_string();
            assert!(error.starts_with("the name of the tokens ") && error.contains(why), "{error}");
        }
        assert_eq!(&*Rules::new(" A ", prefix!("acme")).unwrap().name, "A");
    }

    #[test]
    fn only_scanners_that_can_ask_know_the_live_check() {
        let url = "https://acme.example/api/token";
        let rules = rules().with_live_check(url).unwrap();
        for scanner in Scanner::ALL {
            let knows = matches!(scanner, Scanner::Kingfisher | Scanner::Betterleaks);
            assert_eq!(rules.file(scanner).contents.contains(url), knows, "{scanner}");
        }
    }
}
