//! What is written for each scanner, as it is kept in `tests/data/rules`.

use std::{fs, path::Path};

use api_tokens::{
    leak::{Rules, Scanner},
    prefix,
};

#[test]
fn every_file_is_as_published() {
    let rules = Rules::new(r#"Acme "API" token"#, prefix!("acme_live"))
        .expect("a name")
        .with_prefix(prefix!("acme"))
        .with_live_check("https://acme.example/settings/api/token")
        .expect("a URL");
    for scanner in Scanner::ALL {
        let file = rules.file(scanner);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rules").join(file.name);
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(file.contents, published, "{}", path.display());
    }
}
