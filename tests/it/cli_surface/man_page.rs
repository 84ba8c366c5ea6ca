//! `man/dsync.1` is made of the flag definition and the prose in `man/dsync.1.in`.
//!
//! The page is kept in the repository so that it can be read and packaged without building. This test fails when it
//! is stale; `DSYNC_UPDATE_MAN=1 cargo test man_page` writes it anew.

use clap::{Arg, Command};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The line of the prose that the options take the place of.
const PLACE: &str = ".\\\" @OPTIONS@\n";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(name)
}

#[test]
fn man_page_is_up_to_date() {
    let prose = fs::read_to_string(path("dsync.1.in")).expect("reading man/dsync.1.in");
    let (before, after) = prose.split_once(PLACE).expect("man/dsync.1.in has a place for the options");
    let page = [before, &options(&dsync::cli::command()), after]
        .concat()
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    if std::env::var_os("DSYNC_UPDATE_MAN").is_some() {
        fs::write(path("dsync.1"), &page).expect("writing man/dsync.1");
    }
    let present = fs::read_to_string(path("dsync.1")).unwrap_or_default();
    assert!(present == page, "man/dsync.1 is stale: run DSYNC_UPDATE_MAN=1 cargo test man_page");
}

/// A subsection for each heading of the help, in its order.
fn options(command: &Command) -> String {
    let mut page = String::new();
    let mut heading = None;
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        if arg.get_help_heading() != heading {
            heading = arg.get_help_heading();
            writeln!(page, ".SS {}", roff(heading.unwrap_or_default())).expect("writing to a string");
        }
        page.push_str(&option(arg));
    }
    page
}

/// The entry of one option: its names, then its help, a paragraph each.
fn option(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("\\fB\\-{short}\\fR"));
    let long = arg.get_long().map(|long| format!("\\fB\\-\\-{}\\fR", roff(long)));
    let mut names = [short, long].into_iter().flatten().collect::<Vec<_>>().join(", ");
    if arg.get_action().takes_values() {
        let value = arg.get_value_names().and_then(|names| names.first()).expect("a value has a name");
        let value = format!("\\fI{}\\fR", roff(value));
        let may_be_left_out = arg.get_num_args().is_some_and(|number| number.min_values() == 0);
        let value = match (arg.get_long(), may_be_left_out) {
            (Some(_), false) => format!("={value}"),
            (Some(_), true) => format!("[={value}]"),
            (None, _) => format!(" {value}"),
        };
        names.push_str(&value);
    }
    let help = arg.get_long_help().or(arg.get_help()).expect("an option has a help").to_string();
    let mut paragraphs: Vec<String> = help.split("\n\n").map(sentence).collect();
    if let Some(aliases) = arg.get_all_aliases() {
        let aliases: Vec<String> =
            aliases.iter().map(|alias| format!("\\fB\\-\\-{}\\fR", roff(alias))).collect();
        paragraphs.push(format!("Also {}.", aliases.join(", ")));
    }
    format!(".TP\n{names}\n{}\n", paragraphs.join("\n.IP\n"))
}

/// A paragraph of a help text as text of the page, ended by a period.
fn sentence(paragraph: &str) -> String {
    let text = roff(&paragraph.replace('\n', " "));
    if text.ends_with('.') { text } else { text + "." }
}

/// Plain text as roff: neither a dash nor a backslash means anything, and no line is a request.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
