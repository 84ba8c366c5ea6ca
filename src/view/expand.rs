//! Wildcards in source arguments of a remote host, expanded where the files are.
//!
//! The remote command line is fixed, so no shell on the far side sees a path; what users expect of it (`*`, `?`,
//! `[...]` and a leading `~/`) is done here, by the rules of sh: a name that begins with a dot is matched only by a
//! pattern that does, the result is sorted, and a pattern that matches nothing stands for itself.

use crate::fs::{Links, Root};
use crate::tree::Kind;
use crate::tree::filter::{Action, Rule, Rules, Side, Verdict};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The most paths one argument may expand to.
const LIMIT: usize = 1 << 20;

/// Replaces each argument that holds wildcards by the paths it matches. Relative paths start at the current
/// directory, which for a peer is the home directory.
pub fn expand(arguments: &[Vec<u8>], links: Links) -> Vec<Vec<u8>> {
    arguments
        .iter()
        .flat_map(|argument| {
            let argument = without_tilde(argument);
            // A name that is there as it stands is meant as it stands.
            if !has_wildcard(argument) || is_there(argument, links) {
                return vec![argument.to_vec()];
            }
            let matches = matching(argument, links);
            if matches.is_empty() { vec![argument.to_vec()] } else { matches }
        })
        .collect()
}

fn without_tilde(path: &[u8]) -> &[u8] {
    match path {
        b"~" => b"",
        _ => path.strip_prefix(b"~/").unwrap_or(path),
    }
}

fn has_wildcard(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| b"*?[".contains(byte))
}

/// Whether something is at a path, or nobody may know, which is told when it is opened.
fn is_there(path: &[u8], links: Links) -> bool {
    match Root::inspect(OsStr::from_bytes(path), links) {
        Ok(found) => found.is_some(),
        Err(error) => error.is_refusal(),
    }
}

/// The existing paths that match, sorted element by element.
fn matching(pattern: &[u8], links: Links) -> Vec<Vec<u8>> {
    let elements: Vec<&[u8]> = pattern.split(|&b| b == b'/').collect();
    let mut found: Vec<Vec<u8>> = vec![Vec::new()];
    for (place, element) in elements.iter().enumerate() {
        let last = place + 1 == elements.len();
        let mut next = Vec::new();
        for path in &found {
            if has_wildcard(element) {
                next.extend(
                    names(path, element, last, links).into_iter().map(|name| joined(path, &name, last)),
                );
            } else {
                next.push(joined(path, element, last));
            }
            if next.len() > LIMIT {
                return Vec::new();
            }
        }
        found = next;
    }
    found.retain(|path| is_there(path, links) || is_link(path, links));
    found
}

fn joined(path: &[u8], element: &[u8], last: bool) -> Vec<u8> {
    let mut joined = [path, element].concat();
    if !last {
        joined.push(b'/');
    }
    joined
}

fn names(directory: &[u8], pattern: &[u8], last: bool, links: Links) -> Vec<Vec<u8>> {
    let directory = if directory.is_empty() { b"." } else { directory };
    let Ok(root) = Root::open(OsStr::from_bytes(directory), links) else { return Vec::new() };
    let Ok(listing) = root.dir().list() else { return Vec::new() };
    // A pattern is matched as everywhere else: as a rule that excludes, anchored here.
    let mut rules = Rules::new();
    if rules.push(Rule::new(Action::Exclude, [b"/", pattern].concat())).is_err() {
        return Vec::new();
    }
    listing
        .entries
        .into_iter()
        .filter(|entry| last || matches!(entry.kind(), Kind::Directory | Kind::Symlink))
        .map(|entry| Vec::from(entry.name))
        .filter(|name| (pattern.starts_with(b".") || !name.starts_with(b".")) && matches(&rules, name))
        .collect()
}

fn matches(rules: &Rules, name: &[u8]) -> bool {
    rules.check(name, false, Side::Sender) == Verdict::Excluded
}

/// A symbolic link that leads nowhere is still an entry that can be copied.
fn is_link(path: &[u8], links: Links) -> bool {
    match Root::open_parent(OsStr::from_bytes(path), links) {
        Ok(Some((root, name))) => matches!(root.dir().entry(&name), Ok(Some(_))),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
