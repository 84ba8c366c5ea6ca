//! The map of the house, checked: who may use whom, and what may appear only where. The map itself is in the crate's
//! documentation.
//!
//! Reads the sources as text. Comments, string literals and test code do not count; what is left is scanned for paths
//! that begin with `crate::` and for names that belong to one place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module, and the modules of ours that it may use besides itself. A path with several elements allows only what is
/// below it.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("delta", &[]),
    ("tree", &[]),
    ("report", &["tree"]),
    ("request", &["tree"]),
    ("fs", &["tree"]),
    ("view", &["tree", "request", "fs", "report"]),
    ("wire", &["tree", "delta", "request", "report"]),
    ("transport", &["report"]),
    ("pass", &["delta", "tree", "request", "fs", "view", "wire", "report"]),
    ("session", &["delta", "tree", "request", "fs", "view", "wire", "report", "transport", "pass"]),
    ("cli", &["tree", "request", "report", "session", "transport"]),
];

/// Text that may appear only in files whose path begins with one of these.
const ONLY_IN: [(&str, &[&str]); 8] = [
    ("clap::", &["cli/"]),
    ("println!", &["cli/"]),
    ("eprintln!", &["cli/"]),
    ("print!", &["cli/"]),
    ("russh::", &["transport/ssh/"]),
    ("std::env::", &["cli/"]),
    // The trees are touched by fs alone. Besides them there are the files that a user names to the command line, and
    // those of an SSH client.
    ("std::fs", &["fs/", "cli/", "transport/ssh/"]),
    ("unsafe", &[]),
];

/// Text that may not appear in files whose path begins with one of these.
const NEVER_IN: [(&str, &[&str]); 4] = [
    ("tokio::", &["delta/", "tree/", "request/", "view/", "fs/", "wire/", "pass/", "session/", "cli/"]),
    ("std::thread", &["delta/", "tree/", "request/", "pass/decide.rs"]),
    ("std::net", &["delta/", "tree/", "request/", "view/", "fs/", "pass/"]),
    ("rustix::fs", &["delta/", "tree/", "request/", "report.rs", "view/", "wire/", "pass/"]),
];

/// Names that tell nothing about what is inside.
const NO_MODULE: [&str; 5] = ["util", "common", "helpers", "core", "types"];

/// A file below `src`, without comments, literals and tests.
struct Source {
    path: String,
    code: String,
}

