//! Master keys: where they come from, which are refused with which message, and that no message
//! tells anything of the key.

use std::{error::Error, ffi::OsStr, fmt::Write, fs, process::Command};

use api_tokens::{KeyError, MasterKey};
use secrecy::ExposeSecret;

/// The bytes 0 to 31 and 224 to 255, whose base64 has each character that the alphabets differ in.
const STANDARD: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh/g4eLj5OXm5+jp6uvs7e7v8PHy8/T19vf4+fr7/P3+/w==";
const URL_SAFE: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh_g4eLj5OXm5-jp6uvs7e7v8PHy8_T19vf4-fr7_P3-_w==";

const EXPECTED: &str = "expected at least 32 random bytes, which `openssl rand -base64 32` makes";

fn key_bytes() -> Vec<u8> {
    (0..32).chain(224..=255).collect()
}

#[track_caller]
fn assert_is_the_key(key: Result<MasterKey, KeyError>) {
    let key = key.unwrap();
    assert_eq!(key.expose_base64().expose_secret(), STANDARD);
    assert_eq!(key.id(), MasterKey::from_bytes(&key_bytes()).unwrap().id());
}

/// Checks the message, and that nothing the error can print holds five characters in a row of
/// what was found.
#[track_caller]
fn assert_refused(key: Result<MasterKey, KeyError>, message: &str, found: &str) {
    let error = key.unwrap_err();
    assert_eq!(error.to_string(), message);

    let mut printed = format!("{error}\n{error:?}\n{error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        write!(printed, "\n{error}\n{error:?}").unwrap();
        source = error.source();
    }
    for piece in found.as_bytes().windows(5) {
        let piece = String::from_utf8_lossy(piece);
        assert!(!printed.contains(&*piece), "{piece:?} of the key in {printed}");
    }
}

// From bytes.

#[test]
fn bytes_make_a_key() {
    assert_is_the_key(MasterKey::from_bytes(&key_bytes()));
}

#[test]
fn bytes_from_32_on_make_a_key() {
    for len in [MasterKey::MIN_LEN, 33, 64, 65, 200, 4096] {
        let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
        assert!(MasterKey::from_bytes(&bytes).is_ok(), "{len}");
    }
}

#[test]
fn no_bytes_are_refused() {
    assert_refused(MasterKey::from_bytes(&[]), &format!("the key is empty: {EXPECTED}"), "");
}

#[test]
fn too_few_bytes_are_refused() {
    for len in 1..MasterKey::MIN_LEN {
        let message = format!("the key has {len} bytes: {EXPECTED}");
        assert_refused(MasterKey::from_bytes(&key_bytes()[..len]), &message, "");
    }
}

const NOT_RANDOM: &str =
    "the key is not random: it repeats a few bytes; `openssl rand -base64 32` makes a good one";

#[test]
fn bytes_that_are_not_random_are_refused() {
    for text in ["0".repeat(32), "changeme".repeat(4), "x".repeat(1000), "012345678".repeat(4)] {
        assert_refused(MasterKey::from_bytes(text.as_bytes()), NOT_RANDOM, &text);
    }
    assert_refused(MasterKey::from_bytes(&[0; 32]), NOT_RANDOM, "");
}

#[test]
fn bytes_with_ten_different_ones_pass() {
    // As hexadecimal text may be, which people take for random bytes: it has 16 at most.
    assert!(MasterKey::from_bytes("0123456789".repeat(4).as_bytes()).is_ok());
}

// From base64.

#[test]
fn base64_in_either_alphabet_makes_a_key() {
    assert_is_the_key(MasterKey::from_base64(STANDARD));
    assert_is_the_key(MasterKey::from_base64(URL_SAFE));
}

#[test]
fn base64_needs_no_padding() {
    assert_is_the_key(MasterKey::from_base64(STANDARD.trim_end_matches('=')));
    assert_is_the_key(MasterKey::from_base64(URL_SAFE.trim_end_matches('=')));
}

#[test]
fn base64_may_have_white_space_around_it() {
    for around in [" ", "\n", "\r\n", "\t \n"] {
        assert_is_the_key(MasterKey::from_base64(&format!("{around}{STANDARD}{around}")));
    }
}

const NOT_BASE64: &str = "is not base64 text, such as `openssl rand -base64 32` prints";

