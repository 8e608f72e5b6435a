//! Programs that others wrote, installed from their registries, and kept for the next time.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// The directory of a virtual environment of its own.
pub(crate) fn virtual_environment(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    installed(name, "python3", packages, |directory| {
        let python = directory.join("bin/python3");
        succeed(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
        // What is run is compiled then, which is a small part.
        let options = ["-m", "pip", "install", "--quiet", "--no-compile"];
        succeed(Command::new(python).args(options).args(packages))
    })
}

/// The directory where the packages are in `node_modules`.
pub(crate) fn node_packages(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    installed(name, "node", packages, |directory| {
        fs::create_dir_all(directory).map_err(|error| error.to_string())?;
        fs::write(directory.join("package.json"), "{}").map_err(|error| error.to_string())?;
        let options = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"];
        succeed(Command::new("npm").current_dir(directory).args(options).args(packages))
    })
}

/// A directory that `install` filled with these packages for this version of a program, now or
/// earlier.
fn installed(
    name: &str,
    program: &str,
    packages: &[&str],
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
    fs::create_dir_all(&place).map_err(|error| error.to_string())?;
    let directory = place.join(name);
    // Two tests may need the same one. Given back when it is closed.
    let one_at_a_time = File::create(place.join(format!("{name}.lock")));
    let one_at_a_time = one_at_a_time.map_err(|error| error.to_string())?;
    one_at_a_time.lock().map_err(|error| error.to_string())?;
    let version = output(Command::new(program).arg("--version"))?;
    let list = format!("{}{}", String::from_utf8_lossy(&version), packages.join("\n"));
    // Written last, so that an installation that was cut short is made again.
    let finished = directory.join("finished");
    if fs::read_to_string(&finished).is_ok_and(|finished| finished == list) {
        return Ok(directory);
    }
    let _absent = fs::remove_dir_all(&directory);
    install(&directory)?;
    fs::write(&finished, list).map_err(|error| error.to_string())?;
    Ok(directory)
}

pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    output(command).map(drop)
}

/// What a program that succeeded printed.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(format!(
            "{}: {}{}",
            command.get_program().display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
        Err(error) => Err(format!("{}: {error}", command.get_program().display())),
    }
}
