//! The lines of `--explain`.

use crate::report::Skip;
use crate::session::{Absence, Deletion, Explained, Found};
use crate::tree::filter::{Origin, Ruling};
use crate::tree::{Escaped, RelPath};

/// Why what is dsync's own neither takes part nor is deleted.
const OWN: &str = "dsync keeps it for itself";

/// What is told of one path.
pub(in crate::cli) fn lines(explained: &Explained) -> String {
    let Explained { path, source, fate } = explained;
    let said = match (&source.shown, fate.skip) {
        (Ok(_), None) => format!("takes part: {}", by(source.ruling.as_ref())),
        (Ok(_), Some(skip)) => format!("left alone: {}", skipped(skip)),
        (Err(absence), _) => absent(path, source, absence),
    };
    let deletion = fate.deletion.as_ref().map(|deletion| deleted(path, deletion)).unwrap_or_default();
    format!("{path}: {said}\n{deletion}")
}

/// Why the sources do not show a path.
fn absent(path: &RelPath, source: &Found, absence: &Absence) -> String {
    let because = match absence {
        Absence::Missing => return format!("not at the source{}", as_above(path, &source.path, "is not")),
        Absence::LeftOut => by(source.ruling.as_ref()),
        Absence::NoDirectory => "this is no directory".to_owned(),
        Absence::Reserved => OWN.to_owned(),
        Absence::Pruned => "nothing but directories would be in it (-m)".to_owned(),
        Absence::NotEntered => "it is not entered".to_owned(),
        Absence::NotAsked => {
            "it is not asked for: a directory without -r, on another file system with -x, or not named"
                .to_owned()
        }
        Absence::Trouble { doing, path, cause } => {
            let (doing, cause) = (Escaped(doing.as_bytes()), Escaped(cause.as_bytes()));
            format!("{doing} {path}: {cause}")
        }
    };
    format!("left out{}: {because}", as_above(path, &source.path, "is"))
}

/// What `--delete` makes of it.
fn deleted(path: &RelPath, deletion: &Deletion) -> String {
    let Deletion { path: decided, ruling, is_there, is_reserved } = deletion;
    let stays = if deletion.is_protected() { "is protected" } else { "is not protected" };
    let above = as_above(path, decided, "is");
    let there = if *is_there { "" } else { "; it is not there" };
    let because = if *is_reserved { OWN.to_owned() } else { by(ruling.as_ref()) };
    format!("  at the destination it {stays} from deletion{above}: {because}{there}\n")
}

/// Says of which directory above a path something is so, if it is not of the path itself.
fn as_above(path: &RelPath, decided: &RelPath, verb: &str) -> String {
    if path == decided { String::new() } else { format!(", as {decided}/ {verb}") }
}

/// The rule and where it stands.
fn by(ruling: Option<&Ruling>) -> String {
    let Some(Ruling { text, origin, .. }) = ruling else { return "no rule matches it".to_owned() };
    let origin = match origin {
        Some(Origin::Option(option)) => format!(" ({})", Escaped(option.as_bytes())),
        Some(Origin::File { file, entry }) => format!(" ({}:{entry})", Escaped(file)),
        None => String::new(),
    };
    format!("{}{origin}", Escaped(text))
}

fn skipped(skip: Skip) -> &'static str {
    match skip {
        Skip::NotRegular => "the options do not ask for entries of its kind (-l, -D)",
        Skip::Directory => "it is a directory (-r)",
        Skip::Newer => "the destination has a newer one (--update)",
        Skip::Exists => "the destination has it (--ignore-existing)",
        Skip::NotExisting | Skip::NoSuchDirectory => "the destination does not have it (--existing)",
        Skip::TooLarge => "it is longer than --max-size",
        Skip::TooSmall => "it is shorter than --min-size",
        Skip::UpToDate => "it is the same already",
        Skip::NotEmpty => "it holds something that must stay",
        Skip::Unsafe => "it may lead out of the tree (--safe-links)",
        Skip::NotShorter => "it is no shorter at the destination (--append)",
    }
}