#[test]
fn other_text_is_refused() {
    let mixed = STANDARD.replacen('/', "_", 1);
    let inner_space = STANDARD.replacen('A', " ", 1) + "A";
    let two_lines = format!("{STANDARD}\n{STANDARD}");
    let quoted = format!("\"{STANDARD}\"");
    let hidden = format!("\u{feff}{STANDARD}");
    let trailing_bits = STANDARD.replace("w==", "x==");
    for text in [
        "correct horse battery staple",
        "pässwörd pässwörd pässwörd pässwörd",
        "${MASTER_KEY}",
        "=====",
        &mixed,
        &inner_space,
        &two_lines,
        &quoted,
        &hidden,
        &trailing_bits,
    ] {
        assert_refused(MasterKey::from_base64(text), &format!("the key {NOT_BASE64}"), text);
    }
}

#[test]
fn empty_text_is_refused() {
    for text in ["", " ", "\n", "\t\r\n"] {
        let message = format!("the key is empty: {EXPECTED}");
        assert_refused(MasterKey::from_base64(text), &message, text);
    }
}

#[test]
fn base64_of_too_few_bytes_is_refused() {
    let text = &STANDARD[..40];
    let message = format!("the key has 30 bytes: {EXPECTED}");
    assert_refused(MasterKey::from_base64(text), &message, text);
}

#[test]
fn base64_of_bytes_that_are_not_random_is_refused() {
    let text = "QUJD".repeat(11);
    assert_refused(MasterKey::from_base64(&text), NOT_RANDOM, &text);
}

// From the environment. Setting a variable of this process would race with other tests, so each
// case asks a process of its own.

const VARIABLE: &str = "API_TOKENS_TEST_KEY";

#[test]
#[ignore = "what the tests below run in a process of its own"]
fn child_reads_the_variable() {
    match MasterKey::from_env(VARIABLE) {
        Ok(key) => println!("<<key {}>>", key.expose_base64().expose_secret()),
        Err(error) => println!("<<{error}|{error:?}>>"),
    }
}

/// What the child says with the variable set to `value`: message and debug form.
#[track_caller]
fn read_in_child(value: Option<&OsStr>) -> (String, String) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child_reads_the_variable", "--ignored", "--nocapture"]);
    match value {
        Some(value) => child.env(VARIABLE, value),
        None => child.env_remove(VARIABLE),
    };
    let output = child.output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let (_, said) = output.split_once("<<").unwrap_or_else(|| panic!("{output}"));
    let (said, _) = said.split_once(">>").unwrap();
    let (message, debug) = said.split_once('|').unwrap_or((said, ""));
    (message.to_owned(), debug.to_owned())
}

#[track_caller]
fn assert_variable_refused(value: &str, problem: &str) {
    let (message, debug) = read_in_child(Some(OsStr::new(value)));
    assert_eq!(message, format!("environment variable {VARIABLE} {problem}"));
    for piece in value.as_bytes().windows(5) {
        let piece = String::from_utf8_lossy(piece);
        assert!(!debug.contains(&*piece), "{piece:?} of the key in {debug}");
    }
}

#[test]
fn a_variable_makes_a_key() {
    for text in [STANDARD, URL_SAFE, &format!(" {STANDARD}\n")] {
        assert_eq!(read_in_child(Some(OsStr::new(text))).0, format!("key {STANDARD}"));
    }
}

#[test]
fn a_variable_that_is_not_set_is_refused() {
    let (message, _) = read_in_child(None);
    assert_eq!(
        message,
        format!(
            "environment variable {VARIABLE} is not set: expected a key as \
             `openssl rand -base64 32` prints"
        )
    );
}

