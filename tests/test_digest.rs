//! What is stored of a secret: known answers for the primitives, golden vectors of the stored
//! form, and what a keyring accepts.

use api_tokens::{
    DigestMatch, Digester, Keyring, MasterKey, ParsedToken, Prefix, TokenDigest, TokenDigestError,
    prefix,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

const LIVE: Prefix = prefix!("acme_live");

const SAMPLE: &str = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";

/// [`SAMPLE`]'s secret under another id.
const SAME_SECRET: &str =
    "acme_live_Ky9Pf34qY6Nb3wWE_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh3B37lp";

/// [`SAMPLE`]'s id with another secret.
const SAME_ID: &str = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqi0vSmA2";

/// [`SAMPLE`]'s id and secret under another prefix.
const SAME_BODY: &str = "acme_test_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh4b6VSm";

/// [`SAMPLE`]'s stored forms under the first key of [`master_key`], and under none.
const SAMPLE_KEYED: &str = "hmac-sha256:9fd8fca32d9a:PuGSC48GDqMlsSZojcJsXKX6BWOGJghRvKVDmaoeUow";
const SAMPLE_UNKEYED: &str = "sha256:69UKPP-fD9m6xMjtf0PWPxVLYrKa8BtQdDPevbQZ6P0";

/// The bytes of three keys, of 32, 33 and 200 bytes.
fn key_bytes(number: usize) -> Vec<u8> {
    match number {
        1 => (0..32).collect(),
        2 => (100..133).collect(),
        3 => (56..=255).rev().collect(),
        _ => unreachable!("there are three keys"),
    }
}

fn master_key(number: usize) -> MasterKey {
    MasterKey::from_bytes(&key_bytes(number)).unwrap()
}

#[track_caller]
fn parse<'a>(prefix: &Prefix, text: &'a str) -> ParsedToken<'a> {
    ParsedToken::parse(prefix, text.as_bytes()).unwrap()
}

/// The stored form of a token of [`LIVE`].
#[track_caller]
fn stored(keyring: &Keyring, text: &str) -> TokenDigest {
    keyring.digester(&LIVE).digest(&parse(&LIVE, text))
}

#[track_caller]
fn assert_verifies(keyring: &Keyring, text: &str, stored: &TokenDigest, found: DigestMatch) {
    let digester = keyring.digester(&LIVE);
    assert_eq!(digester.verify(&parse(&LIVE, text), stored), found);
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16).unwrap()).unwrap();
    let (pairs, rest) = text.as_bytes().as_chunks();
    assert!(rest.is_empty());
    pairs.iter().map(|[high, low]| digit(high) << 4 | digit(low)).collect()
}

// The oracle: HMAC (RFC 2104) and HKDF (RFC 5869) step by step, on nothing but SHA-256.

fn plain_hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36), message].concat());
    Sha256::digest([&block.map(|byte| byte ^ 0x5c), &inner[..]].concat()).into()
}

fn plain_hkdf(salt: &[u8], key: &[u8], info: &[u8], len: usize) -> Vec<u8> {
    let extracted = plain_hmac(salt, key);
    let mut output = Vec::new();
    let mut block = Vec::new();
    for count in 1.. {
        block = plain_hmac(&extracted, &[&block, info, &[count]].concat()).to_vec();
        output.extend_from_slice(&block);
        if output.len() >= len {
            break;
        }
    }
    output.truncate(len);
    output
}

/// The keyed stored form by the documented construction.
fn plain_stored(key: &[u8], prefix: &str, token: &str) -> String {
    use std::fmt::Write;

    let derive = |info: &[u8], len| plain_hkdf(b"api-tokens v1", key, info, len);
    let mut key_id = String::new();
    for byte in derive(b"key id", 6) {
        write!(key_id, "{byte:02x}").unwrap();
    }
    let digest_key = derive(&[b"digest\0", prefix.as_bytes()].concat(), 64);
    let mac = plain_hmac(&digest_key, plain_message(prefix, token).as_bytes());
    format!("hmac-sha256:{key_id}:{}", URL_SAFE_NO_PAD.encode(mac))
}

