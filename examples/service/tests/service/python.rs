//! Python with packages from its registry.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A virtual environment of its own, kept for the next time. Each package has its version, and the
/// first one names the environment.
pub(crate) fn python_with(packages: &[&str]) -> Result<PathBuf, String> {
    let (name, _) = packages[0].split_once("==").expect("a version");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{name}"));
    let python = directory.join("bin/python3");
    let has_packages = || {
        let check = "import importlib.metadata as m, sys; \
            assert all(m.version(p.split('==')[0]) == p.split('==')[1] for p in sys.argv[1:])";
        succeed(Command::new(&python).args(["-c", check]).args(packages))
    };
    if has_packages().is_err() {
        let _absent = fs::remove_dir_all(&directory);
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
        succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
        has_packages()?;
    }
    Ok(python)
}

fn succeed(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "{}: {}{}",
            command.get_program().display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
        Err(error) => Err(format!("{}: {error}", command.get_program().display())),
    }
}
