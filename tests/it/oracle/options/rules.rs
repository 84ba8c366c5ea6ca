//! Rules: on the command line, in files that it names, and in files in the trees.

use crate::oracle::options::{Argument, Choice, Drawn};
use crate::oracle::random::Random;
use crate::support::tree::{Entry, Node, Tree};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

/// Puts files of rules into directories of a tree, if the options look for some.
pub(in crate::oracle) fn rule_files(random: &mut Random, choices: &[Choice], tree: &mut Tree) {
    for choice in choices {
        let (name, words) = match (choice.name, &choice.argument) {
            ("-F", _) => (".rsync-filter", String::new()),
            ("-C", _) => (".cvsignore", "C".to_owned()),
            ("dir-merge", Argument::Words(words)) => (".rules", words[1].to_string_lossy().into_owned()),
            _ => continue,
        };
        // To rsync, the name of the directory is part of the pattern of an anchored rule.
        let is_plain = |path: &[u8]| !path.iter().any(|byte| b"*?[\\".contains(byte));
        let directories = tree.entries.iter().filter(|(_, entry)| entry.node == Node::Directory);
        let directories = directories.map(|(path, _)| path.clone());
        let mut directories: Vec<Vec<u8>> = directories.filter(|path| is_plain(path)).collect();
        random.shuffle(&mut directories);
        directories.truncate(1 + random.below(3));
        if random.chance(70) && !directories.contains(&Vec::new()) {
            directories.push(Vec::new());
        }
        for directory in directories {
            let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
            let lines = rule_lines(random, tree, &words);
            tree.insert(&[&directory, slash, name.as_bytes()].concat(), Entry::new(Node::File(lines)));
        }
    }
}

/// Whether a path is that of a file of rules.
pub(in crate::oracle) fn is_rule_file(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    [&b".rsync-filter"[..], b".cvsignore", b".rules"].contains(&name)
}

/// Lines of such a file, as the modifiers of the rule that names it have it.
fn rule_lines(random: &mut Random, tree: &Tree, modifiers: &str) -> Vec<u8> {
    let modifiers = modifiers.strip_prefix("dir-merge").unwrap_or(modifiers);
    let has = |letters: &str| modifiers.chars().take_while(|c| *c != '.').any(|c| letters.contains(c));
    let bare = has("-+C") && !modifiers.is_empty();
    let kinds: &[&str] = match () {
        () if bare => &[""],
        () if has("sr") => &["- ", "- ", "+ ", "-! "],
        () => &["- ", "- ", "- ", "+ ", "P ", "R ", "H ", "S ", "-p ", "-s ", "-r ", "-! "],
    };
    let mut lines = Vec::new();
    for _ in 0..1 + random.below(3) {
        let names: Vec<&[u8]> =
            tree.entries.keys().map(|path| path.rsplit(|byte| *byte == b'/').next().unwrap()).collect();
        let mut name = random.pick(&names).to_vec();
        // What would end a line or a word, or begin something else.
        if name.is_empty() || name.iter().any(|byte| !byte.is_ascii_alphanumeric() && !b"._~".contains(byte))
        {
            name = random.pick(&[&b"*.c"[..], b"a*", b"src/", b"*/", b"lib/b"]).to_vec();
        }
        let anchor: &[u8] = if random.chance(25) { b"/" } else { b"" };
        lines.extend([random.pick(kinds).as_bytes(), anchor, &name, b"\n"].concat());
        if random.chance(8) && (!bare || has("C")) {
            lines.extend(b"!\n");
        }
    }
    lines
}

