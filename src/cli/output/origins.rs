//! Where the entries of a run come from, as the command line names it, for the long names of `%f`.

use crate::tree::RelPath;

/// The source arguments of a run whose source is here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::cli) struct Origins(Vec<Origin>);

/// A source argument.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    /// What goes before the path of each of its entries, without a slash at either end.
    before: Vec<u8>,
    /// The first element of these paths, if all have the same.
    first: Option<Vec<u8>>,
    /// The path that was typed, if it is kept with the slash at its beginning: without that and without one at its end.
    absolute: Option<Vec<u8>>,
}

impl Origins {
    /// Those of these arguments, of which entries keep all of the path, or what follows a `/./` in it, if it is
    /// `relative`; of one that a list is about only the names in that are kept.
    pub(in crate::cli) fn new<'a>(
        sources: impl IntoIterator<Item = &'a [u8]>,
        relative: bool,
        listed: bool,
    ) -> Origins {
        let origin = |source: &[u8]| {
            if relative {
                let cut = source.windows(3).position(|part| part == b"/./").unwrap_or(0);
                let before = source.get(..cut).unwrap_or_default();
                let is_whole = !listed && source.starts_with(b"/") && cut == 0 && !source.starts_with(b"/./");
                let absolute = is_whole.then(|| trimmed(source).to_vec());
                return Origin { before: trimmed(before).to_vec(), first: None, absolute };
            }
            let (before, first) = match source.iter().rposition(|byte| *byte == b'/') {
                Some(slash) => source.split_at_checked(slash + 1).unwrap_or_default(),
                None => (&[][..], source),
            };
            let is_all = matches!(first, b"" | b"." | b"..");
            let before = if is_all { source } else { before };
            let first = (!is_all).then(|| first.to_vec());
            Origin { before: trimmed(before).to_vec(), first, absolute: None }
        };
        Origins(sources.into_iter().map(origin).collect())
    }

    /// Whether a path below the transfer root is that of an entry on or below the path of a source that was typed with
    /// a slash at its beginning and is kept, which is then shown with that.
    pub(super) fn is_absolute(&self, path: &RelPath) -> bool {
        let path = path.as_bytes();
        let is_on = |one: &[u8], other: &[u8]| {
            one.strip_prefix(other)
                .is_some_and(|rest| other.is_empty() || matches!(rest.first(), None | Some(b'/')))
        };
        let mut absolute = self.0.iter().filter_map(|origin| origin.absolute.as_deref());
        !path.is_empty() && absolute.any(|source| is_on(path, source) || is_on(source, path))
    }

    /// The path of an entry below the transfer root, with what its source argument has before it, if it is certain
    /// which one that is.
    pub(super) fn long_name(&self, path: &RelPath) -> Vec<u8> {
        let first = path.as_bytes().split(|byte| *byte == b'/').next().unwrap_or_default();
        let is_its = |origin: &&Origin| origin.first.as_deref().is_none_or(|name| name == first);
        let mut its = self.0.iter().filter(is_its).map(|origin| &origin.before);
        let shown = if path.is_root() { b"." } else { path.as_bytes() };
        match its.next() {
            Some(before) if !before.is_empty() && its.all(|other| other == before) => {
                [before, &b"/"[..], shown].concat()
            }
            _ => shown.to_vec(),
        }
    }
}

/// Without slashes at its ends, and without elements there that go nowhere.
fn trimmed(path: &[u8]) -> &[u8] {
    let mut path = path;
    loop {
        path = match path {
            [b'/', rest @ ..] | [b'.', b'/', rest @ ..] | [rest @ .., b'/'] | [rest @ .., b'/', b'.'] => rest,
            b"." => b"",
            _ => return path,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_begin_as_the_source_does() {
        for (sources, path, expected) in [
            (&["src/"][..], "a/b", "src/a/b"),
            (&["src/."], "a/b", "src/a/b"),
            (&["./src/"], "a/b", "src/a/b"),
            (&[".//src/./"], "", "src/."),
            (&["./../src/"], "a", "../src/a"),
            (&["./"], "a", "a"),
            (&["./src"], "src/a", "src/a"),
            (&["../src/", "./x"], "a", "../src/a"),
            (&["src"], "src/a", "src/a"),
            (&["/home/src"], "src/a", "home/src/a"),
            (&["/"], "a", "a"),
            (&["."], "a", "a"),
            (&["src/"], "", "src/."),
            (&["x/a", "y/b"], "b/c", "y/b/c"),
            (&["x/", "y/"], "b/c", "b/c"),
            (&["x/a", "x/b/"], "a/c", "a/c"),
            (&["x/a", "x/a/"], "a/c", "a/c"),
            (&["x/a", "x/a"], "a/c", "x/a/c"),
            (&[], "b", "b"),
        ] {
            let origins = Origins::new(sources.iter().map(|source| source.as_bytes()), false, false);
            let name = origins.long_name(&RelPath::new(path.as_bytes()).unwrap());
            assert_eq!(String::from_utf8(name).unwrap(), expected, "{sources:?}");
        }
    }

    #[test]
    fn kept_paths_that_begin_with_a_slash_are_shown_with_it() {
        let sources = ["/home/src/", "other", "/x/./cut"];
        let origins = Origins::new(sources.iter().map(|source| source.as_bytes()), true, false);
        let is_absolute = |path: &str| origins.is_absolute(&RelPath::new(path.as_bytes()).unwrap());
        for path in ["home", "home/src", "home/src/a/b"] {
            assert!(is_absolute(path), "{path}");
        }
        for path in ["", "hom", "home/srcs", "home/s", "other", "other/a", "cut", "x"] {
            assert!(!is_absolute(path), "{path}");
        }
        let origins = Origins::new(sources.iter().map(|source| source.as_bytes()), false, false);
        assert!(!origins.is_absolute(&RelPath::new(*b"src").unwrap()));
        assert!(Origins::new([&b"/"[..]], true, false).is_absolute(&RelPath::new(*b"etc").unwrap()));
    }

    #[test]
    fn relative_names_have_what_was_cut_off_before_them() {
        for (sources, path, expected) in [
            (&["/home/./src/a"][..], "src/a/b", "home/src/a/b"),
            (&["/home/src"], "home/src/b", "home/src/b"),
            (&["x/./a", "x/./b"], "b", "x/b"),
            (&["x/./a", "y/./b"], "b", "b"),
        ] {
            let origins = Origins::new(sources.iter().map(|source| source.as_bytes()), true, false);
            let name = origins.long_name(&RelPath::new(path.as_bytes()).unwrap());
            assert_eq!(String::from_utf8(name).unwrap(), expected, "{sources:?}");
        }
    }
}
