//! Tells the program which commit and which compiler it was made from and by; "unknown" outside of a repository.

use std::process::Command;

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success());
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    if text.trim().is_empty() { "unknown".into() } else { text.trim().into() }
}

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    println!("cargo::rustc-env=MANAFLOW_COMMIT={}", said("git", &["rev-parse", "--short=12", "HEAD"]));
    println!("cargo::rustc-env=MANAFLOW_RUSTC={}", said(&rustc, &["--version"]));
    println!("cargo::rustc-env=MANAFLOW_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    // The log is written to whenever HEAD moves.
    for path in ["build.rs", "../.git/HEAD", "../.git/logs/HEAD"] {
        if std::path::Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}
