//! What comes with the program besides the help (`--generate`): completions for shells, made of the definition of the
//! flags, the manual page, and the schema of what `--json` prints.

use crate::cli::failure::Failure;
use crate::cli::flags::{Flags, command};
use crate::cli::look;
use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, CommandFactory, ValueHint};
use clap_complete::Shell;

/// The page as it is made of the definition and the prose around it; a test keeps it up to date.
const MANUAL: &str = include_str!("../../../man/dsync.1");

/// What every line of `--json` is like.
const SCHEMA: &str = include_str!("../../../man/dsync-events.schema.json");

/// What can be made.
const KINDS: [&str; 5] = ["complete-bash", "complete-zsh", "complete-fish", "man", "events-schema"];

/// The flags whose values are words, with those worth being proposed.
const VALUES: [(&str, &[&str]); 5] = [
    ("generate", &KINDS),
    ("stderr", &["errors", "all", "client"]),
    ("outbuf", &["N", "L", "B"]),
    ("ssh", &["builtin", "external", "auto"]),
    ("conflict", &["skip", "keep-both", "newer", "older", "larger", "smaller", "local", "remote", "ask"]),
];

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
        "events-schema" => return Ok(SCHEMA.to_owned()),
        _ => {
            return Err(Failure::usage(format!("--generate: {kind:?} is nothing that can be made"))
                .with_hint(format!("There are {}.", KINDS.join(", "))));
        }
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut completed(), "dsync", &mut script);
    let script = String::from_utf8_lossy(&script);
    let words = look::WORDS.join(" ");
    Ok(match shell {
        Shell::Bash => for_bash(&script, &words),
        Shell::Zsh => script.replace(
            "'*::operands:_files'",
            &format!("'*::operands:{{ (( CURRENT == 1 )) && compadd {words}; _files }}'"),
        ),
        _ => format!("{script}complete -c dsync -n __fish_is_first_token -a \"{words}\"\n"),
    })
}

/// What the generator's script for bash lacks. It proposes options wherever an operand may stand, so that files never
/// are; it does not know that bash makes three words of `--flag=value`; and the words for other commands than a run are
/// none of its flags. Where it proposes nothing, bash itself does so: files.
fn for_bash(script: &str, words: &str) -> String {
    const PREVIOUS: &str = "    prev=\"$3\"\n";
    const AFTER_EQUALS: &str = "    prev=\"$3\"
    if [[ \"${cur}\" == \"=\" ]]; then
        cur=\"\"
    elif [[ \"${prev}\" == \"=\" ]]; then
        prev=\"${COMP_WORDS[COMP_CWORD-2]}\"
    fi
";
    const OPTIONS: &str = "COMPREPLY=( $(compgen -W \"${opts}\" -- \"${cur}\") )\n";
    let operand = format!(
        "COMPREPLY=()
            if [[ ${{COMP_CWORD}} -eq 1 && -n \"$(compgen -W \"{words}\" -- \"${{cur}}\")\" ]] ; then
                local IFS=$'\\n'
                COMPREPLY=( $(IFS=' ' compgen -W \"{words}\" -- \"${{cur}}\") $(compgen -f -- \"${{cur}}\") )
                compopt -o filenames 2>/dev/null
            fi
"
    );
    let script = script.replacen(PREVIOUS, AFTER_EQUALS, 1);
    let script = script.replacen("${cur} == -* || ${COMP_CWORD} -eq 1", "${cur} == -*", 1);
    match script.rsplit_once(OPTIONS) {
        Some((before, after)) => [before, &operand, after].concat(),
        None => script,
    }
}

/// The flags that are worth being proposed, and what their values are.
fn completed() -> Command {
    let shown = command();
    let flags = shown.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional());
    let with_hint = |arg: &Arg| {
        let arg = arg.clone();
        if let Some((_, values)) = VALUES.iter().find(|(id, _)| arg.get_id() == *id) {
            return arg.value_parser(PossibleValuesParser::new(*values));
        }
        let is_file = arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "FILE"));
        if is_file { arg.value_hint(ValueHint::FilePath) } else { arg }
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
    use crate::cli::resolve;
    use crate::twoway::policy::Policy;
    use std::ffi::OsString;

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
    fn the_values_that_are_proposed_can_be_said() {
        for (flag, values) in VALUES {
            for value in values {
                let word = OsString::from(format!("--{flag}={value}"));
                let operands = ["-2", "a", "b"].map(OsString::from);
                let flags = Flags::parse(&[&[word][..], &operands].concat()).unwrap();
                assert!(resolve::manner(&flags).is_ok(), "{flag}={value}");
                assert!(flags.generate.as_deref().is_none_or(|kind| generate(kind).is_ok()), "{value}");
                let policy = flags.conflict.as_deref().map(str::parse::<Policy>).transpose();
                assert!(policy.is_ok(), "{value}");
            }
        }
    }

    #[test]
    fn the_commands_are_proposed() {
        for shell in ["bash", "zsh", "fish"] {
            let script = generate(&format!("complete-{shell}")).unwrap();
            assert!(script.contains("status log undo trash"), "{shell}");
        }
    }

    #[test]
    fn the_manual_and_the_schema_are_whole() {
        assert!(generate("man").unwrap().contains("\n.SH OPTIONS\n"));
        let schema: serde_json::Value = serde_json::from_str(&generate("events-schema").unwrap()).unwrap();
        assert!(schema["oneOf"].is_array());
    }

    #[test]
    fn an_unknown_kind_is_told_what_there_is() {
        let failure = generate("complete-csh").unwrap_err();
        assert_eq!(failure.code(), 1);
        assert!(failure.to_string().contains("complete-fish"), "{failure}");
    }
}
