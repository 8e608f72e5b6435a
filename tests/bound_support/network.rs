//! A network of its own, in which packets can be dropped without disturbing anybody.

use std::process::{Command, Stdio};

/// Why there can be no such network on this machine.
pub(crate) fn problem() -> Option<String> {
    let try_it = "ip link set lo up && iptables -w -A INPUT -p tcp --dport 1 -j DROP";
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "sh", "-c", try_it]).stdout(Stdio::null());
    match unshare.output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    }
}

/// This program again, to run one of its tests in such a network.
pub(crate) fn command(test: &str) -> Command {
    let mut command = Command::new("unshare");
    command.arg("--net").arg(std::env::current_exe().expect("this program")).args([
        "--exact",
        test,
        "--ignored",
        "--nocapture",
    ]);
    command
}

/// In the process that was started so.
pub(crate) fn set_up() {
    run("ip", &["link", "set", "lo", "up"]);
}

/// `ends`: `--dport` for what goes to this port, `--sport` for what comes from it.
pub(crate) fn drop_packets(port: u16, ends: &[&str]) {
    for end in ends {
        run("iptables", &["-w", "-A", "INPUT", "-p", "tcp", end, &port.to_string(), "-j", "DROP"]);
    }
}

pub(crate) fn let_packets_pass(port: u16, ends: &[&str]) {
    for end in ends {
        run("iptables", &["-w", "-D", "INPUT", "-p", "tcp", end, &port.to_string(), "-j", "DROP"]);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("run a program");
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}