impl Drawn<'_> {
    pub(super) fn rules(&mut self) {
        if self.random.chance(50) {
            return;
        }
        for _ in 0..1 + self.random.below(3) {
            let pattern = self.pattern();
            match self.random.below(9) {
                0 => self.rule("--exclude", "--exclude=", &pattern),
                // An include means something only before an exclude of the same names.
                1 | 2 => {
                    let pattern = if self.random.chance(60) { self.branch() } else { pattern };
                    self.rule("--include", "--include=", &pattern);
                    self.exclude_much();
                }
                3 | 4 => self.rule_file("--exclude-from", pattern),
                5 => {
                    let pattern = if self.random.chance(60) { self.branch() } else { pattern };
                    self.rule_file("--include-from", pattern);
                    self.exclude_much();
                }
                _ => {
                    let kinds =
                        ["- ", "- ", "- ", "P ", "P ", "R ", "H ", "H ", "S ", "+ ", "-! ", "-s ", "-r "];
                    let kind = *self.random.pick(&kinds);
                    self.rule("-f", kind, &pattern);
                }
            }
        }
    }

    /// Rules that are in the trees, where `rule_files` puts them.
    pub(super) fn rules_in_directories(&mut self) {
        self.flag(12, "-m");
        self.flag(10, "-C");
        if self.random.chance(14) {
            let word = *self.random.pick(&["-F", "-F", "-FF"]);
            self.push("-F", Argument::Words(vec![word.into()]));
        }
        if self.random.chance(16) {
            let kinds = [
                ": ",
                ": ",
                ":n ",
                ":e ",
                ":-w ",
                ":- ",
                ":+ ",
                ":s ",
                ":r ",
                ":p ",
                ":n-p ",
                "dir-merge,- ",
                ":C ",
                ": /",
            ];
            let word = format!("{}.rules", self.random.pick(&kinds));
            self.push("dir-merge", Argument::Words(vec!["-f".into(), word.into()]));
        }
    }

    fn exclude_much(&mut self) {
        let pattern = *self.random.pick(&[&b"*"[..], b"*", b"/*", b"/*", b"*.?", b"*/"]);
        self.rule("--exclude", "--exclude=", pattern);
    }

    fn rule(&mut self, name: &'static str, before: &str, pattern: &[u8]) {
        let word = OsString::from_vec([before.as_bytes(), pattern].concat());
        let words = if name == "-f" { vec![name.into(), word] } else { vec![word] };
        self.push(name, Argument::Words(words));
    }

    fn rule_file(&mut self, name: &'static str, pattern: Vec<u8>) {
        let mut lines = vec![pattern, b"# a comment".to_vec(), self.pattern(), Vec::new()];
        lines.retain(|line| !line.contains(&b'\n'));
        self.push(name, Argument::File(lines));
    }

    /// A pattern for a name at the top and all below it.
    fn branch(&mut self) -> Vec<u8> {
        let tops: Vec<(&Vec<u8>, &Entry)> =
            self.tree.entries.iter().filter(|(path, _)| !path.is_empty() && !path.contains(&b'/')).collect();
        if tops.is_empty() {
            return b"/a".to_vec();
        }
        let (name, entry) = *self.random.pick(&tops);
        let end: &[u8] = if entry.node == Node::Directory { b"/***" } else { b"" };
        [b"/", name.as_slice(), end].concat()
    }

    fn pattern(&mut self) -> Vec<u8> {
        if self.random.chance(35) {
            let general: [&[u8]; 12] = [
                b"*.c", b"*.o", b"*", b"[a-m]*", b"?", b"src/", b"*/", b"**/b", b"lib/**", b"src/***", b"/a",
                b"/*/a",
            ];
            return self.random.pick(&general).to_vec();
        }
        let paths: Vec<&Vec<u8>> = self.tree.entries.keys().filter(|path| !path.is_empty()).collect();
        if paths.is_empty() {
            return b"a".to_vec();
        }
        let path = (*self.random.pick(&paths)).clone();
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
        match self.random.below(5) {
            0 | 1 => name,
            2 => [b"/", path.as_slice()].concat(),
            3 => [name.as_slice(), b"/"].concat(),
            _ => [name.get(..1).unwrap_or_default(), b"*"].concat(),
        }
    }
}