/// Id and secret, without separators and checksum.
fn plain_message(prefix: &str, token: &str) -> String {
    let (id, secret) = token[prefix.len() + 1..token.len() - 6].split_once('_').unwrap();
    [id, secret].concat()
}

// Known answers.

/// RFC 4231, test cases 1 to 7: key, message, HMAC-SHA-256 (of case 5, its first 128 bits).
fn rfc_4231() -> [(Vec<u8>, Vec<u8>, &'static str); 7] {
    [
        (
            vec![0x0b; 20],
            b"Hi There".to_vec(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            vec![0xaa; 20],
            vec![0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            (1..=25).collect(),
            vec![0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (vec![0x0c; 20], b"Test With Truncation".to_vec(), "a3b6167473100ee06e0c796c2955552b"),
        (
            vec![0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            vec![0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size \
              data. The key needs to be hashed before being used by the HMAC algorithm."
                .to_vec(),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ]
}

#[test]
fn hmac_agrees_with_rfc_4231() {
    for (case, (key, message, mac)) in (1..).zip(rfc_4231()) {
        let mut hmac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
        hmac.update(&message);
        let expected = hex(mac);
        assert_eq!(hmac.finalize().into_bytes()[..expected.len()], expected, "case {case}");
        assert_eq!(plain_hmac(&key, &message)[..expected.len()], expected, "case {case}");
    }
}

#[test]
fn hkdf_agrees_with_rfc_5869_case_1() {
    let key = [0x0b; 22];
    let salt = hex("000102030405060708090a0b0c");
    let info = hex("f0f1f2f3f4f5f6f7f8f9");
    let expected = hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                        34007208d5b887185865");

    let (extracted, hkdf) = Hkdf::<Sha256>::extract(Some(&salt), &key);
    assert_eq!(
        extracted[..],
        hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
    );
    let mut output = [0; 42];
    hkdf.expand(&info, &mut output).unwrap();
    assert_eq!(output[..], expected);
    assert_eq!(plain_hkdf(&salt, &key, &info, 42), expected);
}

/// Prefix, token, its stored forms under the three keys, and its stored form without a key.
///
/// **Never change one: it stands for every record in every database.** An independent
/// implementation computed them:
///
/// ```python
/// import base64, hashlib, hmac
///
/// def hkdf(key, info, length):
///     prk, block, out = hmac.digest(b"api-tokens v1", key, "sha256"), b"", b""
///     while len(out) < length:
///         block = hmac.digest(prk, block + info + bytes([len(out) // 32 + 1]), "sha256")
///         out += block
///     return out[:length]
///
/// def text(digest):
///     return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
///
/// def stored(key, prefix, token):
///     message = token[-62:-46] + token[-45:-6]
///     mac = hmac.digest(hkdf(key, b"digest\0" + prefix, 64), message, "sha256")
///     return (f"hmac-sha256:{hkdf(key, b'key id', 6).hex()}:{text(mac)}",
///             f"sha256:{text(hashlib.sha256(message).digest())}")
///
/// keys = bytes(range(32)), bytes(range(100, 133)), bytes(range(255, 55, -1))
/// ```
const GOLDEN: [(&str, &str, [&str; 3], &str); 4] = [
    (
        "acme_live",
        SAMPLE,
        [
            SAMPLE_KEYED,
            "hmac-sha256:6654de3e9bcd:LISZEml5uJWfW-B8nmBjMHi_vh49jU8sRMYUjTVYhSs",
            "hmac-sha256:858e9281fd6f:tHFo5WtOw7G_CR6bxg9VJ0sxCvG7htvC-jYW_am14Ok",
        ],
        SAMPLE_UNKEYED,
    ),
    (
        "acme_test",
        "acme_test_uQA9WJIL34FM8Tjz_dDF1xFd25D8yoZo4ErYBLJ7rI6bpdRKgic8l5Gd4D4qDS",
        [
            "hmac-sha256:9fd8fca32d9a:FIahQhPJjFsgz3igxshJf3px1k14Sp8MX1krf-3sRp4",
            "hmac-sha256:6654de3e9bcd:P8W9RG5UIGFEG0d6OVmpK1fAyu05uCTUppI02JaXIvs",
            "hmac-sha256:858e9281fd6f:YhYAKwVWuBolMNyADYY3GnDHNy6cpnuzFOzsc-z7X_g",
        ],
        "sha256:8Rq3L2HDLcXYP7vzTGKQ2q3jVIAwIC5d8JLk4WEsFKE",
    ),
    (
        "a",
        "a_m592Ga2jEJ1ZAEEN_uGJTtbO1tAIUYbQWnr2UYjoit29pcFGTyMdOyWY0jvvie",
        [
            "hmac-sha256:9fd8fca32d9a:mfDeCGQVToeHC3FS1hBMgBMq92a3xVwhYCIYgjynm1s",
            "hmac-sha256:6654de3e9bcd:SadEdcPZJEFEiNk3s39GsWv-4xl61XdwLkx_RDxTu4c",
            "hmac-sha256:858e9281fd6f:9ueTX_8AgmoZI-9fIUEJwGW_YRBi3c5F7E8FgtKcDEc",
        ],
        "sha256:cla7cSPF6BA0f3i2ExdAIVbn2nHnpDHn2IYRpR5nsSU",
    ),
    (
        "abcdefghijklmnopqrstuvwx",
        "abcdefghijklmnopqrstuvwx_TQ4OI6ALeYDN5KIq_wzn1MuFtgZEnZ2gaFV7WdCyn6vgDk1pfCAMjenx1Ekd2R",
        [
            "hmac-sha256:9fd8fca32d9a:Ewadfs04d6eiwhIyCngellMSqhMT35rQhOKmOLFyCNQ",
            "hmac-sha256:6654de3e9bcd:uoWSoHW5JW2dFby4Ol0ak5Or_zsTkQTuLqbTp8d_TwY",
            "hmac-sha256:858e9281fd6f:51HD9RX05N61qyOOkE0vVU8bLnVPR45FyXfEW3KjeEY",
        ],
        "sha256:Ee-Xud8sidzbzGLYswUea_qAVWnQnJ8xOqn09Qd9aMA",
    ),
];

#[test]
fn stored_form_under_a_key() {
    for (prefix, token, keyed, _) in GOLDEN {
        for (number, expected) in (1..).zip(keyed) {
            let prefix: Prefix = prefix.parse().unwrap();
            let digester = Keyring::new(master_key(number)).digester(&prefix);
            let digest = digester.digest(&parse(&prefix, token));
            assert_eq!(digest.to_string(), expected);
            assert_eq!(digest.key_id(), Some(master_key(number).id()));
        }
    }
}

#[test]
fn stored_form_without_a_key() {
    for (prefix, token, _, expected) in GOLDEN {
        let prefix: Prefix = prefix.parse().unwrap();
        let digest = Keyring::unkeyed().digester(&prefix).digest(&parse(&prefix, token));
        assert_eq!(digest.to_string(), expected);
        assert_eq!(digest.key_id(), None);
    }
}

#[test]
fn stored_form_is_the_documented_construction() {
    for (prefix, token, keyed, unkeyed) in GOLDEN {
        for (number, expected) in (1..).zip(keyed) {
            assert_eq!(plain_stored(&key_bytes(number), prefix, token), expected);
        }
        let sha256 = Sha256::digest(plain_message(prefix, token));
        assert_eq!(format!("sha256:{}", URL_SAFE_NO_PAD.encode(sha256)), unkeyed);
    }
}

// Reading the stored form.

#[test]
fn stored_form_round_trips() {
    for (_, _, keyed, unkeyed) in GOLDEN {
        for text in keyed.into_iter().chain([unkeyed]) {
            let digest: TokenDigest = text.parse().unwrap();
            assert_eq!(digest.to_string(), text);

            let json = serde_json::to_string(&digest).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<TokenDigest>(&json).unwrap(), digest);
        }
    }
}

#[track_caller]
fn assert_no_digest(text: &str) {
    let refused = text.parse::<TokenDigest>();
    assert_eq!(refused.map(|digest| digest.to_string()), Err(TokenDigestError), "{text:?}");
    let json = serde_json::to_string(text).unwrap();
    assert!(serde_json::from_str::<TokenDigest>(&json).is_err(), "{json}");
}

/// [`SAMPLE_KEYED`] with another text in place of its 32 bytes.
fn keyed_with(bytes: &str) -> String {
    format!("hmac-sha256:9fd8fca32d9a:{bytes}")
}

#[test]
fn stored_form_with_another_algorithm_is_refused() {
    let (_, rest) = SAMPLE_KEYED.split_once(':').unwrap();
    for algorithm in ["", "hmac-sha512", "HMAC-SHA256", "hmac_sha256", "hmac-sha256 ", "sha256"] {
        assert_no_digest(&format!("{algorithm}:{rest}"));
    }
    let (_, rest) = SAMPLE_UNKEYED.split_once(':').unwrap();
    for algorithm in ["", "sha-256", "SHA256", "sha512", "md5", " sha256", "hmac-sha256"] {
        assert_no_digest(&format!("{algorithm}:{rest}"));
    }
}

#[test]
fn stored_form_with_missing_parts_is_refused() {
    for end in 0..SAMPLE_KEYED.len() {
        assert_no_digest(&SAMPLE_KEYED[..end]);
    }
    for end in 0..SAMPLE_UNKEYED.len() {
        assert_no_digest(&SAMPLE_UNKEYED[..end]);
    }
    assert_no_digest(&SAMPLE_KEYED.replace("9fd8fca32d9a", ""));
}

#[test]
fn stored_form_with_more_around_it_is_refused() {
    for text in [SAMPLE_KEYED, SAMPLE_UNKEYED] {
        for more in [":", "=", " ", "\n", "\0", "A", ":A"] {
            assert_no_digest(&format!("{text}{more}"));
            assert_no_digest(&format!("{more}{text}"));
        }
        assert_no_digest(&text.replacen(':', "::", 1));
        assert_no_digest(&text.repeat(1000));
    }
}

#[test]
fn stored_form_of_another_length_is_refused() {
    for len in (0..=66).filter(|len| *len != 32) {
        let bytes = URL_SAFE_NO_PAD.encode(vec![0x55; len]);
        assert_no_digest(&keyed_with(&bytes));
        assert_no_digest(&format!("sha256:{bytes}"));
    }
}

#[test]
fn stored_form_in_another_base64_is_refused() {
    let text = "-_".repeat(21) + "w";
    assert!(keyed_with(&text).parse::<TokenDigest>().is_ok());
    for (from, to) in [("-", "+"), ("_", "/"), ("-", "="), ("_", " "), ("w", "w=")] {
        assert_no_digest(&keyed_with(&text.replacen(from, to, 1)));
    }
    assert_no_digest(&keyed_with(&("é".repeat(21) + "w")));
}

/// Two texts for one digest would make a store find one and not the other.
#[test]
fn stored_form_with_trailing_bits_is_refused() {
    let text = SAMPLE_KEYED.strip_suffix('w').unwrap();
    for last in ["x", "y", "z"] {
        assert_no_digest(&format!("{text}{last}"));
    }
}

#[test]
fn stored_form_with_another_key_id_is_refused() {
    for key_id in [
        "9fd8fca32d9",
        "9fd8fca32d9a0",
        "9FD8FCA32D9A",
        "9fd8fca32d9A",
        "9fd8fca32d9g",
        "9fd8fca32d9 ",
        "9fd8fca32d\u{e9}",
        "9fd8fca32d9`",
        "9fd8fca32d9/",
    ] {
        assert_no_digest(&SAMPLE_KEYED.replace("9fd8fca32d9a", key_id));
    }
}

#[test]
fn stored_form_error_says_nothing_of_the_text() {
    assert_eq!(TokenDigestError.to_string(), "not a token digest");
}

#[test]
fn debug_leaves_the_digest_out() {
    let keyed: TokenDigest = SAMPLE_KEYED.parse().unwrap();
    assert_eq!(format!("{keyed:?}"), r#"TokenDigest { key_id: Some(KeyId("9fd8fca32d9a")), .. }"#);
    let unkeyed: TokenDigest = SAMPLE_UNKEYED.parse().unwrap();
    assert_eq!(format!("{unkeyed:?}"), "TokenDigest { key_id: None, .. }");
}

// Comparing.

/// Every single bit counts, so no word or byte is left out of the comparison.
#[test]
fn a_digest_with_one_bit_changed_does_not_match() {
    let keyring = Keyring::new(master_key(1));
    let right = stored(&keyring, SAMPLE);
    let (_, bytes) = SAMPLE_KEYED.rsplit_once(':').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(bytes).unwrap();
    for bit in 0..256 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let changed = keyed_with(&URL_SAFE_NO_PAD.encode(changed)).parse().unwrap();
        assert_verifies(&keyring, SAMPLE, &changed, DigestMatch::Mismatch);
        assert_ne!(changed, right, "bit {bit}");
    }
}

#[test]
fn digests_of_different_keys_differ() {
    let (_, bytes) = SAMPLE_KEYED.rsplit_once(':').unwrap();
    let keyed: TokenDigest = SAMPLE_KEYED.parse().unwrap();
    let other: TokenDigest = format!("hmac-sha256:6654de3e9bcd:{bytes}").parse().unwrap();
    let unkeyed: TokenDigest = format!("sha256:{bytes}").parse().unwrap();
    assert_ne!(keyed, other);
    assert_ne!(keyed, unkeyed);
    assert_eq!(keyed, SAMPLE_KEYED.parse().unwrap());
}

#[test]
fn another_secret_does_not_match() {
    for keyring in [Keyring::new(master_key(1)), Keyring::unkeyed()] {
        let digest = stored(&keyring, SAMPLE);
        assert_verifies(&keyring, SAMPLE, &digest, DigestMatch::Current);
        assert_verifies(&keyring, SAME_ID, &digest, DigestMatch::Mismatch);
    }
}

/// Whoever can write to the database cannot copy the digest of their own token into the row of
/// another: the id is part of the digest.
#[test]
fn digest_of_another_id_does_not_match() {
    for keyring in [Keyring::new(master_key(1)), Keyring::unkeyed()] {
        let digest = stored(&keyring, SAMPLE);
        assert_verifies(&keyring, SAME_SECRET, &digest, DigestMatch::Mismatch);
    }
}

#[test]
fn digest_of_another_prefix_does_not_match() {
    let test = prefix!("acme_test");
    let keyring = Keyring::new(master_key(1));
    let digest = stored(&keyring, SAMPLE);
    let found = keyring.digester(&test).verify(&parse(&test, SAME_BODY), &digest);
    assert_eq!(found, DigestMatch::Mismatch);
}

/// Why the verifier compares the record's prefix itself.
#[test]
fn digest_without_a_key_does_not_depend_on_the_prefix() {
    let test = prefix!("acme_test");
    let digest = stored(&Keyring::unkeyed(), SAMPLE);
    let found = Keyring::unkeyed().digester(&test).verify(&parse(&test, SAME_BODY), &digest);
    assert_eq!(found, DigestMatch::Current);
}

// Keyrings.

#[test]
fn current_key_matches_as_current() {
    let digest = stored(&Keyring::new(master_key(1)), SAMPLE);
    for keyring in [
        Keyring::new(master_key(1)),
        Keyring::new(master_key(1)).with_earlier(master_key(2)),
        Keyring::new(master_key(1)).with_earlier(master_key(1)),
        Keyring::new(master_key(1)).with_earlier_unkeyed(),
    ] {
        assert_verifies(&keyring, SAMPLE, &digest, DigestMatch::Current);
    }
}

#[test]
fn earlier_keys_match_as_earlier() {
    let keyring =
        Keyring::new(master_key(3)).with_earlier(master_key(2)).with_earlier(master_key(1));
    for (number, found) in
        [(1, DigestMatch::Earlier), (2, DigestMatch::Earlier), (3, DigestMatch::Current)]
    {
        let digest = stored(&Keyring::new(master_key(number)), SAMPLE);
        assert_verifies(&keyring, SAMPLE, &digest, found);
        assert_verifies(&keyring, SAME_ID, &digest, DigestMatch::Mismatch);
        assert_verifies(&keyring, SAME_SECRET, &digest, DigestMatch::Mismatch);
    }
}

#[test]
fn new_digests_are_made_under_the_current_key() {
    let keyring = Keyring::new(master_key(2)).with_earlier(master_key(1)).with_earlier_unkeyed();
    assert_eq!(stored(&keyring, SAMPLE), stored(&Keyring::new(master_key(2)), SAMPLE));
}

/// Not a mismatch: a node that lacks a key must not call a good token wrong.
#[test]
fn a_key_that_is_missing_is_unknown() {
    let keyed = stored(&Keyring::new(master_key(1)), SAMPLE);
    let unkeyed = stored(&Keyring::unkeyed(), SAMPLE);
    let others = || Keyring::new(master_key(2)).with_earlier(master_key(3));
    assert_verifies(&others(), SAMPLE, &keyed, DigestMatch::UnknownKey);
    assert_verifies(&others(), SAMPLE, &unkeyed, DigestMatch::UnknownKey);
    assert_verifies(&others(), SAME_ID, &keyed, DigestMatch::UnknownKey);
    assert_verifies(&Keyring::unkeyed(), SAMPLE, &keyed, DigestMatch::UnknownKey);
}

#[test]
fn moving_from_no_key_to_a_key() {
    let unkeyed = stored(&Keyring::unkeyed(), SAMPLE);
    let keyring = Keyring::new(master_key(1)).with_earlier_unkeyed();
    assert_verifies(&keyring, SAMPLE, &unkeyed, DigestMatch::Earlier);
    assert_verifies(&keyring, SAME_ID, &unkeyed, DigestMatch::Mismatch);

    let keyed = stored(&keyring, SAMPLE);
    assert_eq!(keyed.to_string(), SAMPLE_KEYED);
    assert_verifies(&keyring, SAMPLE, &keyed, DigestMatch::Current);
}

/// Who can write to the database can make a digest without a key, and must gain nothing by it.
#[test]
fn a_planted_digest_without_a_key_is_not_accepted() {
    let planted = stored(&Keyring::unkeyed(), SAMPLE);
    assert_verifies(&Keyring::new(master_key(1)), SAMPLE, &planted, DigestMatch::UnknownKey);

    let (_, bytes) = SAMPLE_UNKEYED.split_once(':').unwrap();
    let relabelled = keyed_with(bytes).parse().unwrap();
    assert_verifies(&Keyring::new(master_key(1)), SAMPLE, &relabelled, DigestMatch::Mismatch);
}

#[test]
fn debug_of_keyrings_shows_key_ids_alone() {
    let keyring = Keyring::new(master_key(1)).with_earlier(master_key(2)).with_earlier_unkeyed();
    assert_eq!(
        format!("{keyring:?}"),
        "Keyring { current: Some(MasterKey(9fd8fca32d9a)), upcoming: [], \
         earlier: [Some(MasterKey(6654de3e9bcd)), None] }"
    );
    let digester: Digester = keyring.digester(&LIVE);
    assert_eq!(
        format!("{digester:?}"),
        r#"Digester { current: Some(KeyId("9fd8fca32d9a")), upcoming: [], earlier: [Some(KeyId("6654de3e9bcd")), None] }"#
    );
}

#[test]
fn a_key_is_exposed_as_base64_that_reads_back() {
    for number in 1..=3 {
        let text = master_key(number).expose_base64();
        let read = MasterKey::from_base64(text.expose_secret()).unwrap();
        let keyring = Keyring::new(read);
        assert_eq!(stored(&keyring, SAMPLE), stored(&Keyring::new(master_key(number)), SAMPLE));
    }
}
