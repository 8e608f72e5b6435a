//! Files as they are in repositories, with tokens in them, and the same files with texts that are
//! nearly tokens.

use std::{collections::BTreeSet, fs, path::Path};

use api_tokens::{ParsedToken, Prefix, Token, prefix};
use rand::{SeedableRng, rngs::ChaCha12Rng};
use tempfile::TempDir;

/// The second is the beginning of the first.
pub(crate) const PREFIXES: [Prefix; 2] = [prefix!("acme_live"), prefix!("acme")];

/// Path and text of what somebody could find.
pub(crate) type Finds = BTreeSet<(String, String)>;

/// A directory with files, and what is in them.
pub(crate) struct Corpus {
    directory: TempDir,
    /// In `planted`.
    pub(crate) tokens: Finds,
    /// In `corrupted`.
    pub(crate) corrupted: Finds,
}

impl Corpus {
    /// The same in every run.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut corpus = Self { directory, tokens: Finds::new(), corrupted: Finds::new() };
        let mut rng = ChaCha12Rng::seed_from_u64(7);
        for round in 0..2 {
            for (name, file) in FILES {
                let tokens: Vec<(Prefix, String)> = (0..file.matches("TOKEN").count())
                    .map(|number| {
                        let prefix = PREFIXES[(round + number / 2) % 2];
                        let token = Token::generate(&prefix, &mut rng).expect("random numbers");
                        (prefix, token.expose_secret().to_owned())
                    })
                    .collect();
                let texts: Vec<_> = tokens.iter().map(|(_, text)| text.clone()).collect();
                corpus.write(&format!("planted/{round}/{name}"), file, &texts);
                for (kind, corrupt) in CORRUPTIONS {
                    let texts: Vec<_> = tokens.iter().map(corrupt).collect();
                    corpus.write(&format!("corrupted/{kind}/{round}/{name}"), file, &texts);
                }
            }
        }
        assert!(corpus.tokens.len() >= 100, "{}", corpus.tokens.len());
        assert!(corpus.padded() >= 10, "{}", corpus.padded());
        assert!(corpus.tokens.iter().all(|(_, text)| is_token(text)));
        assert!(!corpus.corrupted.iter().any(|(_, text)| is_token(text)));
        corpus
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// How many tokens have a zero in front of their checksum.
    pub(crate) fn padded(&self) -> usize {
        let checksums = self.tokens.iter().map(|(_, text)| &text[text.len() - 6..]);
        checksums.filter(|checksum| checksum.starts_with('0')).count()
    }

    fn write(&mut self, path: &str, file: &str, texts: &[String]) {
        let finds =
            if path.starts_with("planted") { &mut self.tokens } else { &mut self.corrupted };
        finds.extend(texts.iter().map(|text| (path.to_owned(), text.clone())));
        let mut places = file.split("TOKEN");
        let mut contents = places.next().unwrap_or_default().to_owned();
        for (text, after) in texts.iter().zip(places) {
            contents += text;
            contents += after;
        }
        self.add(path, &contents);
    }

    /// A file without tokens.
    pub(crate) fn add(&self, path: &str, contents: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, contents).expect("a file");
    }
}

fn is_token(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| ParsedToken::parse(prefix, text.as_bytes()).is_ok())
}

type Corrupt = fn(&(Prefix, String)) -> String;

const CORRUPTIONS: [(&str, Corrupt); 6] = [
    ("id", |(prefix, text)| changed(text, prefix.as_str().len() + 5)),
    ("secret", |(prefix, text)| changed(text, prefix.as_str().len() + 30)),
    ("checksum", |(_, text)| changed(text, text.len() - 1)),
    ("swapped", |(prefix, text)| {
        let other = PREFIXES.iter().find(|other| *other != prefix).expect("two prefixes");
        format!("{other}{}", &text[prefix.as_str().len()..])
    }),
    ("truncated", |(_, text)| text[..text.len() - 1].to_owned()),
    ("longer", |(prefix, text)| {
        let (before, after) = text.split_at(prefix.as_str().len() + 10);
        format!("{before}0{after}")
    }),
];

