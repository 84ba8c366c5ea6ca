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
}

impl Origins {
    /// Those of these arguments, of which entries keep all of the path, or what follows a `/./` in it, if it is
    /// `relative`.
    pub(in crate::cli) fn new<'a>(sources: impl IntoIterator<Item = &'a [u8]>, relative: bool) -> Origins {
        let origin = |source: &[u8]| {
            if relative {
                let cut = source.windows(3).position(|part| part == b"/./").unwrap_or(0);
                let before = source.get(..cut).unwrap_or_default();
                return Origin { before: trimmed(before).to_vec(), first: None };
            }
            let (before, first) = match source.iter().rposition(|byte| *byte == b'/') {
                Some(slash) => source.split_at_checked(slash + 1).unwrap_or_default(),
                None => (&[][..], source),
            };
            let is_all = matches!(first, b"" | b"." | b"..");
            let before = if is_all { source } else { before };
            Origin { before: trimmed(before).to_vec(), first: (!is_all).then(|| first.to_vec()) }
        };
        Origins(sources.into_iter().map(origin).collect())
    }

    /// The path of an entry below the transfer root, with what its source argument has before it, if it is certain which
    /// one that is.
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

/// Without slashes at its ends, and without elements at its end that go nowhere.
fn trimmed(path: &[u8]) -> &[u8] {
    let mut path = path;
    loop {
        path = match path {
            [b'/', rest @ ..] | [rest @ .., b'/'] | [rest @ .., b'/', b'.'] => rest,
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
            let origins = Origins::new(sources.iter().map(|source| source.as_bytes()), false);
            let name = origins.long_name(&RelPath::new(path.as_bytes()).unwrap());
            assert_eq!(String::from_utf8(name).unwrap(), expected, "{sources:?}");
        }
    }
    #[test]
    fn relative_names_have_what_was_cut_off_before_them() {
        for (sources, path, expected) in [
            (&["/home/./src/a"][..], "src/a/b", "home/src/a/b"),
            (&["/home/src"], "home/src/b", "home/src/b"),
            (&["x/./a", "x/./b"], "b", "x/b"),
            (&["x/./a", "y/./b"], "b", "b"),
        ] {
            let origins = Origins::new(sources.iter().map(|source| source.as_bytes()), true);
            let name = origins.long_name(&RelPath::new(path.as_bytes()).unwrap());
            assert_eq!(String::from_utf8(name).unwrap(), expected, "{sources:?}");
        }
    }
}
