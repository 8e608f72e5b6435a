//! The text of a token: golden vectors, and one negative for every rule of the format.

use std::panic::{RefUnwindSafe, UnwindSafe};

use api_tokens::{
    DigestMatch, Digester, KeyError, Keyring, MasterKey, ParsedToken, Prefix, PrefixError, Token,
    TokenDigest, TokenDigestError, TokenFormatError, TokenId, TokenIdError, prefix,
};
use rand::{SeedableRng, TryCryptoRng, TryRng, rngs::ChaCha20Rng};

/// Made once by [`generated_tokens`]; never edit it. Tokens of this form are in the hands of
/// people, so a change here is a change that locks them out.
const GOLDEN: &str = include_str!("data/tokens.txt");

const LIVE: Prefix = prefix!("acme_live");

/// A token of [`LIVE`] to break in every possible way.
const SAMPLE: &str = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";

/// Where the parts of [`SAMPLE`] are.
const FIRST_SEPARATOR: usize = 9;
const ID: std::ops::Range<usize> = 10..26;
const SECOND_SEPARATOR: usize = 26;
const SECRET: std::ops::Range<usize> = 27..66;
const CHECKSUM: std::ops::Range<usize> = 66..72;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Bytes that occur in no part between the separators.
const OUTSIDE: [u8; 17] = [
    0x00, b'\n', b' ', b'-', b'.', b'~', b'_', b'=', b'+', b'/', b'@', b'[', b'`', b'{', 0x7f,
    0x80, 0xff,
];

// The oracle: CRC-32/ISO-HDLC bit by bit and base62 by division, sharing nothing with `src/`.

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0xedb8_8320;
            }
        }
    }
    !crc
}

/// `number` as six base62 digits.
fn base62(mut number: u64) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for place in (0..6).rev() {
        digits[place] = BASE62[usize::try_from(number % 62).unwrap()];
        number /= 62;
    }
    assert_eq!(number, 0, "more than six digits");
    digits
}

/// Makes the checksum right again, so that only the rule under test is broken.
fn reseal(text: &mut [u8]) {
    let (before, checksum) = text.split_last_chunk_mut().unwrap();
    *checksum = base62(crc32(before).into());
}

/// [`SAMPLE`] with one byte replaced and a right checksum.
fn resealed_with(at: usize, byte: u8) -> Vec<u8> {
    let mut text = SAMPLE.as_bytes().to_vec();
    text[at] = byte;
    reseal(&mut text);
    text
}

#[track_caller]
fn assert_parses(prefix: &str, text: &str) -> TokenId {
    let parsed = ParsedToken::parse(&prefix.parse().unwrap(), text.as_bytes());
    parsed.unwrap_or_else(|error| panic!("{text}: {error}")).id()
}

#[track_caller]
fn assert_refused(text: impl AsRef<[u8]>, why: TokenFormatError) {
    let text = text.as_ref();
    let refused = ParsedToken::parse(&LIVE, text);
    assert_eq!(refused.map(|token| token.id()).unwrap_err(), why, "{}", text.escape_ascii());
}

// Golden vectors.

/// Prefix and token of each line of the golden file.
fn golden_tokens() -> Vec<(&'static str, &'static str)> {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).collect()
}

/// What the golden file was made of: four tokens of each prefix in one stream of one seeded
/// generator, and then the first one whose checksum begins with two zeros.
fn generated_tokens() -> Vec<(String, Token)> {
    let mut rng = ChaCha20Rng::seed_from_u64(20_260_101);
    let mut tokens = Vec::new();
    for text in ["acme_live", "acme_test", "a", "z9", "acme_eu_2", "abcdefghijklmnopqrstuvwx"] {
        let prefix = text.parse().unwrap();
        for _ in 0..4 {
            tokens.push((text.to_owned(), Token::generate(&prefix, &mut rng).unwrap()));
        }
    }
    let mut stream = std::iter::repeat_with(|| Token::generate(&LIVE, &mut rng).unwrap());
    let padded_twice = stream.find(|token| checksum(token.expose_secret()).starts_with("00"));
    tokens.push((LIVE.to_string(), padded_twice.unwrap()));
    tokens
}

