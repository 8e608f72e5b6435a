//! What each fuzz target checks. `tests/fuzz_corpus.rs` of the main package includes this file
//! too, to replay the corpus on a stable toolchain.
//!
//! Each function takes any bytes and panics if a promise does not hold. The oracles are written
//! for plainness and share nothing with the crate.

pub mod leak;
mod reports;

use std::sync::LazyLock;

use api_tokens::{
    Credentials, DigestMatch, Digester, Keyring, MasterKey, ParsedToken, Prefix, Scope, Scopes,
    TokenDigest, TokenFormatError, prefix,
};

pub use reports::{ROUTES, report};

/// The values of the `Authorization` fields of one request, a line each; no bytes, no field.
pub fn authorization(data: &[u8]) {
    let fields: Vec<&[u8]> =
        if data.is_empty() { vec![] } else { data.split(|byte| *byte == b'\n').collect() };
    let read = Credentials::from_authorization(fields.iter().copied());
    match &fields[..] {
        [] => assert_eq!(read, Credentials::Absent),
        [value] => assert_eq!(read, credentials_slowly(value)),
        _ => assert_eq!(read, Credentials::InvalidRequest),
    }

    // A line break is also a byte that one value may have.
    let read = Credentials::from_authorization([data]);
    assert_eq!(read, credentials_slowly(data));
    if let Credentials::Bearer(token) = read {
        assert!((1..=1024).contains(&token.len()));
        let text = std::str::from_utf8(token).unwrap();
        assert!(text.trim_end_matches('=').chars().all(is_b64_char));
        // In its plainest form it reads the same.
        let value = format!("Bearer {text}");
        assert_eq!(Credentials::from_authorization([value.as_bytes()]), read);
    }
}

/// The steps of the specification, on text of one `char` a byte.
fn credentials_slowly(value: &[u8]) -> Credentials<'_> {
    let chars: String = value.iter().map(|byte| char::from(*byte)).collect();
    let trimmed = chars.trim_matches([' ', '\t']);
    if trimmed.is_empty() {
        return Credentials::Absent;
    }
    let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let (scheme, rest) = trimmed.split_at(trimmed.find(|c| !is_tchar(c)).unwrap_or(trimmed.len()));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Credentials::OtherScheme;
    }
    let token = rest.trim_start_matches(' ');
    if token.is_empty() || token == rest {
        return Credentials::InvalidRequest;
    }
    let body = token.trim_end_matches('=');
    if token.chars().count() > 1024 || body.is_empty() || !body.chars().all(is_b64_char) {
        return Credentials::MalformedToken;
    }
    // All of it is ASCII, so it is as many bytes at the end of what was not trimmed there.
    let end = value.iter().rposition(|byte| !b" \t".contains(byte)).unwrap() + 1;
    Credentials::Bearer(&value[end - token.len()..end])
}

fn is_b64_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/".contains(c)
}

const LIVE: Prefix = prefix!("acme_live");

static DIGESTER: LazyLock<Digester> = LazyLock::new(|| {
    let key = MasterKey::from_bytes(b"0123456789abcdefghijklmnopqrstuv").unwrap();
    Keyring::new(key).with_earlier_unkeyed().digester(&LIVE)
});

/// The text of a token.
pub fn token(data: &[u8]) {
    for prefix in [LIVE, prefix!("a")] {
        let parsed = ParsedToken::parse(&prefix, data);
        assert_eq!(parsed.map(|token| token.id().to_string()), token_slowly(&prefix, data));
    }
    if let Ok(token) = ParsedToken::parse(&LIVE, data) {
        let (before, checksum) = data.split_at(data.len() - 6);
        let text = format!("acme_live_{}_{}", token.id(), before[27..].escape_ascii());
        assert_eq!(text.as_bytes(), before);
        assert_eq!(checksum, seal(text.as_bytes()));
        // It can stand in a header as it is.
        let value = [b"Bearer ", data].concat();
        assert_eq!(Credentials::from_authorization([&value[..]]), Credentials::Bearer(data));

        let digest = DIGESTER.digest(&token);
        assert_eq!(DIGESTER.verify(&token, &digest), DigestMatch::Current);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        // One that differs in id or secret does not match.
        for at in [10, 25, 27, 65] {
            let mut other = data.to_vec();
            other[at] = if other[at] == b'x' { b'y' } else { b'x' };
            reseal(&mut other);
            let other = ParsedToken::parse(&LIVE, &other).unwrap();
            assert_eq!(DIGESTER.verify(&other, &digest), DigestMatch::Mismatch);
        }
    }
}

/// The id, or the first rule that is broken.
fn token_slowly(prefix: &Prefix, data: &[u8]) -> Result<String, TokenFormatError> {
    let at = prefix.as_str().len();
    let is_base62 = |part: &[u8]| part.iter().all(u8::is_ascii_alphanumeric);
    if data.len() != at + 63 {
        return Err(TokenFormatError::Length);
    }
    if data[..at] != *prefix.as_str().as_bytes() {
        return Err(TokenFormatError::Prefix);
    }
    let (id, secret) = (&data[at + 1..at + 17], &data[at + 18..]);
    if data[at] != b'_' || data[at + 17] != b'_' {
        return Err(TokenFormatError::Separator);
    }
    if !is_base62(id) || !is_base62(secret) {
        return Err(TokenFormatError::Alphabet);
    }
    if data[at + 57..] != seal(&data[..at + 57]) {
        return Err(TokenFormatError::Checksum);
    }
    Ok(String::from_utf8(id.to_vec()).unwrap())
}

