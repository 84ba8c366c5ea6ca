//! What a server refuses that somebody restricted, whoever asks.
//!
//! Where the paths of a request may lead is up to `fs`, which follows them. This is about the rest: which part a server
//! plays, and which options it heeds. It is decided once, from the request alone, before anything is looked at.

use crate::request::{Missing, NamesFrom, Part, Request};

/// How a server is restricted that serves one directory only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restriction {
    /// Which way content may go.
    pub access: Access,
    /// `--no-delete`: nothing is removed.
    pub keeps_all: bool,
}

/// Which way content may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Both.
    #[default]
    Both,
    /// `--read-only`: from the server.
    ReadOnly,
    /// `--write-only`: to the server.
    WriteOnly,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} refused: the server is restricted {how}")]
pub struct Refused {
    what: String,
    how: &'static str,
}

const AT_ALL: &str = "to a directory (--restrict)";
const READ_ONLY: &str = "to reading (--read-only)";
const WRITE_ONLY: &str = "to writing (--write-only)";
const NO_DELETE: &str = "to keeping what it has (--no-delete)";

impl Restriction {
    /// Checks a request against it.
    ///
    /// # Errors
    /// What of the request is refused, and why.
    pub fn check(self, request: &Request) -> Result<(), Refused> {
        let refused = always(request)
            .map(|what| (what, AT_ALL))
            .or_else(|| match self.access {
                Access::Both => None,
                Access::ReadOnly => writing(request).map(|what| (what, READ_ONLY)),
                Access::WriteOnly => reading(request).map(|what| (what, WRITE_ONLY)),
            })
            .or_else(|| removing(request).filter(|_| self.keeps_all).map(|what| (what, NO_DELETE)));
        refused.map_or(Ok(()), |(what, how)| Err(Refused { what: format!("{what} is"), how }))
    }

    /// Whether anything below the directory may be written.
    pub fn writes(self) -> bool {
        self.access != Access::ReadOnly
    }
}

/// What leads out of the directory though every path stays in it: what a device holds, is elsewhere.
fn always(Request { options, .. }: &Request) -> Option<&'static str> {
    if options.copy_devices {
        return Some("--copy-devices");
    }
    options.write_devices.then_some("--write-devices")
}

fn writing(Request { part, options }: &Request) -> Option<&'static str> {
    match part {
        Part::Sink { .. } => Some("writing here"),
        Part::Replica { .. } => Some("a two-way run"),
        Part::Source { .. } => options.remove_source_files.then_some("--remove-source-files"),
    }
}

/// What tells more than a destination has to: content, or names that the asking side does not know.
fn reading(Request { part, options }: &Request) -> Option<&'static str> {
    match part {
        Part::Source { .. } => Some("reading here"),
        Part::Replica { .. } => Some("a two-way run"),
        Part::Sink { .. } if !options.explain.is_empty() => Some("--explain"),
        Part::Sink { .. } if matches!(options.names_from, Some(NamesFrom::Peer { .. })) => {
            Some("reading a list of names here (--files-from)")
        }
        Part::Sink { .. } => None,
    }
}

/// What removes, in a dry run too: that tells what there is to be removed.
fn removing(Request { part, options }: &Request) -> Option<&'static str> {
    let asked = [
        // Its plan is the asking side's, and a removal or a new name may be part of any.
        (matches!(part, Part::Replica { .. }), "a two-way run"),
        (options.delete.is_some(), "--delete"),
        (options.missing == Missing::Deleted, "--delete-missing-args"),
        (options.remove_source_files, "--remove-source-files"),
        (options.force, "--force"),
        // Whatever has a file's name in that directory goes when the file is complete.
        (options.partial_dir.is_some(), "--partial-dir"),
    ];
    asked.into_iter().find_map(|(is_asked, what)| is_asked.then_some(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Options;
    use crate::tree::RelPath;

    fn source() -> Part {
        Part::Source { arguments: vec![b"a".to_vec()] }
    }

    fn sink() -> Part {
        Part::Sink { destination: b"a".to_vec() }
    }

    fn replica() -> Part {
        Part::Replica { root: b"a".to_vec(), landmarks: Vec::new() }
    }

    fn with(set: impl Fn(&mut Options)) -> Options {
        let mut options = Options::default();
        set(&mut options);
        options
    }

    /// What is refused, as a word of it; by no restriction but the directory, reading only, writing only, and keeping
    /// all.
    #[test]
    fn each_way_of_restricting_refuses_what_it_is_there_for() {
        let listed = || Some(NamesFrom::Peer { file: b"list".to_vec(), nul: false });
        let rows: Vec<(Part, Options, [&str; 4])> = vec![
            (source(), Options::default(), ["", "", "reading here", ""]),
            (sink(), Options::default(), ["", "writing here", "", ""]),
            (replica(), Options::default(), ["", "two-way", "two-way", "two-way"]),
            (
                source(),
                with(|o| o.remove_source_files = true),
                ["", "--remove-source", "reading", "--remove-source"],
            ),
            (sink(), with(|o| o.delete = Some(Default::default())), ["", "writing", "", "--delete"]),
            (sink(), with(|o| o.missing = Missing::Deleted), ["", "writing", "", "--delete-missing-args"]),
            (sink(), with(|o| o.force = true), ["", "writing", "", "--force"]),
            (sink(), with(|o| o.partial_dir = Some(b"p".to_vec())), ["", "writing", "", "--partial-dir"]),
            (sink(), with(|o| o.dry_run = true), ["", "writing", "", ""]),
            (sink(), with(|o| o.names_from = Some(NamesFrom::Asking)), ["", "writing", "", ""]),
            (sink(), with(|o| o.names_from = listed()), ["", "writing", "--files-from", ""]),
            (
                sink(),
                with(|o| o.explain = vec![RelPath::new(*b"a").unwrap()]),
                ["", "writing", "--explain", ""],
            ),
            (source(), with(|o| o.names_from = listed()), ["", "", "reading", ""]),
            (source(), with(|o| o.list_only = true), ["", "", "reading", ""]),
            (source(), with(|o| o.copy_devices = true), ["--copy-devices"; 4]),
            (sink(), with(|o| o.write_devices = true), ["--write-devices"; 4]),
        ];
        let ways = [(Access::Both, false), (Access::ReadOnly, false), (Access::WriteOnly, false)];
        let ways = ways.into_iter().chain([(Access::Both, true)]);
        let ways: Vec<Restriction> =
            ways.map(|(access, keeps_all)| Restriction { access, keeps_all }).collect();
        for (part, options, expected) in rows {
            let request = Request { part, options };
            for (way, word) in ways.iter().zip(expected) {
                let told = way.check(&request).err().map(|refused| refused.to_string()).unwrap_or_default();
                let is_it = if word.is_empty() { told.is_empty() } else { told.contains(word) };
                assert!(is_it, "{way:?} says {told:?} and not {word:?} of {request:?}");
            }
        }
    }

    #[test]
    fn two_ways_together_refuse_what_either_does() {
        let both = Restriction { access: Access::WriteOnly, keeps_all: true };
        let request = |part, options| Request { part, options };
        assert!(both.check(&request(sink(), Options::default())).is_ok());
        assert!(both.check(&request(source(), Options::default())).is_err());
        assert!(both.check(&request(sink(), with(|o| o.force = true))).is_err());
    }
}