fn checksum(text: &str) -> &str {
    &text[text.len() - 6..]
}

#[test]
fn golden_tokens_parse() {
    let tokens = golden_tokens();
    assert_eq!(tokens.len(), 25);
    for (prefix, text) in tokens {
        let id = assert_parses(prefix, text);
        let start = prefix.len() + 1;
        assert_eq!(id.as_str(), &text[start..start + TokenId::LEN]);
    }
}

#[test]
fn golden_tokens_are_generated_again_from_the_seed() {
    let generated = generated_tokens();
    let golden = golden_tokens();
    assert_eq!(generated.len(), golden.len());
    for ((prefix, token), golden) in generated.iter().zip(golden) {
        assert_eq!((&**prefix, token.expose_secret()), golden);
    }
}

#[test]
fn golden_checksums_agree_with_an_independent_crc() {
    for (_, text) in golden_tokens() {
        let before = &text.as_bytes()[..text.len() - 6];
        assert_eq!(checksum(text).as_bytes(), base62(crc32(before).into()), "{text}");
    }
}

/// A padded checksum is where an implementation goes wrong that forgets to pad.
#[test]
fn golden_tokens_have_padded_checksums_among_them() {
    let tokens = golden_tokens();
    let padded =
        |zeros| tokens.iter().filter(|(_, text)| checksum(text).starts_with(zeros)).count();
    assert!(padded("0") >= 5, "{}", padded("0"));
    assert_eq!(padded("00"), 1);
}

#[test]
fn checksum_begins_with_0_to_4() {
    // Published in the pattern for scanners: 5 * 62^5 exceeds a u32.
    for (_, text) in golden_tokens() {
        assert!(matches!(checksum(text).as_bytes()[0], b'0'..=b'4'), "{text}");
    }
}

/// The values that the specification of the checksum publishes, through the oracle.
#[test]
fn oracle_agrees_with_published_values() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(base62(0xcbf4_3926), *b"3jZRME");
    assert_eq!(base62(0), *b"000000");
    assert_eq!(base62(u32::MAX.into()), *b"4gfFC3");
}

/// Tokens of the same scheme but with a longer secret, made elsewhere: their checksum agrees,
/// their length does not.
#[test]
fn tokens_with_a_longer_secret_are_refused() {
    for text in [
        "acme_live_mavzfVABqZ5YsOOl_B1f46RfHk7hp3ILTgK2y3mH3UqtmaFCrvkUb7keKpQP2B6YeX",
        "acme_live_XjfUgH9RNfMxmOQR_NzZxDC49FF1FgPTodSa63BqqqX02RsoHQ8tFingNvQn001cN8",
    ] {
        let before = &text.as_bytes()[..text.len() - 6];
        assert_eq!(checksum(text).as_bytes(), base62(crc32(before).into()));
        assert_refused(text, TokenFormatError::Length);
    }
}

// Generating.

#[test]
fn a_generated_token_parses_with_its_id() {
    let token = Token::generate(&LIVE, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    let text = token.expose_secret();
    assert_eq!(text.len(), 72);
    assert_eq!(assert_parses("acme_live", text), token.id());
    assert_eq!(text[ID], *token.id().as_str());
}

#[test]
fn two_tokens_of_one_generator_differ_in_id_and_secret() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let [a, b] = [(); 2].map(|()| Token::generate(&LIVE, &mut rng).unwrap());
    assert_ne!(a.expose_secret()[ID], b.expose_secret()[ID]);
    assert_ne!(a.expose_secret()[SECRET], b.expose_secret()[SECRET]);
}

/// Works for the first draw, then fails as a system without entropy does.
struct FailsAfter(u32);

impl TryRng for FailsAfter {
    type Error = std::fmt::Error;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unreachable!("tokens are drawn as bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unreachable!("tokens are drawn as bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0 = self.0.checked_sub(1).ok_or(std::fmt::Error)?;
        bytes.fill(0);
        Ok(())
    }
}

