//! Whatever comes in: nothing panics, and what is accepted has the documented form and reads
//! back the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use api_tokens::{
    Credentials, FieldError, Keyring, MasterKey, Metadata, PageKey, ParsedToken, Prefix, Principal,
    Project, RevocationReason, Scope, Scopes, Token, TokenDigest, TokenId, TokenName,
};
use jiff::Timestamp;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha20Rng};
use secrecy::ExposeSecret;

// What to try.

fn any_prefix() -> impl Strategy<Value = Prefix> {
    "[a-z][a-z0-9]{0,7}(_[a-z0-9]{1,7}){0,2}".prop_map(|text| text.parse().unwrap())
}

fn token(prefix: &Prefix, seed: u64) -> Token {
    Token::generate(prefix, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

/// Texts that come close to one of ours, which random bytes never do: pieces of valid forms,
/// put together anyhow.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,4}",
        "[0-9A-Za-z_+/=-]{0,50}",
        "[\\x00-\\x7f]{0,3}",
        prop::sample::select(vec![
            "acme_live",
            "acme_live_",
            "Ky9Pf34qY6Nb3wWD",
            "hmac-sha256:",
            "sha256:",
            "imported:",
            "9fd8fca32d9a",
            ":",
            "PuGSC48GDqMlsSZojcJsXKX6BWOGJghRvKVDmaoeUow",
            "*",
            " ",
            "\"",
            "\\",
            "_",
            "__",
            ".",
            "-",
            "1767225600000000",
            "9223372036854775807",
            "-9223372036854775808",
            "Bearer",
            "Bearer ",
            "=",
            "\t",
            "é",
            "\u{202e}",
            "\u{2003}",
            "\0",
            "$",
            "sources:read",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

// Laws they have in common.

/// Parses without a panic; what is accepted is displayed as a text that reads back the same.
fn check_text<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(
    text: &str,
) -> Result<Option<T>, TestCaseError> {
    let Ok(value) = text.parse::<T>() else { return Ok(None) };
    prop_assert_eq!(&value.to_string().parse::<T>().unwrap(), &value);
    Ok(Some(value))
}

/// Text for people and names of the host's: bounded, one line, no white space at the ends.
fn check_field<T>(text: &str, max: usize) -> Result<(), TestCaseError>
where
    T: FromStr<Err = FieldError> + Display + PartialEq + Debug,
{
    if let Some(value) = check_text::<T>(text)? {
        let shown = value.to_string();
        prop_assert!((1..=max).contains(&shown.chars().count()));
        prop_assert!(!shown.chars().any(char::is_control));
        prop_assert_eq!(shown.trim(), &shown);
        prop_assert_eq!(text.trim(), &shown);
    }
    Ok(())
}

/// `[a-z][a-z0-9]*(_[a-z0-9]+)*` in at most 24 bytes, without a regular expression.
fn is_prefix(text: &str) -> bool {
    let allowed = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    text.len() <= 24
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('_').all(allowed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn tokens_round_trip(prefix in any_prefix(), seed in any::<u64>()) {
        let token = token(&prefix, seed);
        let text = token.expose_secret();
        let parsed = ParsedToken::parse(&prefix, text.as_bytes()).unwrap();
        prop_assert_eq!(parsed.id(), token.id());

        // The parts stand where they are documented to stand, and nothing else is there.
        let rest = text.strip_prefix(prefix.as_str()).unwrap();
        prop_assert_eq!(rest.len(), 63);
        prop_assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        let parts: Vec<_> = rest.split('_').collect();
        let id = token.id();
        prop_assert_eq!(&parts, &["", id.as_str(), &rest[18..]]);
    }

    #[test]
    fn tokens_of_other_prefixes_are_refused(
        a in any_prefix(),
        b in any_prefix(),
        seed in any::<u64>(),
    ) {
        let token = token(&a, seed);
        let accepted = ParsedToken::parse(&b, token.expose_secret().as_bytes()).is_ok();
        prop_assert_eq!(accepted, a == b);
    }

    #[test]
    fn tokens_are_bearer_tokens(prefix in any_prefix(), seed in any::<u64>()) {
        let token = token(&prefix, seed);
        let value = format!("Bearer {}", token.expose_secret());
        let read = Credentials::from_authorization([value.as_bytes()]);
        prop_assert_eq!(read, Credentials::Bearer(token.expose_secret().as_bytes()));
    }

    #[test]
    fn damaged_tokens_are_refused(
        prefix in any_prefix(),
        seed in any::<u64>(),
        at in any::<prop::sample::Index>(),
        flip in 1..=u8::MAX,
    ) {
        let mut text = token(&prefix, seed).expose_secret().as_bytes().to_vec();
        let at = at.index(text.len());
        text[at] ^= flip;
        prop_assert!(ParsedToken::parse(&prefix, &text).is_err());
    }

    #[test]
    fn any_bytes_as_token(prefix in any_prefix(), bytes in any_bytes(), text in any_text()) {
        prop_assert!(ParsedToken::parse(&prefix, &bytes).is_err());
        prop_assert!(ParsedToken::parse(&prefix, text.as_bytes()).is_err());
        // The right length, and then anything.
        let mut bytes = bytes;
        bytes.resize(prefix.as_str().len() + 63, 0);
        prop_assert!(ParsedToken::parse(&prefix, &bytes).is_err());
    }

    #[test]
    fn digests_round_trip(seed in any::<u64>(), key in any::<[u8; 32]>()) {
        let prefix: Prefix = "acme_live".parse().unwrap();
        let token = token(&prefix, seed);
        let token = ParsedToken::parse(&prefix, token.expose_secret().as_bytes()).unwrap();
        let keyed = MasterKey::from_bytes(&key).map(Keyring::new);
        for keyring in keyed.into_iter().chain([Keyring::unkeyed()]) {
            let digest = keyring.digester(&prefix).digest(&token);
            prop_assert_eq!(digest.to_string().parse::<TokenDigest>().unwrap(), digest);
        }
    }

    #[test]
    fn any_text_as_digest(text in any_text()) {
        if let Some(digest) = check_text::<TokenDigest>(&text)? {
            prop_assert_eq!(digest.to_string(), text, "there is one text for each digest");
        }
    }

    #[test]
    fn any_fields_as_credentials(
        fields in prop::collection::vec(
            prop_oneof![any_bytes(), any_text().prop_map(String::into_bytes)],
            0..=3,
        ),
    ) {
        let read = Credentials::from_authorization(fields.iter().map(Vec::as_slice));
        match &fields[..] {
            [] => prop_assert_eq!(read, Credentials::Absent),
            [_] => {}
            _ => prop_assert_eq!(read, Credentials::InvalidRequest),
        }
        if let Credentials::Bearer(token) = read {
            prop_assert!((1..=Credentials::MAX_TOKEN_LEN).contains(&token.len()));
            prop_assert!(token.iter().all(u8::is_ascii_graphic));
        }
    }

    #[test]
    fn any_text_as_prefix(text in prop_oneof![any_text(), "[a-z0-9_]{0,26}", "[a-z_A-Z]{0,3}"]) {
        prop_assert_eq!(text.parse::<Prefix>().is_ok(), is_prefix(&text), "{:?}", text);
        if let Some(prefix) = check_text::<Prefix>(&text)? {
            prop_assert_eq!(prefix.as_str(), text);
        }
    }

    #[test]
    fn any_text_as_id(text in prop_oneof![any_text(), "[0-9A-Za-z]{15,17}", "[ -~]{16}", any::<String>()]) {
        let is_id = text.len() == 16 && text.chars().all(|c| c.is_ascii_alphanumeric());
        prop_assert_eq!(text.parse::<TokenId>().is_ok(), is_id);
        if let Some(id) = check_text::<TokenId>(&text)? {
            prop_assert_eq!(id.as_str(), text);
        }
    }

    #[test]
    fn any_bytes_as_id(bytes in prop_oneof![any_bytes(), prop::collection::vec(any::<u8>(), 16)]) {
        let is_id = bytes.len() == 16 && bytes.iter().all(u8::is_ascii_alphanumeric);
        prop_assert_eq!(TokenId::from_bytes(&bytes).is_ok(), is_id);
    }

    #[test]
    fn any_text_as_scopes(text in any_text()) {
        check_text::<Scope>(&text)?;
        if let Some(scopes) = check_text::<Scopes>(&text)? {
            prop_assert!(scopes.iter().is_sorted());
            prop_assert!(scopes.covers(&scopes));
        }
    }

    #[test]
    fn any_text_as_fields(text in prop_oneof![any_text(), any::<String>(), "\\PC{95,205}"]) {
        check_field::<TokenName>(&text, TokenName::MAX_CHARS)?;
        check_field::<RevocationReason>(&text, RevocationReason::MAX_CHARS)?;
        check_field::<Project>(&text, Project::MAX_CHARS)?;
        check_field::<Principal>(&text, Principal::MAX_CHARS)?;
    }

    /// Trimming a name of the host's could make two of them one.
    #[test]
    fn names_of_the_host_are_taken_to_the_letter(text in any_text()) {
        let project = text.parse::<Project>().map(String::from).ok();
        let principal = text.parse::<Principal>().map(String::from).ok();
        for read in project.into_iter().chain(principal) {
            prop_assert_eq!(&read, &text);
        }
    }

    #[test]
    fn any_text_as_metadata(key in any_text(), value in any_text()) {
        let mut metadata = Metadata::default();
        if metadata.insert(&key, &value).is_ok() {
            prop_assert_eq!(metadata.get(&key), Some(&*value));
            let json = serde_json::to_string(&metadata).unwrap();
            prop_assert_eq!(serde_json::from_str::<Metadata>(&json).unwrap(), metadata);
        } else {
            prop_assert_eq!(metadata, Metadata::default());
        }
    }

    #[test]
    fn any_text_as_page_key(text in any_text()) {
        check_text::<PageKey>(&text)?;
    }

    #[test]
    fn page_keys_round_trip(
        micros in Timestamp::MIN.as_microsecond()..=Timestamp::MAX.as_microsecond(),
        seed in any::<u64>(),
    ) {
        let created_at = Timestamp::from_microsecond(micros).unwrap();
        let id = TokenId::generate(&mut ChaCha20Rng::seed_from_u64(seed)).unwrap();
        let key = PageKey { created_at, id };
        prop_assert_eq!(key.to_string(), format!("{micros}.{id}"));
        prop_assert_eq!(key.to_string().parse::<PageKey>().unwrap(), key);
    }

    #[test]
    fn any_text_as_key(text in any_text(), bytes in any_bytes()) {
        for key in [MasterKey::from_base64(&text), MasterKey::from_bytes(&bytes)] {
            let Ok(key) = key else { continue };
            let again = MasterKey::from_base64(key.expose_base64().expose_secret()).unwrap();
            prop_assert_eq!(again.id(), key.id());
        }
    }
}