/// Another character of the alphabet in one place.
fn changed(text: &str, at: usize) -> String {
    let other = if text[at..].starts_with('a') { "b" } else { "a" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

/// A file's name, and its text with `TOKEN` where one stands.
const FILES: [(&str, &str); 37] = [
    ("main.rs", "fn main() {\n    let client = Client::new(\"TOKEN\");\n}\n"),
    ("app.py", "KEY = 'TOKEN'\nheaders = {'Authorization': f'Bearer TOKEN'}\n"),
    ("index.ts", "await fetch(url, { headers: { Authorization: `Bearer TOKEN` } });\n"),
    ("Main.java", "class Main {\n  private static final String KEY = \"TOKEN\";\n}\n"),
    ("main.go", "package main\n\nconst key = \"TOKEN\"\n\nvar other = []byte(`TOKEN`)\n"),
    ("client.rb", "client = Acme::Client.new(token: 'TOKEN')\n"),
    ("Program.cs", "var client = new AcmeClient(\"TOKEN\");\n"),
    ("index.php", "<?php\n$token = 'TOKEN';\ndefine('ACME_KEY', \"TOKEN\");\n"),
    ("main.c", "#define KEY \"TOKEN\"\nstatic const char *key = \"x\" \"TOKEN\";\n"),
    ("App.swift", "let token = \"TOKEN\" // user_id: TOKEN\n"),
    ("deploy.sh", "export ACME_KEY=TOKEN\ncurl -H \"Authorization: Bearer TOKEN\" $URL\n"),
    ("deploy.ps1", "$env:ACME_KEY = 'TOKEN'\n"),
    ("Makefile", "run:\n\tACME_KEY=TOKEN ./run\n"),
    ("Dockerfile", "FROM scratch\nENV ACME_KEY TOKEN\n"),
    ("config.json", "{\n  \"acme\": { \"token\": \"TOKEN\", \"user_id\": \"TOKEN\" }\n}\n"),
    ("message.json", "{\"text\": \"Your token:\\nTOKEN\\nKeep it.\\tTOKEN\"}\n"),
    ("values.yaml", "acme:\n  token: TOKEN\n  other: 'TOKEN'\n  text: |\n    a\n    TOKEN\n"),
    ("list.yaml", "token: TOKEN\nlist:\n  - TOKEN\n  - a: TOKEN\nflow: ['TOKEN']\n"),
    ("config.toml", "[acme]\ntoken = \"TOKEN\"\n"),
    ("config.ini", "[acme]\ntoken=TOKEN\n"),
    ("settings.xml", "<settings><token>TOKEN</token><a b=\"TOKEN\"/></settings>\n"),
    ("main.tf", "provider \"acme\" {\n  token = \"TOKEN\"\n}\n"),
    (".env", "ACME_KEY=TOKEN\nexport OTHER='TOKEN'\n"),
    ("change.diff", "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-token: TOKEN\n+token: TOKEN\n"),
    ("bundle.js", "!function(e){var t=\"TOKEN\";e.a=t,e.b='TOKEN'}(this);x={y:\"TOKEN\"};\n"),
    ("links.txt", "https://acme.example/?state=token%3DTOKEN&b=c\nhttps://TOKEN@git.example\n"),
    ("README.md", "# Use\n\n    acme login TOKEN\n\nOr put `TOKEN` in [the file](TOKEN).\n"),
    ("dump.sql", "INSERT INTO t VALUES (1, 'TOKEN'), (2, 'TOKEN');\n"),
    ("page.html", "<a href=\"/?token=TOKEN\" data-token=TOKEN>TOKEN</a>\n"),
    ("table.csv", "id;token\n1;TOKEN\n2;TOKEN\n"),
    ("notebook.ipynb", "{\"cells\": [{\"source\": [\"t = \\\"TOKEN\\\"\\n\"]}]}\n"),
    ("server.log", "GET /?t=TOKEN 200\nTOKEN TOKEN,TOKEN|TOKEN\n"),
    ("glued.txt", "xTOKEN0TOKEN_TOKENTOKEN\n"),
    ("windows.txt", "a\r\ntoken TOKEN\r\nTOKEN\r\n"),
    ("start.txt", "TOKEN is the first word\n"),
    ("end.txt", "the last word is TOKEN"),
    ("alone.txt", "TOKEN"),
];