/// CRC-32/ISO-HDLC, bit by bit, in six base62 digits.
fn seal(bytes: &[u8]) -> [u8; 6] {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let digits: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').collect();
    let mut rest = !crc;
    let mut text = [0; 6];
    for place in text.iter_mut().rev() {
        *place = u8::try_from(digits[(rest % 62) as usize]).unwrap();
        rest /= 62;
    }
    text
}

/// Makes the checksum at the end of `text` right. Without it a fuzzer never gets past the check.
pub fn reseal(text: &mut [u8]) {
    if let Some((before, checksum)) = text.split_last_chunk_mut() {
        *checksum = seal(before);
    }
}

/// The stored form of a digest.
pub fn digest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = text.parse::<TokenDigest>();
    assert_eq!(parsed.is_ok(), is_digest(text), "{text:?}");
    let Ok(digest) = parsed else { return };
    assert_eq!(digest.to_string(), text);
    let key_id = text.strip_prefix("hmac-sha256:").and_then(|rest| rest.split(':').next());
    assert_eq!(digest.key_id().map(|id| id.to_string()).as_deref(), key_id);
    assert_eq!(digest.is_imported(), text.starts_with("imported:"));

    // No text but the right one lets a token pass.
    let token = b"acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";
    let token = ParsedToken::parse(&LIVE, token).unwrap();
    let right = DIGESTER.digest(&token);
    let unkeyed = text == "sha256:69UKPP-fD9m6xMjtf0PWPxVLYrKa8BtQdDPevbQZ6P0";
    let expected = match digest.key_id() {
        id if id == right.key_id() && digest == right => DigestMatch::Current,
        id if id == right.key_id() => DigestMatch::Mismatch,
        None if unkeyed => DigestMatch::Earlier,
        None => DigestMatch::Mismatch,
        Some(_) => DigestMatch::UnknownKey,
    };
    assert_eq!(DIGESTER.verify(&token, &digest), expected);
}

fn is_digest(text: &str) -> bool {
    let hex = |text: &str| text.len() == 12 && text.chars().all(|c| "0123456789abcdef".contains(c));
    let bytes = match text.split(':').collect::<Vec<_>>()[..] {
        ["hmac-sha256", key_id, bytes] if hex(key_id) => bytes,
        ["sha256" | "imported", bytes] => bytes,
        _ => return false,
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    // 43 characters are 258 bits, of which the last two are zero: every fourth character ends so.
    bytes.len() == 43
        && bytes.chars().all(allowed)
        && bytes.ends_with(|c| "AEIMQUYcgkosw048".contains(c))
}

/// Two sets of scopes, a line each: held and required.
pub fn scopes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (held, required) = text.split_once('\n').unwrap_or((text, ""));
    let sets = [held, required].map(|text| {
        let set = text.parse::<Scopes>().ok();
        let words = scopes_slowly(text);
        let read = set.as_ref().map(|set| set.iter().map(Scope::to_string).collect::<Vec<_>>());
        assert_eq!(read, words, "{text:?}");
        if let Some(set) = &set {
            assert_eq!(set.to_string().parse().as_ref(), Ok(set));
            assert!(set.covers(set));
            assert!(set.covers(&Scopes::default()));
        }
        set
    });
    let [Some(held), Some(required)] = sets else { return };
    let covered = |required: &Scope| held.iter().any(|held| covers_slowly(held, required));
    assert_eq!(held.covers(&required), required.iter().all(covered));
    if let Ok(union) = Scopes::new(held.iter().chain(required.iter()).cloned()) {
        assert!(union.covers(&held) && union.covers(&required));
        assert_eq!(held.covers(&union), held.covers(&required));
    }
}

/// The different words, sorted; `None` if one is no scope or there are too many.
fn scopes_slowly(text: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> =
        text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.sort();
    words.dedup();
    let is_scope = |word: &String| {
        let body = word.strip_suffix('*').unwrap_or(word);
        let wildcard = body.len() < word.len();
        let allowed = |c: char| c.is_ascii_graphic() && !"\"\\*".contains(c);
        word.len() <= 128
            && body.chars().all(allowed)
            && (!wildcard || body.is_empty() || body.ends_with(':'))
    };
    (words.len() <= 64 && words.iter().all(is_scope)).then_some(words)
}

fn covers_slowly(held: &Scope, required: &Scope) -> bool {
    let (held, required) = (held.as_str(), required.as_str());
    let mut required = required.chars();
    for c in held.chars() {
        if c == '*' {
            return true;
        }
        if required.next() != Some(c) {
            return false;
        }
    }
    required.next().is_none()
}
