use core::{fmt, str::FromStr};

/// A scanner that others wrote, which [`Rules::file`](super::Rules::file) writes a file for.
///
/// Its text, in `Display` and `FromStr`, is [`as_str`](Self::as_str).
///
/// ```
/// use api_tokens::leak::Scanner;
///
/// assert_eq!("detect-secrets".parse(), Ok(Scanner::DetectSecrets));
/// assert_eq!(Scanner::DetectSecrets.to_string(), "detect-secrets");
/// assert_eq!(Scanner::ALL.len(), 9);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scanner {
    /// Kingfisher: a YAML file of rules, with the checksum, and the live check if there is one.
    Kingfisher,
    /// gitleaks: a TOML configuration, in addition to the rules that gitleaks has.
    Gitleaks,
    /// Betterleaks: the same, with the live check if there is one.
    Betterleaks,
    /// TruffleHog: a YAML configuration with custom detectors. It finds at most 100 tokens of a
    /// prefix in each piece of some 10 KB.
    Trufflehog,
    /// detect-secrets: a plugin in Python, with the checksum.
    DetectSecrets,
    /// secretlint: a configuration in JSON for `@secretlint/secretlint-rule-pattern`.
    Secretlint,
    /// Semgrep: a YAML file of rules that look at any text.
    Semgrep,
    /// GitHub: what to type into the form for a custom pattern.
    Github,
    /// GitHub: the regular expressions for its secret scanning partner programme.
    GithubPartner,
}

impl Scanner {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Kingfisher,
        Self::Gitleaks,
        Self::Betterleaks,
        Self::Trufflehog,
        Self::DetectSecrets,
        Self::Secretlint,
        Self::Semgrep,
        Self::Github,
        Self::GithubPartner,
    ];

    /// A name in lower case, with dashes: `kingfisher`, `gitleaks`, `betterleaks`, `trufflehog`,
    /// `detect-secrets`, `secretlint`, `semgrep`, `github`, `github-partner`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kingfisher => "kingfisher",
            Self::Gitleaks => "gitleaks",
            Self::Betterleaks => "betterleaks",
            Self::Trufflehog => "trufflehog",
            Self::DetectSecrets => "detect-secrets",
            Self::Secretlint => "secretlint",
            Self::Semgrep => "semgrep",
            Self::Github => "github",
            Self::GithubPartner => "github-partner",
        }
    }

    pub(super) fn file_name(self) -> &'static str {
        match self {
            Self::Kingfisher => "kingfisher.yml",
            Self::Gitleaks => "gitleaks.toml",
            Self::Betterleaks => "betterleaks.toml",
            Self::Trufflehog => "trufflehog.yml",
            Self::DetectSecrets => "detect_secrets_plugin.py",
            Self::Secretlint => "secretlintrc.json",
            Self::Semgrep => "semgrep.yml",
            Self::Github => "github-custom-patterns.md",
            Self::GithubPartner => "github-partner.md",
        }
    }
}

impl fmt::Display for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scanner {
    type Err = ScannerError;

    fn from_str(text: &str) -> Result<Self, ScannerError> {
        Self::ALL.into_iter().find(|scanner| scanner.as_str() == text).ok_or(ScannerError(()))
    }
}

/// A text that is not the name of a [`Scanner`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a scanner that there are rules for")]
pub struct ScannerError(());

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_has_a_text_and_a_file_of_its_own() {
        let mut files = HashSet::new();
        for scanner in Scanner::ALL {
            assert_eq!(scanner.to_string().parse(), Ok(scanner));
            assert!(files.insert(scanner.file_name()), "{scanner}");
        }
        for other in ["", "Kingfisher", "kingfisher ", "detect_secrets"] {
            assert!(other.parse::<Scanner>().is_err(), "{other:?}");
        }
    }
}
