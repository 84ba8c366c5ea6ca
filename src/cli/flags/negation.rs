//! The flags that are not worth writing out: the `--no-` form of every other flag, and what is accepted from rsync's
//! command line and ignored.

use clap::{Arg, ArgAction, Command, value_parser};

/// Flags without a `--no-` form: they ask for something else than a run, only stand for other flags, or are themselves
/// taken back by another.
const NOT_NEGATED: [&str; 12] = [
    "archive",
    "executable_sum",
    "fake_super",
    "generate",
    "help",
    "version",
    "server",
    "restrict",
    "read_only",
    "write_only",
    "implied_dirs",
    "no_bootstrap",
];

/// What `--no-delete` takes back besides `--delete`: all that would delete without it, so that it is never in vain.
const DELETING: [&str; 5] =
    ["delete_before", "delete_during", "delete_delay", "delete_after", "delete_excluded"];

/// rsync's switches that change nothing here. Lists are always built as the run goes, names never pass through a
/// shell, standard streams are read as they come, and no peer is trusted, which costs nothing.
const IGNORED_SWITCHES: [(&str, &[&str], Option<char>); 4] = [
    ("inc-recursive", &["i-r"], None),
    ("blocking-io", &[], None),
    ("qsort", &[], None),
    ("trust-sender", &[], None),
];

/// The same with a value.
const IGNORED_VALUES: [&str; 1] = ["protocol"];

/// rsync's negations of what is not here, which are true anyway.
const IGNORED_NEGATIONS: [&str; 1] = ["no-iconv"];

/// Adds the ignored flags and then the negations to `command`, and lets every value begin with a dash, as in
/// `--filter '- *.o'`.
pub(super) fn extend(command: Command) -> Command {
    let command = ignored(command).mut_args(|arg| {
        let takes_value = !arg.is_positional() && takes_value(&arg);
        if takes_value { arg.allow_hyphen_values(true) } else { arg }
    });
    let negations: Vec<Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_positional() && !NOT_NEGATED.contains(&arg.get_id().as_str()))
        .map(negation)
        .collect();
    let switch = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).hide(true);
    command.args(negations).args(IGNORED_NEGATIONS.map(switch))
}

/// Whether a flag has a value: one that may be repeated need not.
pub(super) fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && arg.get_num_args().is_none_or(|count| count.takes_values())
}

fn ignored(command: Command) -> Command {
    let switches = IGNORED_SWITCHES.iter().map(|(name, aliases, short)| {
        let arg = Arg::new(*name).long(*name).aliases(*aliases).action(ArgAction::SetTrue).hide(true);
        match short {
            Some(short) => arg.short(*short),
            None => arg,
        }
    });
    let number = |name: &'static str| Arg::new(name).long(name).num_args(1).hide(true);
    let values = IGNORED_VALUES.iter().map(|name| number(name).value_parser(value_parser!(u32)));
    command.args(switches).args(values)
}

/// `--no-NAME` and `--no-X` for a flag `--NAME`, `-X`: whichever of the two comes later removes the other.
fn negation(arg: &Arg) -> Arg {
    let short = arg.get_short().map(|short| format!("no-{short}"));
    let aliases = arg.get_all_aliases().unwrap_or_default();
    let long = arg.get_long().map(|long| format!("no-{long}"));
    let name = long.or_else(|| short.clone()).unwrap_or_default();
    let implying: &[&str] = if arg.get_id() == "delete" { &DELETING } else { &[] };
    Arg::new(negated(arg.get_id().as_str()))
        .long(name)
        .aliases(aliases.iter().map(|alias| format!("no-{alias}")).chain(arg.get_long().and(short)))
        .action(ArgAction::SetTrue)
        .overrides_with(arg.get_id())
        .overrides_with_all(implying)
        .hide(true)
}

/// The id of the flag that negates the flag `id`.
pub(super) fn negated(id: &str) -> String {
    format!("no_{id}")
}
