//! The map of the house, checked: who may use whom, and what may appear only where. The map itself is the table in the
//! crate's documentation, read from there.
//!
//! Reads the sources as text. Comments, string literals and test code do not count, and groups in `use` are spelt out;
//! what is left is scanned for paths that begin with `crate::` and for names that belong to one place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Text that may appear only in files whose path begins with one of these.
const ONLY_IN: [(&str, &[&str]); 16] = [
    ("clap::", &["cli/"]),
    ("println!", &["cli/"]),
    ("eprintln!", &["cli/"]),
    ("print!", &["cli/"]),
    ("eprint!", &["cli/"]),
    ("dbg!", &[]),
    // Imported or called: a name alone may be a field.
    ("io::stdin", &["cli/"]),
    ("io::stdout", &["cli/"]),
    ("io::stderr", &["cli/"]),
    ("stdin()", &["cli/"]),
    ("stdout()", &["cli/"]),
    ("stderr()", &["cli/"]),
    ("std::env", &["cli/"]),
    ("russh::", &["transport/ssh/"]),
    // The trees are touched by fs alone. Besides them there are the files that a user names to the command line, and
    // those of an SSH client.
    ("std::fs", &["fs/", "cli/", "transport/ssh/"]),
    ("unsafe", &[]),
];

/// Text that may not appear in files whose path begins with one of these.
const NEVER_IN: [(&str, &[&str]); 4] = [
    (
        "tokio::",
        &["delta/", "tree/", "request/", "view/", "fs/", "wire/", "pass/", "twoway/", "session/", "cli/"],
    ),
    (
        "std::thread",
        &["delta/", "tree/", "request/", "pass/decide.rs", "twoway/decide.rs", "twoway/reconcile"],
    ),
    ("std::net", &["delta/", "tree/", "request/", "view/", "fs/", "pass/"]),
    ("rustix::fs", &["delta/", "tree/", "request/", "report.rs", "view/", "wire/", "pass/"]),
];

/// Names that tell nothing about what is inside.
const NO_MODULE: [&str; 5] = ["util", "common", "helpers", "core", "types"];

/// A row of the map: a module, and the modules of ours that it may use besides itself.
struct Row {
    module: String,
    may_use: Vec<String>,
}

/// A file below `src`, without comments, literals and tests.
struct Source {
    path: String,
    code: String,
}

