use std::{
    fs, io,
    path::{Path, PathBuf},
};

use api_tokens::MasterKey;
use secrecy::ExposeSecret;

use super::{beside, generate};
use crate::{
    failure::Failure,
    keyring::read_key,
    output::{shown_path, tell},
    secret::NewFile,
};

/// Replace the key in a file, in two steps
///
/// All nodes must know the new key before one of them makes digests under it, so there are two
/// deployments. The first call makes FILE.upcoming. When every node has it as its upcoming key,
/// call this again with --finish: the former key moves to FILE.earlier-KEYID, and the new one to
/// FILE. Each call says what to do next. Tokens stay valid throughout.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  api-tokens keys rotate --key-file token.key
  api-tokens keys rotate --key-file token.key --finish")]
pub(super) struct Arguments {
    /// The file with the current key
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// The second step: make the upcoming key the current one
    #[arg(long)]
    finish: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.key_file;
    let current = read_key(path)?;
    let upcoming = beside(path, ".upcoming");
    if arguments.finish { finish(path, &current, &upcoming) } else { begin(path, &upcoming) }
}

fn begin(path: &Path, upcoming: &Path) -> Result<(), Failure> {
    let (file, next) = (shown_path(path), shown_path(upcoming));
    if upcoming.exists() {
        return Err(Failure::new(format!(
            "{next} exists: a rotation has begun. When every node has that key as its upcoming one, \
             call this again with --finish. To begin anew, delete the file"
        )));
    }
    let new = NewFile::create(upcoming)?;
    let key = generate()?;
    new.finish(key.expose_base64().expose_secret())?;
    tell(&format!(
        "The new key, whose id is {}, is in {next}, which only you can read.\n\
         Next: deploy it to every node as an upcoming key (Keyring::with_upcoming), while {file} \
         stays current.\n\
         Then: api-tokens keys rotate --key-file {file} --finish\n",
        key.id(),
    ));
    Ok(())
}

fn finish(path: &Path, current: &MasterKey, upcoming: &Path) -> Result<(), Failure> {
    if !upcoming.exists() {
        return Err(Failure::new(format!(
            "{} does not exist: call this without --finish first, and deploy what it makes",
            shown_path(upcoming)
        )));
    }
    let key = read_key(upcoming)?;
    let earlier = beside(path, &format!(".earlier-{}", current.id()));
    // A second name for the former key, and then the new one in its place: at every moment both
    // are there, and `path` is one of them.
    match fs::hard_link(path, &earlier) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // By an earlier call that came to no end.
            if read_key(&earlier)?.id() != current.id() {
                return Err(Failure::new(format!(
                    "{} holds another key: move it away",
                    shown_path(&earlier)
                )));
            }
        }
        Err(error) => return Err(Failure::of_file("create", &earlier, &error)),
        Ok(()) => {}
    }
    fs::rename(upcoming, path).map_err(|error| Failure::of_file("write", path, &error))?;
    tell(&format!(
        "The key {} is now the current one, in {}.\n\
         The former key {} is in {}.\n\
         Next: deploy both to every node, the former one as an earlier key (Keyring::with_earlier). \
         Digests move to the new key as tokens are used.\n\
         Then: api-tokens keys status --earlier-key-file {} … says when no token needs the former \
         one any more.\n",
        key.id(),
        shown_path(path),
        current.id(),
        shown_path(&earlier),
        shown_path(&earlier),
    ));
    Ok(())
}
