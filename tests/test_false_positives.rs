//! Nothing that is not a token is taken for one: in what is on the machine, none is found.
//!
//! In a debug build, some megabytes. In a release build, everything in the sources of the crates
//! that cargo has fetched, in the toolchain, and in `/usr/lib`:
//! `cargo test --release --test test_false_positives -- --nocapture`.

use std::{
    env, fs,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use api_tokens::{Prefix, leak::Finder, prefix};

/// Short ones and words, so that many places are looked at.
const PREFIXES: [Prefix; 12] = [
    prefix!("a"),
    prefix!("e"),
    prefix!("s"),
    prefix!("t"),
    prefix!("id"),
    prefix!("key"),
    prefix!("test"),
    prefix!("token"),
    prefix!("lib"),
    prefix!("acme"),
    prefix!("npm"),
    prefix!("std"),
];

const LIMIT: u64 = if cfg!(debug_assertions) { 30_000_000 } else { u64::MAX };

struct Scanned {
    finder: Finder,
    buffer: Vec<u8>,
    bytes: u64,
    files: u64,
    found: Vec<String>,
}

impl Scanned {
    fn directory(&mut self, path: &Path) {
        let Ok(entries) = fs::read_dir(path) else { return };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs::DirEntry::path);
        for entry in entries {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.directory(&entry.path()),
                Ok(kind) if kind.is_file() && self.bytes < LIMIT => self.file(&entry.path()),
                _ => {}
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let Ok(mut file) = File::open(path) else { return };
        let mut scan = self.finder.scan();
        self.files += 1;
        while let Ok(len @ 1..) = file.read(&mut self.buffer) {
            self.bytes += len as u64;
            let found = scan.push(&self.buffer[..len]);
            self.found.extend(found.iter().map(|found| format!("{}: {found:?}", path.display())));
        }
    }
}

#[test]
fn nothing_is_found_where_no_token_is() {
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| env::home_dir().map(|home| home.join(".cargo"))).unwrap();
    let sysroot = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args(["--print", "sysroot"])
        .output()
        .unwrap();
    let toolchain = PathBuf::from(String::from_utf8(sysroot.stdout).unwrap().trim());

    let finder = Finder::new(PREFIXES).with_all_encodings();
    let buffer = vec![0; 256 << 10];
    let mut scanned = Scanned { finder, buffer, bytes: 0, files: 0, found: Vec::new() };
    for directory in [cargo.join("registry/src"), toolchain, PathBuf::from("/usr/lib")] {
        scanned.directory(&directory);
    }
    let Scanned { bytes, files, found, .. } = scanned;
    println!("{bytes} bytes in {files} files, {} prefixes: {} found", PREFIXES.len(), found.len());
    assert!(found.is_empty(), "{found:#?}");
    assert!(bytes > LIMIT.min(100_000_000), "only {bytes} bytes");
}