#[test]
fn modules_use_only_what_is_below_them() {
    let mut wrong = BTreeSet::new();
    for source in sources() {
        let Some(module) = module(&source.path) else { continue };
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            wrong.insert(format!("{}: the module {module} has no place in the table", source.path));
            continue;
        };
        for used in used(&source.code) {
            let top = used.split("::").next().unwrap_or_default();
            let inside = |allowed: &&str| used == **allowed || used.starts_with(&format!("{allowed}::"));
            if top != module && is_module(top) && !allowed.iter().any(inside) {
                wrong.insert(format!("{}: {module} may not use {used}", source.path));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn what_belongs_to_one_place_stays_there() {
    let mut wrong = BTreeSet::new();
    for source in sources() {
        for (text, places) in ONLY_IN {
            if mentions(&source.code, text) && !places.iter().any(|place| source.path.starts_with(place)) {
                wrong.insert(format!("{}: {text} belongs in {places:?}", source.path));
            }
        }
        for (text, places) in NEVER_IN {
            if mentions(&source.code, text) && places.iter().any(|place| source.path.starts_with(place)) {
                wrong.insert(format!("{}: {text} does not belong here", source.path));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn only_main_uses_the_command_line() {
    let wrong: BTreeSet<String> = sources()
        .iter()
        .filter(|source| module(&source.path).is_some_and(|module| module != "cli"))
        .filter(|source| used(&source.code).iter().any(|used| used.starts_with("cli")))
        .map(|source| format!("{}: uses cli", source.path))
        .collect();
    assert_none(&wrong);
}

#[test]
fn modules_are_named_for_what_they_are() {
    let wrong: BTreeSet<String> = sources()
        .into_iter()
        .filter(|source| {
            let path = source.path.trim_end_matches(".rs");
            path.split('/').any(|element| NO_MODULE.contains(&element))
        })
        .map(|source| source.path)
        .collect();
    assert_none(&wrong);
}

#[test]
fn modules_begin_with_prose() {
    let wrong: BTreeSet<String> = files()
        .into_iter()
        .filter(|(path, text)| !is_test(path) && !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    assert_none(&wrong);
}

#[track_caller]
fn assert_none(wrong: &BTreeSet<String>) {
    let lines: Vec<&str> = wrong.iter().map(String::as_str).collect();
    assert!(wrong.is_empty(), "\n{}\n", lines.join("\n"));
}

fn sources() -> Vec<Source> {
    let product = files().into_iter().filter(|(path, _)| !is_test(path));
    product.map(|(path, text)| Source { path, code: code(&text) }).collect()
}

/// All files below `src`: path below it and text.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut rest = vec![root.clone()];
    while let Some(path) = rest.pop() {
        if path.is_dir() {
            rest.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((below(&root, &path), fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(!found.is_empty(), "no sources in {}", root.display());
    found
}

fn below(root: &Path, path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(root).unwrap().to_owned();
    path.to_str().unwrap().to_owned()
}

/// Test code may use what it likes.
fn is_test(path: &str) -> bool {
    path.split('/').any(|element| matches!(element, "tests" | "tests.rs" | "testing" | "testing.rs"))
}

/// The top module a file belongs to; none for the roots of the crate.
fn module(path: &str) -> Option<&str> {
    let top = path.split('/').next()?.trim_end_matches(".rs");
    (!matches!(top, "lib" | "main")).then_some(top)
}

fn is_module(name: &str) -> bool {
    MAY_USE.iter().any(|(module, _)| *module == name)
}

/// `text` without comments, literals and what comes after `#[cfg(test)]`, where tests stand.
fn code(text: &str) -> String {
    let text = text.find("\n#[cfg(test)]\nmod tests {").map_or(text, |tests| &text[..tests]);
    let mut code = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' => {
                while let Some(c) = chars.next()
                    && c != '"'
                {
                    if c == '\\' {
                        chars.next();
                    }
                }
            }
            // A quote as a character, which would begin a literal that never ends.
            '\'' if chars.peek() == Some(&'"') => {
                chars.next();
            }
            _ => code.push(c),
        }
    }
    code
}

/// The paths after `crate::` in `code`, groups spelt out.
fn used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '$')) {
            spell_out("", &code[at + "crate::".len()..], &mut used);
        }
    }
    used
}

/// Adds the path that `text` begins with to `used`, or each of a group.
fn spell_out(prefix: &str, text: &str, used: &mut BTreeSet<String>) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..end]);
    let Some(group) = text[end..].strip_prefix('{') else {
        used.insert(path.trim_end_matches(':').to_owned());
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            ',' if depth == 0 => {
                spell_out(&path, group[start..at].trim(), used);
                start = at + 1;
            }
            '{' => depth += 1,
            '}' if depth == 0 => {
                spell_out(&path, group[start..at].trim(), used);
                return;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// Whether `text` stands in `code`, and not as the end of a longer name.
fn mentions(code: &str, text: &str) -> bool {
    code.match_indices(text).any(|(at, _)| {
        let name = |c: char| c.is_alphanumeric() || c == '_';
        let before = code[..at].chars().next_back();
        let after = code[at + text.len()..].chars().next();
        let open_end = text.ends_with([':', '!']);
        !before.is_some_and(|c| name(c) || c == ':') && (open_end || !after.is_some_and(name))
    })
}

#[test]
fn the_scan_finds_what_it_looks_for() {
    let text = "use crate::tree::{Name, filter::{Rules, Side}};\n// crate::cli\nlet x = \"crate::cli\"; crate::fs::open();\n";
    let expected = ["fs::open", "tree::Name", "tree::filter::Rules", "tree::filter::Side"];
    assert_eq!(used(&code(text)).into_iter().collect::<Vec<_>>(), expected);
    assert!(mentions("a std::fs::read", "std::fs") && !mentions("my_std::fs", "std::fs"));
    assert!(!mentions(&code("// unsafe\n\"unsafe\""), "unsafe") && !mentions("unsafely", "unsafe"));
}