impl TryCryptoRng for FailsAfter {}

#[test]
fn a_failing_generator_gives_no_token() {
    for draws in [0, 1] {
        let failed = Token::generate(&LIVE, &mut FailsAfter(draws));
        assert_eq!(failed.map(|token| token.id()).unwrap_err(), std::fmt::Error, "{draws}");
    }
    assert!(Token::generate(&LIVE, &mut FailsAfter(2)).is_ok());
}

// Rule by rule.

#[test]
fn the_sample_parses() {
    assert_eq!(assert_parses("acme_live", SAMPLE).as_str(), &SAMPLE[ID]);
    let mut text = SAMPLE.as_bytes().to_vec();
    reseal(&mut text);
    assert_eq!(text, SAMPLE.as_bytes(), "the oracle seals as the crate does");
}

#[test]
fn length_every_truncation_is_refused() {
    for len in 0..SAMPLE.len() {
        assert_refused(&SAMPLE[..len], TokenFormatError::Length);
        assert_refused(&SAMPLE[SAMPLE.len() - len..], TokenFormatError::Length);
    }
}

#[test]
fn length_a_shorter_part_is_refused_though_sealed() {
    for part in [ID, SECRET] {
        let mut text = SAMPLE.as_bytes().to_vec();
        text.remove(part.start);
        reseal(&mut text);
        assert_refused(text, TokenFormatError::Length);
    }
}

#[test]
fn length_a_longer_part_is_refused_though_sealed() {
    for part in [ID, SECRET] {
        let mut text = SAMPLE.as_bytes().to_vec();
        text.insert(part.start, b'a');
        reseal(&mut text);
        assert_refused(text, TokenFormatError::Length);
    }
}

#[test]
fn length_surrounding_bytes_are_refused() {
    for byte in 0..=u8::MAX {
        assert_refused([&[byte], SAMPLE.as_bytes()].concat(), TokenFormatError::Length);
        assert_refused([SAMPLE.as_bytes(), &[byte]].concat(), TokenFormatError::Length);
    }
}

#[test]
fn length_a_huge_text_is_refused() {
    assert_refused(SAMPLE.repeat(10_000), TokenFormatError::Length);
}

/// A character moved from one part to the other keeps the length right.
#[test]
fn separator_in_another_place_is_refused() {
    for other in [SECOND_SEPARATOR - 1, SECOND_SEPARATOR + 1] {
        let mut text = SAMPLE.as_bytes().to_vec();
        text.swap(SECOND_SEPARATOR, other);
        reseal(&mut text);
        assert_refused(text, TokenFormatError::Separator);
    }
}

#[test]
fn separator_after_the_prefix_is_needed() {
    for byte in (0..=u8::MAX).filter(|byte| *byte != b'_') {
        assert_refused(resealed_with(FIRST_SEPARATOR, byte), TokenFormatError::Separator);
    }
}

#[test]
fn separator_after_the_id_is_needed() {
    for byte in (0..=u8::MAX).filter(|byte| *byte != b'_') {
        assert_refused(resealed_with(SECOND_SEPARATOR, byte), TokenFormatError::Separator);
    }
}

#[test]
fn alphabet_of_the_id() {
    for at in ID {
        for byte in OUTSIDE {
            assert_refused(resealed_with(at, byte), TokenFormatError::Alphabet);
        }
    }
}

#[test]
fn alphabet_of_the_secret() {
    for at in SECRET {
        for byte in OUTSIDE {
            assert_refused(resealed_with(at, byte), TokenFormatError::Alphabet);
        }
    }
}

/// There is no sealing these; that they are told apart from a wrong checksum shows that the
/// alphabet comes first.
#[test]
fn alphabet_of_the_checksum() {
    for at in CHECKSUM {
        for byte in OUTSIDE {
            let mut text = SAMPLE.as_bytes().to_vec();
            text[at] = byte;
            assert_refused(text, TokenFormatError::Alphabet);
        }
    }
}