#[test]
fn modules_use_only_what_is_below_them() {
    let map = map();
    let in_map = |name: &str| map.iter().find(|row| row.module == name);
    let mut wrong = BTreeSet::new();
    for source in sources() {
        let Some(module) = module(&source.path) else { continue };
        let Some(row) = in_map(module) else {
            wrong.insert(format!("{}: the module {module} is not on the map", source.path));
            continue;
        };
        for used in used(&source.code) {
            let top = used.split("::").next().unwrap_or_default();
            if top != module && in_map(top).is_some() && !row.may_use.iter().any(|name| name == top) {
                wrong.insert(format!("{}: {module} may not use {used}", source.path));
            }
        }
        let way_out = "super::".repeat(depth(&source.path));
        if mentions(&source.code, &way_out) {
            wrong.insert(format!("{}: {way_out} leads out of {module}; say crate::", source.path));
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

/// The rows of the table of modules in the crate's documentation, in their order.
fn map() -> Vec<Row> {
    let text = fs::read_to_string(root().join("lib.rs")).unwrap();
    let mut map = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("//! | [")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, module, _, may_use, ""] = cells[..] else { panic!("not a row of the map: {line}") };
        let module =
            module.strip_prefix("[`").and_then(|rest| rest.strip_suffix("`]")).expect(line).to_owned();
        map.push(Row { module, may_use: named(may_use, &map) });
    }
    assert!(!map.is_empty(), "no map in lib.rs");
    map
}

/// The modules that a cell of the map names. They stand `above` it, so no two modules can use each other.
fn named(cell: &str, above: &[Row]) -> Vec<String> {
    let (words, names): (Vec<_>, Vec<_>) = cell.split('`').enumerate().partition(|(at, _)| at % 2 == 0);
    let names: Vec<&str> = names.into_iter().map(|(_, name)| name).collect();
    let words: String = words.into_iter().map(|(_, text)| text.replace(',', "")).collect();
    let above: Vec<&str> = above.iter().map(|row| row.module.as_str()).collect();
    for name in &names {
        assert!(above.contains(name), "{name} is not above the cell: {cell}");
    }
    let named: Vec<&str> = match words.trim() {
        "" | "-" => names,
        "all above" | "all above but" => above.into_iter().filter(|name| !names.contains(name)).collect(),
        other => panic!("the map says {other:?}"),
    };
    named.into_iter().map(str::to_owned).collect()
}

fn sources() -> Vec<Source> {
    let product = files().into_iter().filter(|(path, _)| !is_test(path));
    product.map(|(path, text)| Source { path, code: spelt_out(&code(&text)) }).collect()
}

/// All files below `src`: path below it and text.
fn files() -> Vec<(String, String)> {
    let root = root();
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
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

/// How many steps it is from the module in the file to the root of the crate.
fn depth(path: &str) -> usize {
    path.trim_end_matches("/mod.rs").split('/').count()
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

/// `code` with each group in a `use` made into as many `use` of one path.
fn spelt_out(code: &str) -> String {
    let mut text = String::new();
    for statement in code.split_inclusive(';') {
        match statement.rsplit_once("use ") {
            Some((before, tree)) if !before.ends_with(in_name) => {
                text.push_str(before);
                spell_out("", tree, &mut text);
            }
            _ => text.push_str(statement),
        }
    }
    text
}

/// Adds a `use` of the path that `tree` begins with to `text`, or of each path of a group.
fn spell_out(prefix: &str, tree: &str, text: &mut String) {
    let end = tree.find(|c| !(in_name(c) || c == ':')).unwrap_or(tree.len());
    let path = format!("{prefix}{}", &tree[..end]);
    let Some(group) = tree[end..].strip_prefix('{') else {
        text.push_str(&format!("use {};\n", path.trim_end_matches("::self").trim_end_matches(':')));
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            ',' if depth == 0 => {
                spell_out(&path, group[start..at].trim(), text);
                start = at + 1;
            }
            '{' => depth += 1,
            '}' if depth == 0 => {
                spell_out(&path, group[start..at].trim(), text);
                return;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The paths after `crate::` in `code`.
fn used(code: &str) -> BTreeSet<&str> {
    let starts = code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with(in_name));
    let rests = starts.map(|(at, word)| &code[at + word.len()..]);
    rests.map(|rest| rest.split(|c| !(in_name(c) || c == ':')).next().unwrap_or_default()).collect()
}

/// Whether `text` stands in `code`, and not as the end of a longer name.
fn mentions(code: &str, text: &str) -> bool {
    let open_end = text.ends_with([':', '!', ')']);
    code.match_indices(text).any(|(at, _)| {
        !code[..at].ends_with(in_name) && (open_end || !code[at + text.len()..].starts_with(in_name))
    })
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn the_scan_finds_what_it_looks_for() {
    let text = "use crate::tree::{self, Name as N, filter::{Rules, Side}};\n\
                // crate::cli\n\
                let x = \"crate::cli\"; crate::fs::open();\n\
                pub(crate) use ::std::{env, io::{self, stdout}};\n";
    let code = spelt_out(&code(text));
    let expected = ["fs::open", "tree", "tree::Name", "tree::filter::Rules", "tree::filter::Side"];
    assert_eq!(used(&code).into_iter().collect::<Vec<_>>(), expected);
    assert!(mentions(&code, "std::env") && mentions(&code, "io::stdout") && !mentions(&code, "std::fs"));
    assert!(mentions("a std::fs::read", "std::fs") && !mentions("my_std::fs", "std::fs"));
    assert!(mentions("::std::print!(x)", "print!") && !mentions("eprint!(x)", "print!"));
    assert!(mentions("io::stderr().lock()", "stderr()") && !mentions("child.stderr.take()", "stderr()"));
    assert!(!mentions("unsafely", "unsafe"));
}

#[test]
fn the_map_is_read_as_it_is_meant() {
    let mut rows: Vec<Row> = Vec::new();
    let cells =
        [("a", "-", ""), ("b", "`a`", "a"), ("c", "all above but `a`", "b"), ("d", "all above", "a b c")];
    for (module, cell, expected) in cells.map(|(module, cell, expected)| (module.to_owned(), cell, expected))
    {
        let may_use = named(cell, &rows);
        assert_eq!(may_use.join(" "), expected, "{cell}");
        rows.push(Row { module, may_use });
    }
}
