//! Tokens of other systems: what each format takes, and golden vectors of what is stored.
//!
//! `tests/data/imported` has what real systems made, with their versions; `test_import_systems`
//! makes it anew.

mod import_support;

use std::{collections::HashSet, fmt::Write, fs, path::Path};

use api_tokens::{
    DigestMatch, Digester, ImportError, ImportFormat, ImportedDigest, Keyring, MasterKey,
    ParsedToken, TokenDigest, TokenId, prefix,
};
use import_support::{System, tokens};
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

const NAMES: [&str; 6] =
    ["sha256", "sanctum", "rest_framework_api_key", "knox", "knox_4", "better_auth"];

#[track_caller]
fn fixture(name: &str) -> Value {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/imported");
    let text = fs::read_to_string(directory.join(name).with_extension("json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn master_key(first: u8) -> MasterKey {
    MasterKey::from_bytes(&(first..first + 32).collect::<Vec<_>>()).unwrap()
}

fn digester(keyring: &Keyring) -> Digester {
    keyring.digester(&prefix!("acme_live"))
}

// What is stored.

/// System, token, and of it: the id, the stored form as imported, the one under the key
/// 0, 1, … 31, and the one without a key.
///
/// **Never change one: it stands for every record in every database.** An independent
/// implementation computed them, from the rows of the fixtures and from `hkdf` and `text` as in
/// `test_digest`:
///
/// ```python
/// def sha256(*parts):
///     return hashlib.sha256(b"".join(parts)).digest()
///
/// ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
///
/// # recipe: sha256, sanctum, djangorestframework-api-key, django-rest-knox, django-rest-knox 4 or
/// # better-auth; public: the row's id of sanctum, the prefix of djangorestframework-api-key, or
/// # nothing; old: the bytes of the row's digest
/// def golden(key, prefix, recipe, public, old, token):
///     imported = sha256(b"api-tokens v1\0imported digest\0", recipe, b"\0", public, b"\0", old)
///     handle = sha256(b"api-tokens v1\0imported id\0", imported)[:16]
///     id = "".join(ALPHABET[byte % 62] for byte in handle)
///     message = id.encode() + b"\0" + token
///     mac = hmac.digest(hkdf(key, b"digest\0" + prefix, 64), message, "sha256")
///     return (id, f"imported:{text(imported)}",
///             f"hmac-sha256:{hkdf(key, b'key id', 6).hex()}:{text(mac)}",
///             f"sha256:{text(sha256(message))}")
/// ```
const GOLDEN: [(&str, &str, [&str; 4]); 6] = [
    (
        "sha256",
        "cioi00So2bPTmSh2DoNpIMZtJdyTf3ArzFu",
        [
            "n8DcwyxJblAIUHeT",
            "imported:27afeO6u5VSSe6YktlqDKjE58DXjRRQ4eJr7tbjYiVU",
            "hmac-sha256:9fd8fca32d9a:QQPM-RMFMZrnV6XTPgEjq8yHC5HugCRp_h7C5iQldvE",
            "sha256:cohvtGSnZKFPSIJMW7xrT3SpKLuHwceghN5Guf65Epc",
        ],
    ),
    (
        "sanctum",
        "1|JrGPRrYkJ6ERzNaPkBmF7E9cNtIHDQFQPsZIJmNT",
        [
            "yIK41ya2AZHqGuK3",
            "imported:8mKQD34ljh-yvVEgAQ8__zAupepgxZOWfVJJPCEvrFQ",
            "hmac-sha256:9fd8fca32d9a:qhbyNwMWshGhZBhsQiImuFGlrrUpUuiFcV7jB7shOk4",
            "sha256:Ydi0u_hTsQOTQS8bWTeclEO1lHP76AYtZXRdWWGZasU",
        ],
    ),
    (
        "rest_framework_api_key",
        "KD64h92d.zl7exFlkZrkqQe8Wb5eTic7by0wPRFMR",
        [
            "afbAGf3a1KAbSIyf",
            "imported:fa3wX77LL8AryPHjECZVhFIHea5aI4N81CR3wGcB58Q",
            "hmac-sha256:9fd8fca32d9a:MuX8OW--s6HHJNz4_VD777iNYSpmti18_ZaxVbyNo_I",
            "sha256:YqOVuylPkBTOp14sLelPEKntj2p2sf8WVgvCn2ZK7BI",
        ],
    ),
    (
        "knox",
        "acme_28d7a6fbee2606e042abb7a7a445d1bfe13a31b9b5d2f3319923e0b3432e8efb",
        [
            "oLDdfPwwPzPHluWY",
            "imported:vCQfjclYTxB-Ko4bvqA76N0w_fppuFeMMLIJGW5BDSA",
            "hmac-sha256:9fd8fca32d9a:xwnrNmVTM160guh8_eR2aBZvEXRpydSu-uVjy9iSslY",
            "sha256:GfWbOKoOi3XOH7Lb-yziwZ2wtTIywvt-8L-9_BJmSb0",
        ],
    ),
    (
        "knox_4",
        "863cf6d1670f558e3acee145e163443c87b3f15a75a8de6f6b02c8727d928c8b",
        [
            "ZBr0qOHVbq8QyD15",
            "imported:WMu6dMUW0sxh8aAkUw2BeE4UGMZHVtjWqHWQuHe3ySQ",
            "hmac-sha256:9fd8fca32d9a:Hhc1PDv0IoD8eIJrnnBXg4bE_f3mLOIXxU7i76nLs-k",
            "sha256:WeDal5TZPhGyPEXiuSKXFPGBdn5RkraO8cVW0ChlOFU",
        ],
    ),
    (
        "better_auth",
        "eqdctIlwPBaCnnRZoYyBqNdtaHZNcMrUHiAdgQJxTRIYdxMcDXpRUHNrAvDSYGoS",
        [
            "rlV20DPp0OtWUzN7",
            "imported:pyCC4Foo8RblnNdm4-jEjFoQEiRIc1C6fE-653sThtM",
            "hmac-sha256:9fd8fca32d9a:ed51EmsOcjxHu8MHrnRi7iGyzCZVkZPSVxjHWup4qR8",
            "sha256:WHm8XnXPGyxOBf0jKpriVejKlh11lg2i3gCl3XabneM",
        ],
    ),
];

#[test]
fn stored_forms() {
    let (keyed, unkeyed) = (Keyring::new(master_key(0)), Keyring::unkeyed());
    for (name, token, [id, imported, under_key, without_key]) in GOLDEN {
        let text = token.as_bytes();
        let digest = System::new(name).format_of(token).digest_of(text).unwrap();
        assert_eq!(digest.id().as_str(), id);
        assert_eq!(digest.digest().to_string(), imported);
        assert_eq!(digester(&keyed).digest_imported(&digest.id(), text).to_string(), under_key);
        assert_eq!(digester(&unkeyed).digest_imported(&digest.id(), text).to_string(), without_key);
    }
}

#[test]
fn stored_form_as_imported_round_trips() {
    for (_, _, [_, text, ..]) in GOLDEN {
        let digest: TokenDigest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        assert!(digest.is_imported());
        assert_eq!(digest.key_id(), None);
        assert_eq!(format!("{digest:?}"), "TokenDigest { imported: true, .. }");

        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("{text:?}"));
        assert_eq!(serde_json::from_str::<TokenDigest>(&json).unwrap(), digest);

        // The same bytes under another name are another digest.
        let unkeyed: TokenDigest = text.replace("imported", "sha256").parse().unwrap();
        assert_ne!(unkeyed, digest);
        assert!(!unkeyed.is_imported());
        for other in [
            text.replace("imported", "Imported"),
            text.replace(':', ":9fd8fca32d9a:"),
            text[..text.len() - 1].to_owned(),
            format!("{text}A"),
            format!("{text}="),
        ] {
            assert!(other.parse::<TokenDigest>().is_err(), "{other}");
        }
    }
}

// What other systems made.

#[test]
fn tokens_give_the_digests_of_their_rows() {
    for name in NAMES {
        System::new(name).check(&fixture(name));
    }
}

#[test]
fn no_two_tokens_have_an_id_in_common() {
    let mut ids = HashSet::<TokenId>::new();
    for name in NAMES {
        let (system, issued) = (System::new(name), fixture(name));
        for (_, row) in tokens(&issued) {
            assert!(ids.insert(system.import(row).unwrap().id()), "{row}");
        }
    }
    assert!(ids.len() > 20);
}

/// Not even where both systems stored the same of it.
#[test]
fn a_token_of_one_system_is_none_of_another() {
    let mut taken = 0;
    for name in NAMES {
        let issued = fixture(name);
        for (token, row) in tokens(&issued) {
            let imported = System::new(name).import(row).unwrap();
            for other in NAMES.into_iter().filter(|other| *other != name) {
                let presented = System::new(other).format.digest_of(token.as_bytes());
                assert_ne!(presented, Some(imported), "{token} as {other}");
                taken += u32::from(presented.is_some());
            }
        }
    }
    assert!(taken > 20, "only {taken} of them look like tokens of another system");
}

/// A secret does not pass under the id of another row, even if that row has the same digest.
#[test]
fn the_public_part_is_bound() {
    let issued = fixture("sanctum");
    let (token, row) = tokens(&issued)[1];
    let digest = row["token"].as_str().unwrap();
    let row = ImportedDigest::sanctum("1", digest).unwrap();
    let format = ImportFormat::sanctum();
    assert_ne!(format.digest_of(token.as_bytes()), Some(row));
    let moved = token.replacen("12|", "1|", 1);
    assert_eq!(format.digest_of(moved.as_bytes()), Some(row));

    let issued = fixture("rest_framework_api_key");
    let [(token, row), (_, other), ..] = tokens(&issued)[..] else { panic!("two keys") };
    let text = |row: &Value, column: &str| row[column].as_str().unwrap().to_owned();
    let mixed =
        ImportedDigest::rest_framework_api_key(&text(other, "prefix"), &text(row, "hashed_key"));
    let format = ImportFormat::rest_framework_api_key();
    assert_ne!(format.digest_of(token.as_bytes()), Some(mixed.unwrap()));
}

#[test]
fn keys_hashed_as_passwords_are_refused() {
    let (system, issued) =
        (System::new("rest_framework_api_key"), fixture("rest_framework_api_key_2"));
    let tokens = tokens(&issued);
    assert!(!tokens.is_empty());
    for (_, row) in tokens {
        assert_eq!(system.import(row), Err(ImportError::PasswordHash), "{row}");
    }
}

// The form of texts.

#[track_caller]
fn assert_form(format: &ImportFormat, good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(format.digest_of(text.as_bytes()).is_some(), "{text:?}");
    }
    for text in bad {
        assert_eq!(format.digest_of(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn form_of_any_text() {
    let format = ImportFormat::sha256();
    let (longest, too_long) = ("x".repeat(512), "x".repeat(513));
    assert_form(
        &format,
        &["x", "!~", &longest],
        &["", " ", "a b", "a\n", "\0", "é", "\x7f", &too_long],
    );
    let format = format.with_start("cio");
    assert_form(&format, &["ciox"], &["cio", "ci", "CIOx", "xcio", "ciox\0", " ciox"]);
}

#[test]
fn form_of_sanctum() {
    let secret = &"aB3".repeat(14)[..40];
    let with = |id: &str| format!("{id}|{secret}");
    let uuid = "01961f1c-7a3b-7c2d-9e4f-5a6b7c8d9e0f";
    let format = ImportFormat::sanctum();
    assert_form(
        &format,
        &[&with("1"), &with("18446744073709551615"), &with(uuid), &with("1|")],
        &[
            secret,
            "",
            "|",
            "1|",
            &with(""),
            &with("1_"),
            &with("1 "),
            &with("\u{661}"),
            &with(&format!("{uuid}0")),
            &with("1")[..41],
            &format!("{} ", with("1")),
            &format!("1|{}", "x".repeat(511)),
        ],
    );
    let format = format.with_start("acme_");
    assert_form(
        &format,
        &[&format!("1|acme_{secret}")],
        &[&with("1"), &format!("acme_1|{secret}"), &format!("1|acme_{}", &secret[1..])],
    );
}

#[test]
fn form_of_rest_framework_api_key() {
    let secret = "aB3dE6gH".repeat(4);
    let with = |prefix: &str| format!("{prefix}.{secret}");
    assert_form(
        &ImportFormat::rest_framework_api_key(),
        &[&with("aB3dE6gH"), &with("a"), &with(&secret), "a.0123456789abcdef"],
        &[
            "",
            ".",
            &secret,
            &with(""),
            &with("a_"),
            &with(&format!("{secret}a")),
            &format!("a.{}", secret.replace('B', ".")),
            &format!("a.{}", secret.replace('B', "-")),
            "a.0123456789abcde",
            &format!("a.{}", "x".repeat(129)),
        ],
    );
}

#[test]
fn form_of_knox() {
    let digits = "0123456789abcdef".repeat(4);
    let good = [&digits[..], &digits[..32], &digits.repeat(4)];
    let bad = [
        "",
        &digits[1..],
        &digits[..30],
        &(digits.repeat(4) + "00"),
        &digits.replace('a', "A"),
        &digits.replace('a', "g"),
        &digits.replace('0', "/"),
        &digits.replace('9', ":"),
        &digits.replace('a', "`"),
        &format!("acme_{digits}"),
    ];
    assert_form(&ImportFormat::knox(), &good, &bad);
    assert_form(&ImportFormat::knox_4(), &good, &bad);

    let prefixed = [&format!("acme_{digits}")[..]];
    assert_form(&ImportFormat::knox().with_start("acme_"), &prefixed, &good);
    // Releases before 5 had no prefixes.
    assert_form(&ImportFormat::knox_4().with_start("acme_"), &[], &prefixed);
    assert_form(&ImportFormat::knox_4().with_start("0123"), &[&digits], &[&digits[4..]]);
}

#[test]
fn form_of_better_auth() {
    let letters = "abcDEFgh".repeat(8);
    assert_form(
        &ImportFormat::better_auth(),
        &[&letters, &format!("shop_{letters}"), &format!("-{letters}"), &letters[..32]],
        &["", &letters[..31], &letters.replace('a', "."), &letters.replace('a', "+")],
    );
    assert_form(
        &ImportFormat::better_auth().with_start("shop_"),
        &[&format!("shop_{letters}")],
        &[&letters, &format!("Shop_{letters}"), &format!("shop_{}", &letters[..31])],
    );
}

/// It decides what is looked up, and nothing else: a row does not know it.
#[test]
fn a_start_changes_no_digest() {
    let text = "cio0123456789abcdef".repeat(3);
    let digest = ImportFormat::sha256().digest_of(text.as_bytes());
    assert!(digest.is_some());
    assert_eq!(ImportFormat::sha256().with_start("cio").digest_of(text.as_bytes()), digest);
}

proptest! {
    /// Nothing panics, and what has not the bytes of a token is refused.
    #[test]
    fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..600), start in "\\PC{0,3}") {
        for name in NAMES {
            let format = System::new(name).format;
            let taken = format.digest_of(&text).is_some();
            let visible = text.iter().all(|byte| (0x21..=0x7e).contains(byte));
            prop_assert!(!taken || visible && (1..=512).contains(&text.len()));
            let with_start = format.with_start(start.clone()).digest_of(&text).is_some();
            prop_assert!(taken || !with_start || name == "knox");
        }
    }

    /// Texts that come close to a token's.
    #[test]
    fn any_pieces(text in "[0-9a-f]{0,3}(1|12|acme_|x)?[|._]?([0-9a-f]{32}){0,17}[0-9A-Za-z_|. é]{0,2}") {
        for name in NAMES {
            let digest = System::new(name).format.digest_of(text.as_bytes());
            let plain = match name {
                "sha256" => !text.is_empty() && text.len() <= 512
                    && text.chars().all(|c| c.is_ascii_graphic()),
                "knox" | "knox_4" => {
                    text.len() % 2 == 0 && (32..=256).contains(&text.len())
                        && text.chars().all(|c| "0123456789abcdef".contains(c))
                }
                _ => continue,
            };
            prop_assert_eq!(digest.is_some(), plain, "{} as {}", text, name);
        }
    }

    /// The column and the text agree for any token, with digits of either case.
    #[test]
    fn any_token_and_its_row(text in "[!-~]{1,512}") {
        let mut hex = String::new();
        for byte in Sha256::digest(&text) {
            write!(hex, "{byte:02x}").unwrap();
        }
        let digest = ImportFormat::sha256().digest_of(text.as_bytes()).unwrap();
        prop_assert_eq!(ImportedDigest::sha256_hex(&hex).unwrap(), digest);
        prop_assert_eq!(ImportedDigest::sha256_hex(&hex.to_uppercase()).unwrap(), digest);
        prop_assert_eq!(ImportedDigest::sha256(&Sha256::digest(&text).into()), digest);
    }
}

// The form of rows.

#[test]
fn rows_of_another_form_are_refused() {
    let (hex, hex_512) = ("0f".repeat(32), "0f".repeat(64));
    let refused = |result: Result<ImportedDigest, ImportError>, error: ImportError| {
        assert_eq!(result, Err(error));
    };
    for bad in
        ["", &hex[1..], &format!("{hex}0"), &hex_512, &hex.replace('f', "g"), &"é".repeat(32)]
    {
        refused(ImportedDigest::sha256_hex(bad), ImportError::NotSha256);
        refused(ImportedDigest::sanctum("1", bad), ImportError::NotSha256);
    }
    for bad in ["", &hex, &hex_512[1..], &hex_512.replace('f', " "), &"é".repeat(64)] {
        refused(ImportedDigest::knox(bad), ImportError::NotSha512);
        refused(ImportedDigest::knox_4(bad), ImportError::NotSha512);
        let column = format!("sha512$${bad}");
        refused(ImportedDigest::rest_framework_api_key("a", &column), ImportError::NotSha512);
        refused(ImportedDigest::rest_framework_api_key("a", bad), ImportError::NotSha512);
    }
    let column = format!("sha512$${hex_512}");
    for bad in ["", "a.b", "a_", "é", &"a".repeat(33)] {
        refused(ImportedDigest::rest_framework_api_key(bad, &column), ImportError::KeyPrefix);
    }
    for hashed in ["pbkdf2_sha256$1$a$b", "argon2$argon2id$v=19$m=1", "sha512$salt$0f"] {
        refused(ImportedDigest::rest_framework_api_key("a", hashed), ImportError::PasswordHash);
    }
    for bad in ["", "1|", "1_", " 1", "é", &"1".repeat(37)] {
        refused(ImportedDigest::sanctum(bad, &hex), ImportError::RowId);
    }
    let base64 = "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg";
    assert!(ImportedDigest::better_auth(base64).is_ok());
    for bad in [
        "",
        &base64[1..],
        &format!("{base64}="),
        &base64.replace('-', "+"),
        &base64.replace("Cgg", "Cgh"),
        &"A".repeat(64),
    ] {
        refused(ImportedDigest::better_auth(bad), ImportError::NotBase64);
    }
}

#[test]
fn errors_say_what_was_expected() {
    for (error, message) in [
        (ImportError::NotSha256, "the digest must be 64 hexadecimal digits, a SHA-256"),
        (ImportError::NotSha512, "the digest must be 128 hexadecimal digits, a SHA-512"),
        (ImportError::NotBase64, "the digest must be 43 characters of base64url, a SHA-256"),
        (ImportError::RowId, "the row's id must be 1 to 36 letters, digits and hyphens"),
        (ImportError::KeyPrefix, "the key's prefix must be 1 to 32 letters and digits"),
        (
            ImportError::PasswordHash,
            "the key was hashed as a password and cannot be imported; \
             djangorestframework-api-key 3 replaces the hash when the key is used",
        ),
    ] {
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn debug_shows_the_id_alone() {
    let (_, imported) = sample();
    assert_eq!(
        format!("{imported:?}"),
        r#"ImportedDigest { id: TokenId("yIK41ya2AZHqGuK3"), .. }"#
    );
}

// Comparing.

/// Text and digest of a token of Sanctum's.
fn sample() -> (&'static [u8], ImportedDigest) {
    let (_, text, _) = GOLDEN[1];
    (text.as_bytes(), ImportFormat::sanctum().digest_of(text.as_bytes()).unwrap())
}

#[track_caller]
fn assert_verifies(keyring: &Keyring, stored: &TokenDigest, right: DigestMatch) {
    let (text, imported) = sample();
    let digester = digester(keyring);
    assert_eq!(digester.verify_imported(text, &imported, stored), right);

    // Another token never matches, though it may say that the key is unknown.
    let other = [text, b"0"].concat();
    let other_digest = ImportFormat::sanctum().digest_of(&other).unwrap();
    let wrong = match right {
        DigestMatch::UnknownKey => DigestMatch::UnknownKey,
        _ => DigestMatch::Mismatch,
    };
    assert_eq!(digester.verify_imported(&other, &other_digest, stored), wrong);
    // Nor does it under the id of the right one, or by its own text with the right one's digest.
    if !stored.is_imported() {
        assert_eq!(digester.verify_imported(&other, &imported, stored), wrong);
        assert_eq!(digester.verify_imported(text, &other_digest, stored), wrong);
    }
}

#[test]
fn as_imported_it_is_to_be_replaced() {
    let (_, imported) = sample();
    for keyring in [
        Keyring::new(master_key(0)),
        Keyring::new(master_key(0)).with_upcoming(master_key(1)).with_earlier(master_key(2)),
        Keyring::unkeyed(),
    ] {
        assert_verifies(&keyring, &imported.digest(), DigestMatch::Earlier);
    }
}

#[test]
fn once_used_it_follows_the_keyring() {
    let (text, imported) = sample();
    let stored = |keyring: Keyring| digester(&keyring).digest_imported(&imported.id(), text);
    let keyring = Keyring::new(master_key(0))
        .with_upcoming(master_key(1))
        .with_earlier(master_key(2))
        .with_earlier_unkeyed();
    for (under, found) in [
        (Keyring::new(master_key(0)), DigestMatch::Current),
        (Keyring::new(master_key(1)), DigestMatch::Current),
        (Keyring::new(master_key(2)), DigestMatch::Earlier),
        (Keyring::unkeyed(), DigestMatch::Earlier),
        (Keyring::new(master_key(3)), DigestMatch::UnknownKey),
    ] {
        assert_verifies(&keyring, &stored(under), found);
    }
    let unkeyed = stored(Keyring::unkeyed());
    assert!(!unkeyed.is_imported());
    assert_verifies(&Keyring::unkeyed(), &unkeyed, DigestMatch::Current);
    assert_verifies(&Keyring::new(master_key(0)), &unkeyed, DigestMatch::UnknownKey);
}

/// Every single bit counts.
#[test]
fn a_changed_bit_does_not_match() {
    let (text, imported) = sample();
    let digester = digester(&Keyring::unkeyed());
    let [_, imported_text, _, unkeyed_text] = GOLDEN[1].2;
    for stored in [imported_text, unkeyed_text] {
        let (algorithm, bytes) = stored.split_once(':').unwrap();
        for at in 0..bytes.len() {
            for other in ["A", "E"].into_iter().filter(|other| *other != &bytes[at..=at]) {
                let changed = format!("{algorithm}:{}{other}{}", &bytes[..at], &bytes[at + 1..]);
                let changed: TokenDigest = changed.parse().unwrap();
                let found = digester.verify_imported(text, &imported, &changed);
                assert_eq!(found, DigestMatch::Mismatch);
            }
        }
    }
}

/// A token of ours never matches what was imported, nor an imported one what we issued.
#[test]
fn imported_tokens_and_ours_are_kept_apart() {
    let ours = b"acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";
    let parsed = ParsedToken::parse(&prefix!("acme_live"), ours).unwrap();
    let imported = ImportFormat::sha256().digest_of(ours).unwrap();
    for keyring in [
        Keyring::new(master_key(0)),
        Keyring::unkeyed(),
        Keyring::new(master_key(0)).with_earlier_unkeyed(),
    ] {
        let digester = digester(&keyring);
        assert_eq!(digester.verify(&parsed, &imported.digest()), DigestMatch::Mismatch);
        let once_used = digester.digest_imported(&imported.id(), ours);
        assert_eq!(digester.verify(&parsed, &once_used), DigestMatch::Mismatch);
        // Nor with the id of ours and nothing but the secret.
        let planted = digester.digest_imported(&parsed.id(), &ours[27..66]);
        assert_eq!(digester.verify(&parsed, &planted), DigestMatch::Mismatch);

        let stored = digester.digest(&parsed);
        assert_eq!(digester.verify_imported(ours, &imported, &stored), DigestMatch::Mismatch);
    }
}