#[test]
fn alphabet_every_base62_character_is_accepted_everywhere() {
    for at in ID.chain(SECRET) {
        for byte in BASE62 {
            let text = resealed_with(at, *byte);
            assert!(ParsedToken::parse(&LIVE, &text).is_ok(), "{}", text.escape_ascii());
        }
    }
}

#[track_caller]
fn assert_wrong_checksum(digits: [u8; 6]) {
    let mut text = SAMPLE.as_bytes().to_vec();
    assert_ne!(text[CHECKSUM], digits);
    text[CHECKSUM].copy_from_slice(&digits);
    assert_refused(text, TokenFormatError::Checksum);
}

#[test]
fn checksum_of_another_text_is_refused() {
    assert_wrong_checksum(*b"000000");
    assert_wrong_checksum(base62(u32::MAX.into()));
    assert_wrong_checksum(base62(u64::from(crc32(&SAMPLE.as_bytes()[..CHECKSUM.start]) ^ 1)));
}

/// GitHub's tokens seal the random part alone; ours seal the prefix too, or a live token would
/// pass for a test token with a typo.
#[test]
fn checksum_without_the_prefix_is_refused() {
    assert_wrong_checksum(base62(crc32(&SAMPLE.as_bytes()[ID.start..CHECKSUM.start]).into()));
    assert_wrong_checksum(base62(crc32(&SAMPLE.as_bytes()[SECRET]).into()));
}

#[test]
fn checksum_in_reverse_is_refused() {
    let mut digits: [u8; 6] = SAMPLE.as_bytes()[CHECKSUM].try_into().unwrap();
    digits.reverse();
    assert_wrong_checksum(digits);
}

/// Six digits hold more than 32 bits: a sum read with wrapping arithmetic would let these pass.
#[test]
fn checksum_beyond_32_bits_is_refused() {
    let crc = u64::from(crc32(&SAMPLE.as_bytes()[..CHECKSUM.start]));
    for wraps in 1..=12 {
        assert_wrong_checksum(base62(crc + (wraps << 32)));
    }
    assert_wrong_checksum(*b"zzzzzz");
}

#[test]
fn prefix_of_another_application_is_refused_though_sealed() {
    for other in ["acme_test", "acme_livf", "bcme_live", "acmeelive", "acme_liv_", "         "] {
        let mut text = SAMPLE.replace("acme_live", other).into_bytes();
        assert_refused(&text, TokenFormatError::Prefix);
        reseal(&mut text);
        assert_refused(&text, TokenFormatError::Prefix);
    }
}

#[test]
fn prefix_in_upper_case_is_refused_though_sealed() {
    for other in ["ACME_LIVE", "Acme_live", "acme_livE"] {
        let mut text = SAMPLE.replace("acme_live", other).into_bytes();
        reseal(&mut text);
        assert_refused(text, TokenFormatError::Prefix);
    }
}

#[test]
fn prefix_that_another_one_begins_with_is_refused() {
    for prefix in ["acme", "acme_liv", "acme_live2", "acme_live_2"] {
        let prefix: Prefix = prefix.parse().unwrap();
        let refused = ParsedToken::parse(&prefix, SAMPLE.as_bytes()).unwrap_err();
        assert_eq!(refused, TokenFormatError::Length, "{prefix}");
    }
}

/// Operators count reasons, so one text always has the same one.
#[test]
fn the_first_broken_rule_is_named() {
    let mut text = SAMPLE.as_bytes().to_vec();
    text[SECRET.start] = b'-';
    assert_refused(&text, TokenFormatError::Alphabet);
    text[SECOND_SEPARATOR] = b'-';
    assert_refused(&text, TokenFormatError::Separator);
    text[0] = b'-';
    assert_refused(&text, TokenFormatError::Prefix);
    text.pop();
    assert_refused(&text, TokenFormatError::Length);
}

