//! The alphabet `0-9A-Za-z`: drawing characters of it at random, and writing a CRC-32 in it.

use rand::TryCryptoRng;
use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Length of a checksum in characters: 62^6 > 2^32.
pub(crate) const CHECKSUM_LEN: usize = 6;

/// Whether all bytes are characters of the alphabet.
///
/// Reads every byte without a branch: in a random text, each would be guessed wrong every other
/// time, and that is what takes long.
pub(crate) fn is_base62(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
}

/// Fills `text` with characters of the alphabet, each equally likely.
///
/// Six bits make a number below 64; 62 and 63 are drawn again, since folding them back would
/// favour two characters.
pub(crate) fn fill_random<R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    text: &mut [u8],
) -> Result<(), R::Error> {
    // 64 bytes yield 62 characters on average: one draw serves a whole secret.
    let mut random = Zeroizing::new([0; 64]);
    let mut unfilled = text.iter_mut();
    loop {
        rng.try_fill_bytes(random.as_mut_slice())?;
        for byte in random.iter() {
            if let Some(&character) = ALPHABET.get(usize::from(byte >> 2)) {
                match unfilled.next() {
                    Some(place) => *place = character,
                    None => return Ok(()),
                }
            }
        }
    }
}

/// Characters from the bytes of a hash, a byte each: at most 32.
///
/// Not uniform, unlike [`fill_random`]: 62 does not divide 256, so the first eight characters
/// come five times where the others come four. For handles, which need only differ.
pub(crate) fn from_hash<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    let mut text = [b'0'; N];
    for (place, byte) in text.iter_mut().zip(hash) {
        // A remainder by 62 is always an index of the alphabet.
        if let Some(&character) = ALPHABET.get(usize::from(byte % 62)) {
            *place = character;
        }
    }
    text
}

/// The CRC-32/ISO-HDLC of `bytes` as base62 digits, most significant first, padded with `0`.
///
/// The code of GitHub's and npm's tokens, so that existing scanners can check ours offline.
pub(crate) fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    digits(crc32fast::hash(bytes))
}

fn digits(mut number: u32) -> [u8; CHECKSUM_LEN] {
    let mut text = [b'0'; CHECKSUM_LEN];
    for digit in text.iter_mut().rev() {
        // A remainder by 62 is always an index of the alphabet.
        if let Some(&character) = ALPHABET.get((number % 62) as usize) {
            *digit = character;
        }
        number /= 62;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::ChaCha20Rng};

    #[test]
    fn checksum_primitive() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(&checksum(b"123456789"), b"3jZRME");
        assert_eq!(&digits(0), b"000000");
        assert_eq!(&digits(61), b"00000z");
        assert_eq!(&digits(62), b"000010");
        assert_eq!(&digits(u32::MAX), b"4gfFC3");
    }

    /// Revoked or dummy tokens of other issuers, put together at run time so that no scanner
    /// takes this file for a leak. Their checksum covers the random part alone.
    #[test]
    fn agrees_with_github_and_npm() {
        for (prefix, random, digits) in [
            ("ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17"),
            ("ghp_", "adE7dp8rHP6gUTuPwxLTZjZdtya3sV", "0UQzQM"),
            ("ghp_", "M7H4jxUDDWHP4kZ6A4dxlQYsQIWJuq", "11T4V4"),
            // A dummy, with one character more than npm's real ones.
            ("npm_", "0000000000000000000000000000000", "4WZ4EQ"),
        ] {
            assert_eq!(&checksum(random.as_bytes()), digits.as_bytes(), "{prefix}");
        }
    }

    #[test]
    fn hash_bytes_become_characters() {
        let mut hash = [0; 32];
        for (byte, number) in hash.iter_mut().zip([0, 9, 10, 35, 36, 61, 62, 123, 124, 248, 255]) {
            *byte = number;
        }
        assert_eq!(&from_hash::<12>(&hash), b"09AZaz0z0070");
    }

    #[test]
    fn random_characters_are_uniform() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut text = vec![0; 620_000];
        fill_random(&mut rng, &mut text).unwrap();
        let mut counts = [0_u32; 256];
        for &byte in &text {
            counts[usize::from(byte)] += 1;
        }
        // 10,000 of each expected, with a standard deviation of 99.
        for &character in ALPHABET {
            let count = counts[usize::from(character)];
            assert!((9_500..=10_500).contains(&count), "{count} of {character}");
        }
        assert_eq!(counts.iter().sum::<u32>(), 620_000);
    }
}
