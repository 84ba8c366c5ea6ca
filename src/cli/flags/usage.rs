//! What is said about a command line that is not understood.

use crate::cli::failure::{Failure, USAGE};
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Options that rsync has and dsync has not, and what to do without them.
const NOT_HERE: [(&[&str], &str); 5] = [
    (
        &["--daemon", "--port", "--address", "--sockopts", "--password-file", "--no-motd", "--early-input"],
        "dsync has no daemon and talks to none: hosts are reached over SSH.",
    ),
    (&["--write-batch", "--only-write-batch", "--read-batch"], "dsync has no batch files."),
    (&["--contimeout"], "ConnectTimeout in ssh_config limits how long it is waited for a host."),
    (&["--iconv"], "dsync copies names byte by byte, whatever their character set."),
    (&["--copy-as"], "Run dsync as that user, or say the owners with --chown."),
];

/// Turns the parser's error into one sentence that names the flag, with advice kept apart.
pub(super) fn failure(error: &clap::Error) -> Failure {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let flag = text(ContextKind::InvalidArg).unwrap_or_default();
    // The parser adds what the flag takes: "--exclude <PATTERN>".
    let flag = flag.split(" <").next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::UnknownArgument => format!("{flag}: unknown option"),
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues => {
            format!("{flag}: option does not take an argument")
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{flag}: a value is missing"),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let cause =
                std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{flag}: the value {value:?} is not valid{cause}")
        }
        _ => first_line(&error.to_string()),
    };
    let failure = Failure::new(USAGE, message);
    let not_here = NOT_HERE.iter().find(|(flags, _)| flags.contains(&flag));
    if let (Some((_, instead)), ErrorKind::UnknownArgument) = (not_here, error.kind()) {
        return failure.with_hint((*instead).to_owned());
    }
    // That a flag of one letter may be negated is no help to whoever mistyped a word.
    let similar = text(ContextKind::SuggestedArg).filter(|similar| similar.len() > "--no-x".len());
    match (similar, error.kind()) {
        (Some(similar), _) => failure.with_hint(format!("Did you mean {similar}?")),
        (None, ErrorKind::UnknownArgument) => failure.with_hint("dsync --help lists the options.".to_owned()),
        (None, _) => failure,
    }
}

/// The parser's own words, for what was not expected above.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
