//! What a server refuses that somebody restricted, whoever asks.
//!
//! Where the paths of a request may lead is up to `fs`, which follows them. This is about the rest: which part a server
//! plays, and which options it heeds. It is decided once, from the request alone, before anything is looked at.

use crate::request::{Missing, NamesFrom, Options, Part, Request};

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

const TWO_WAY: &str = "a two-way run";

impl Restriction {
    /// Checks a request against it.
    ///
    /// # Errors
    /// What of the request is refused, and why.
    pub fn check(self, request: &Request) -> Result<(), Refused> {
        let Request { part, options } = request;
        let refused = self.refuses_part(part).or_else(|| {
            deeds(part, options).into_iter().find_map(|(deed, what)| Some((what, self.forbids(deed)?)))
        });
        refused.map_or(Ok(()), |(what, how)| Err(Refused { what: format!("{what} is"), how }))
    }

    /// What part of a run is refused altogether, and why.
    fn refuses_part(self, part: &Part) -> Option<(&'static str, &'static str)> {
        match (part, self.access) {
            (Part::Sink { .. }, Access::ReadOnly) => Some(("writing here", READ_ONLY)),
            (Part::Source { .. }, Access::WriteOnly) => Some(("reading here", WRITE_ONLY)),
            (Part::Replica { .. }, Access::ReadOnly) => Some((TWO_WAY, READ_ONLY)),
            (Part::Replica { .. }, Access::WriteOnly) => Some((TWO_WAY, WRITE_ONLY)),
            // Its plan is the asking side's, and a removal or a new name may be part of any.
            (Part::Replica { .. }, Access::Both) if self.keeps_all => Some((TWO_WAY, NO_DELETE)),
            _ => None,
        }
    }

    /// Why it is not done, if it is not.
    fn forbids(self, deed: Deed) -> Option<&'static str> {
        match deed {
            Deed::LeadsOut => Some(AT_ALL),
            Deed::Writes => (self.access == Access::ReadOnly).then_some(READ_ONLY),
            Deed::Tells => (self.access == Access::WriteOnly).then_some(WRITE_ONLY),
            Deed::Removes => self.keeps_all.then_some(NO_DELETE),
        }
    }

    /// Whether anything below the directory may be written.
    pub fn writes(self) -> bool {
        self.access != Access::ReadOnly
    }
}

/// What an option has a server do that may be more than it is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// It reaches what is elsewhere though every path stays in the directory.
    LeadsOut,
    /// It changes something.
    Writes,
    /// It tells more than a destination has to: content, or names that the asking side does not know.
    Tells,
    /// A name is gone afterwards, in a dry run too: that tells what there is to be removed.
    Removes,
}

/// What the options of a request have this part of it do.
///
/// Whatever is overwritten, by a file, by a backup of another, or in place, keeps its name and may be, as in rsync's
/// script of that kind. So may an empty directory in the place of which something else comes.
fn deeds(part: &Part, options: &Options) -> Vec<(Deed, &'static str)> {
    // Each is named, so that nobody adds an option without a decision here.
    let Options {
        copy_devices,
        write_devices,
        names_from,
        missing,
        partial_dir,
        delay_updates,
        detect_renames,
        delete,
        remove_source_files,
        force,
        explain,

        // Which entries there are, and what of them is copied.
        recursive: _,
        dirs: _,
        mounts: _,
        make_path: _,
        relative: _,
        no_implied_dirs: _,
        list_only: _,
        links: _,
        link_rules: _,
        hard_links: _,
        perms: _,
        executability: _,
        acls: _,
        xattrs: _,
        atimes: _,
        open_noatime: _,
        super_user: _,
        times: _,
        owner: _,
        group: _,
        devices: _,
        specials: _,
        numeric_ids: _,
        user_map: _,
        group_map: _,
        chmod: _,
        omit_dir_times: _,
        omit_link_times: _,
        rules: _,
        prune_empty_dirs: _,
        // Which files are sent, and how.
        checksum: _,
        update: _,
        ignore_times: _,
        size_only: _,
        existing: _,
        ignore_existing: _,
        max_size: _,
        min_size: _,
        modify_window: _,
        bases: _,
        whole_file: _,
        block_size: _,
        sum: _,
        compare_sum: _,
        compress: _,
        skip_compress: _,
        fuzzy: _,
        reflink: _,
        bandwidth: _,
        timeout: _,
        streams: _,
        // How they are written: to new names, or over what has theirs. What is staged has names that nothing else has.
        in_place: _,
        partial: _,
        fsync: _,
        sparse: _,
        preallocate: _,
        temp_dir: _,
        append: _,
        keep_staged: _,
        backup: _,
        // A limit; a plan, which is for a part that is refused; what is heard of the run.
        max_delete: _,
        two_way: _,
        dry_run: _,
        relayed: _,
        detail: _,
        shortcuts: _,
    } = options;
    let is_source = matches!(part, Part::Source { .. });
    let is_sink = matches!(part, Part::Sink { .. });
    let has_own_list = matches!(names_from, Some(NamesFrom::Peer { .. }));
    let all = [
        (*copy_devices, Deed::LeadsOut, "--copy-devices"),
        (*write_devices, Deed::LeadsOut, "--write-devices"),
        (is_source && *remove_source_files, Deed::Writes, "--remove-source-files"),
        (is_sink && !explain.is_empty(), Deed::Tells, "--explain"),
        (is_sink && has_own_list, Deed::Tells, "reading a list of names here (--files-from)"),
        // It is told which file here has the content of a new one. What is deleted is told anyway.
        (is_sink && *detect_renames && delete.is_none(), Deed::Tells, "--detect-renames without --delete"),
        (is_source && *remove_source_files, Deed::Removes, "--remove-source-files"),
        (is_sink && delete.is_some(), Deed::Removes, "--delete"),
        (is_sink && *missing == Missing::Deleted, Deed::Removes, "--delete-missing-args"),
        (is_sink && *force, Deed::Removes, "--force"),
        // Whatever has a file's name in such a directory goes when the file is complete.
        (is_sink && partial_dir.is_some(), Deed::Removes, "--partial-dir"),
        (is_sink && *delay_updates, Deed::Removes, "--delay-updates"),
    ];
    all.into_iter().filter(|(is_asked, ..)| *is_asked).map(|(_, deed, what)| (deed, what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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
            (
                source(),
                with(|o| o.copy_devices = true),
                ["--copy-devices", "--copy-devices", "reading", "--copy-devices"],
            ),
            (
                sink(),
                with(|o| o.write_devices = true),
                ["--write-devices", "writing", "--write-devices", "--write-devices"],
            ),
            (sink(), with(|o| o.delay_updates = true), ["", "writing", "", "--delay-updates"]),
            (sink(), with(|o| o.detect_renames = true), ["", "writing", "--detect-renames", ""]),
            (
                sink(),
                with(|o| (o.detect_renames, o.delete) = (true, Some(Default::default()))),
                ["", "writing", "", "--delete"],
            ),
            // What is removed is elsewhere.
            (source(), with(|o| o.delete = Some(Default::default())), ["", "", "reading", ""]),
            (source(), with(|o| (o.delay_updates, o.force) = (true, true)), ["", "", "reading", ""]),
            (sink(), with(|o| o.remove_source_files = true), ["", "writing", "", ""]),
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