#[test]
fn a_variable_without_a_key_is_refused() {
    assert_variable_refused("", &format!("is empty: {EXPECTED}"));
    assert_variable_refused("  ", &format!("is empty: {EXPECTED}"));
    assert_variable_refused(&STANDARD[..40], &format!("has 30 bytes: {EXPECTED}"));
    assert_variable_refused("${MASTER_KEY}", NOT_BASE64);
    let weak = "QUJD".repeat(11);
    assert_variable_refused(&weak, NOT_RANDOM.strip_prefix("the key ").unwrap());
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_unicode_is_refused() {
    use std::os::unix::ffi::OsStrExt;

    let value = [STANDARD.as_bytes(), b"\xff"].concat();
    let (message, debug) = read_in_child(Some(OsStr::from_bytes(&value)));
    assert_eq!(message, format!("environment variable {VARIABLE} {NOT_BASE64}"));
    // The standard library's error for this holds the value.
    assert!(!debug.contains(&STANDARD[..5]), "{debug}");
}

// From a file.

/// A file with this content, which is there as long as the directory is kept.
fn file(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    fs::write(&path, content).unwrap();
    (directory, path)
}

#[track_caller]
fn assert_file_refused(content: &[u8], problem: &str) {
    let (_directory, path) = file(content);
    let message = format!("key file {} {problem}", path.display());
    assert_refused(MasterKey::from_file(&path), &message, &String::from_utf8_lossy(content));
}

#[test]
fn a_file_makes_a_key() {
    for text in [STANDARD, URL_SAFE, &format!("\n{STANDARD}\r\n")] {
        let (_directory, path) = file(text.as_bytes());
        assert_is_the_key(MasterKey::from_file(&path));
    }
}

#[test]
fn a_file_without_a_key_is_refused() {
    assert_file_refused(b"", &format!("is empty: {EXPECTED}"));
    assert_file_refused(b"\n", &format!("is empty: {EXPECTED}"));
    assert_file_refused(&STANDARD.as_bytes()[..40], &format!("has 30 bytes: {EXPECTED}"));
    assert_file_refused(b"correct horse battery staple", NOT_BASE64);
    let weak = "QUJD".repeat(11);
    assert_file_refused(weak.as_bytes(), NOT_RANDOM.strip_prefix("the key ").unwrap());
}

/// As `openssl rand 32 >master.key` makes it.
#[test]
fn a_file_of_raw_bytes_is_refused() {
    assert_file_refused(&[0xff; 32], NOT_BASE64);
}

#[test]
fn a_file_that_is_missing_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing");
    let problem = fs::File::open(&path).unwrap_err();
    let message = format!("key file {} cannot be read: {problem}", path.display());
    assert_refused(MasterKey::from_file(&path), &message, "");
}

#[test]
fn a_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let refused = MasterKey::from_file(directory.path()).unwrap_err().to_string();
    assert!(refused.starts_with(&format!("key file {} ", directory.path().display())), "{refused}");
    assert!(refused.contains(" cannot be read: "), "{refused}");
}

/// Base64 of random-looking bytes; every length that is a multiple of 4 is a whole text, so only
/// the limit can refuse it.
fn long_key(len: usize) -> String {
    STANDARD[..84].chars().cycle().take(len).collect()
}

#[test]
fn a_file_of_the_greatest_length_makes_the_whole_key() {
    let text = long_key(4096);
    let (_directory, path) = file(text.as_bytes());
    let key = MasterKey::from_file(&path).unwrap();
    assert_eq!(key.expose_base64().expose_secret(), text);
}

/// Cutting it off would make another key than the same text makes elsewhere.
#[test]
fn a_longer_file_is_refused() {
    for len in [4097, 4100, 10_000] {
        assert_file_refused(
            long_key(len).as_bytes(),
            "has more than 4096 bytes: expected a key as `openssl rand -base64 32` prints",
        );
    }
}

// What the type tells.

#[test]
fn debug_shows_the_id_alone() {
    let key = MasterKey::from_bytes(&key_bytes()).unwrap();
    let id = key.id();
    assert_eq!(id.as_str().len(), 12);
    assert_eq!(format!("{key:?}"), format!("MasterKey({id})"));
    assert_eq!(format!("{key:#?}"), format!("MasterKey({id})"));
    assert_eq!(format!("{:?}", key.expose_base64()), "SecretBox<str>([REDACTED])");
}

#[test]
fn ids_of_different_keys_differ() {
    let key = |first: u8| MasterKey::from_bytes(&(first..first + 32).collect::<Vec<_>>()).unwrap();
    assert_eq!(key(1).id(), key(1).id());
    assert_ne!(key(1).id(), key(2).id());
}

#[test]
fn generated_keys_are_what_the_generator_gave() {
    use rand::{Rng, SeedableRng, rngs::ChaCha20Rng};

    let key = MasterKey::generate(&mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    let mut bytes = [0; 32];
    ChaCha20Rng::seed_from_u64(1).fill_bytes(&mut bytes);
    let expected = MasterKey::from_bytes(&bytes).unwrap();
    assert_eq!(key.expose_base64().expose_secret(), expected.expose_base64().expose_secret());
}
