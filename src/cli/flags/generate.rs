//! What is made of the definition of the flags besides the help: completions for shells, and the manual page
//! (`--generate`).

use crate::cli::failure::Failure;
use crate::cli::flags::{Flags, command};
use clap::{Arg, Command, CommandFactory, ValueHint};
use clap_complete::Shell;

/// The page as it is made of the definition and the prose around it; a test keeps it up to date.
const MANUAL: &str = include_str!("../../../man/dsync.1");

/// What can be made.
const KINDS: [&str; 4] = ["complete-bash", "complete-zsh", "complete-fish", "man"];

/// The text of this kind.
///
/// # Errors
/// For an unknown kind, as a usage failure that lists those there are.
pub(in crate::cli) fn generate(kind: &str) -> Result<String, Failure> {
    let shell = match kind {
        "complete-bash" => Shell::Bash,
        "complete-zsh" => Shell::Zsh,
        "complete-fish" => Shell::Fish,
        "man" => return Ok(MANUAL.to_owned()),
        _ => {
            return Err(Failure::usage(format!("--generate: {kind:?} is nothing that can be made"))
                .with_hint(format!("There are {}.", KINDS.join(", "))));
        }
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut completed(), "dsync", &mut script);
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// The flags that are worth being proposed, and what their values are.
fn completed() -> Command {
    let shown = command();
    let flags = shown.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional());
    let with_hint = |arg: &Arg| {
        let is_file = arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "FILE"));
        if is_file { arg.clone().value_hint(ValueHint::FilePath) } else { arg.clone() }
    };
    let operands = Arg::new("operands").num_args(0..).value_hint(ValueHint::AnyPath);
    let about = Flags::command().get_about().cloned().unwrap_or_default();
    Command::new("dsync")
        .about(about)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(flags.map(with_hint))
        .arg(operands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_is_told_of_the_flags_that_help_shows() {
        for (kind, archive, hidden) in [
            ("complete-bash", "--archive", "--no-archive"),
            ("complete-zsh", "'--archive[", "--no-owner"),
            ("complete-fish", "-l archive ", "-l no-owner"),
        ] {
            let script = generate(kind).unwrap();
            assert!(script.contains(archive), "{kind}");
            assert!(!script.contains(hidden) && !script.contains("secluded"), "{kind}");
        }
    }

    #[test]
    fn the_manual_is_a_page() {
        assert!(generate("man").unwrap().contains("\n.SH OPTIONS\n"));
    }

    #[test]
    fn an_unknown_kind_is_told_what_there_is() {
        let failure = generate("complete-csh").unwrap_err();
        assert_eq!(failure.code(), 1);
        assert!(failure.to_string().contains("complete-fish"), "{failure}");
    }
}
