//! `manaflow completions` and `manaflow man`: made from the definitions of the commands.

use crate::exit::{Code, Failure};
use crate::output::write_to;
use clap_complete::Shell;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  manaflow completions bash > ~/.local/share/bash-completion/completions/manaflow
  manaflow completions zsh > ~/.zfunc/_manaflow
  manaflow completions fish > ~/.config/fish/completions/manaflow.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  manaflow man ~/.local/share/man/man1        one page a command; then: man manaflow, man manaflow-validate";

/// Arguments of `completions`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

/// Arguments of `man`.
#[derive(clap::Args, Debug)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// Folder of the pages, which is made if it is not there.
    folder: PathBuf,
}

/// Runs `completions`.
pub fn run(args: &Args, mut command: clap::Command) -> Result<Code, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "manaflow", &mut script);
    write_to(Path::new("-"), &script)?;
    Ok(Code::Success)
}

/// Runs `man`.
pub fn man(args: &ManArgs, command: clap::Command) -> Result<Code, Failure> {
    let failed = |source| Failure::Output { path: args.folder.clone(), source };
    std::fs::create_dir_all(&args.folder).map_err(failed)?;
    clap_mangen::generate_to(command, &args.folder).map_err(failed)?;
    Ok(Code::Success)
}