/// What the checksum is for: no typo ever reaches the store.
#[test]
fn every_change_of_one_character_is_refused() {
    let mut refused = 0;
    for at in 0..SAMPLE.len() {
        let mut text = SAMPLE.as_bytes().to_vec();
        let right = text[at];
        for byte in (0..=u8::MAX).filter(|byte| *byte != right) {
            text[at] = byte;
            assert!(ParsedToken::parse(&LIVE, &text).is_err(), "{}", text.escape_ascii());
            refused += 1;
        }
    }
    assert_eq!(refused, 72 * 255);
}

#[test]
fn every_swap_of_neighbours_is_refused() {
    for at in 1..SAMPLE.len() {
        let mut text = SAMPLE.as_bytes().to_vec();
        text.swap(at - 1, at);
        if text != SAMPLE.as_bytes() {
            assert!(ParsedToken::parse(&LIVE, &text).is_err(), "{}", text.escape_ascii());
        }
    }
}

#[test]
fn errors_say_what_is_wrong_and_nothing_of_the_text() {
    for (error, message) in [
        (TokenFormatError::Length, "wrong length"),
        (TokenFormatError::Prefix, "wrong prefix"),
        (TokenFormatError::Separator, "missing separator"),
        (TokenFormatError::Alphabet, "invalid character"),
        (TokenFormatError::Checksum, "wrong checksum"),
    ] {
        assert_eq!(error.to_string(), message);
    }
}

// What the types promise.

#[test]
fn debug_shows_the_id_alone() {
    let token = Token::generate(&LIVE, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    let id = token.id();
    assert_eq!(format!("{token:?}"), format!("Token({id})"));
    assert_eq!(format!("{token:#?}"), format!("Token({id})"));

    let parsed = ParsedToken::parse(&LIVE, token.expose_secret().as_bytes()).unwrap();
    assert_eq!(format!("{parsed:?}"), format!("ParsedToken({id})"));
    assert_eq!(format!("{parsed:#?}"), format!("ParsedToken({id})"));
}

#[test]
fn auto_traits() {
    fn assert_all<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}

    assert_all::<Token>();
    assert_all::<ParsedToken<'_>>();
    assert_all::<TokenFormatError>();
    assert_all::<TokenId>();
    assert_all::<TokenIdError>();
    assert_all::<Prefix>();
    assert_all::<PrefixError>();
    assert_all::<TokenDigest>();
    assert_all::<TokenDigestError>();
    assert_all::<Digester>();
    assert_all::<DigestMatch>();
    assert_all::<MasterKey>();
    assert_all::<Keyring>();
}

/// An error crosses threads on its way to the log.
#[test]
fn errors_can_be_sent() {
    fn assert_error<T: std::error::Error + Send + Sync + 'static>() {}

    assert_error::<TokenFormatError>();
    assert_error::<TokenIdError>();
    assert_error::<PrefixError>();
    assert_error::<TokenDigestError>();
    assert_error::<KeyError>();
}

/// Does not compile if the type has the trait: then two implementations of `Either` apply, and
/// which one `_` stands for is ambiguous.
macro_rules! assert_lacks {
    ($type:ty: $($absent:path),+) => {$({
        trait Either<Which> {
            fn chosen() {}
        }
        struct Always;
        impl<T: ?Sized> Either<Always> for T {}
        struct WithTrait;
        impl<T: ?Sized + $absent> Either<WithTrait> for T {}
        <$type as Either<_>>::chosen();
    })+};
}

#[test]
fn secrets_cannot_be_copied_printed_compared_or_written() {
    assert_lacks!(Token: Clone, std::fmt::Display, PartialEq, serde::Serialize, AsRef<str>, Into<String>);
    assert_lacks!(MasterKey: Clone, std::fmt::Display, PartialEq, serde::Serialize, AsRef<[u8]>);
    assert_lacks!(Keyring: Clone, std::fmt::Display, PartialEq, serde::Serialize);
    assert_lacks!(Digester: Clone, std::fmt::Display, PartialEq, serde::Serialize);
    assert_lacks!(ParsedToken<'static>: std::fmt::Display, PartialEq, serde::Serialize, AsRef<[u8]>);
}
