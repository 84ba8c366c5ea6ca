//! The lines that `ssh -G` prints: one `keyword value` a line, keywords in lower case, defaults included.

use std::path::{Path, PathBuf};

use crate::transport::Error;
use crate::transport::ssh::tokens::{Tokens, from_home};

/// More files than anybody has on one line: they are joined in all ways.
const MOST_FILES: usize = 16;

/// The lines of `ssh -G`.
pub(super) struct Lines<'a> {
    pub(super) text: &'a str,
    /// The host as the user named it.
    pub(super) original: &'a str,
}

impl<'a> Lines<'a> {
    pub(super) fn all(&self, keyword: &str) -> impl Iterator<Item = &'a str> {
        self.text.lines().filter_map(move |line| {
            let (word, value) = line.split_once(' ')?;
            word.eq_ignore_ascii_case(keyword).then(|| value.trim())
        })
    }

    pub(super) fn last(&self, keyword: &str) -> Option<&'a str> {
        self.all(keyword).last()
    }

    /// The value, unless it is the word for nothing.
    pub(super) fn set(&self, keyword: &str) -> Option<&'a str> {
        self.last(keyword).filter(|&value| value != "none")
    }

    pub(super) fn flag(&self, keyword: &str) -> bool {
        matches!(self.last(keyword), Some("yes" | "true"))
    }

    pub(super) fn names(&self, keyword: &str) -> Option<Vec<String>> {
        self.last(keyword).map(|list| list.split(',').map(|name| name.trim().to_owned()).collect())
    }

    pub(super) fn number<N: std::str::FromStr>(&self, keyword: &str) -> Result<Option<N>, Error> {
        let Some(value) = self.last(keyword) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| Error::SshConfig {
            host: self.original.to_owned(),
            message: format!("{keyword} is {value:?}, not a number in range"),
        })
    }

    pub(super) fn paths(
        &self,
        keyword: &str,
        directive: &'static str,
        tokens: &Tokens<'_>,
    ) -> Result<Vec<PathBuf>, Error> {
        self.all(keyword)
            .filter(|&value| value != "none")
            .map(|value| tokens.path(value).ok_or_else(|| self.refused(directive, value)))
            .collect()
    }

    /// Several files on one line, `None` where it is not there. `ssh -G` prints blanks in names as it prints those
    /// between names, so what may be part of a name is refused: a host whose key is in a file that is not read would
    /// pass for one that is not known.
    pub(super) fn files(
        &self,
        keyword: &str,
        directive: &'static str,
        home: &Path,
    ) -> Result<Option<Vec<PathBuf>>, Error> {
        let Some(list) = self.last(keyword) else { return Ok(None) };
        if list == "none" {
            return Ok(Some(Vec::new()));
        }
        let file = |name: &str| from_home(name, home).filter(|path| path.is_absolute());
        let names: Vec<&str> = list.split(' ').collect();
        // Neighbours that are a file together: ` /` may be in a name as well.
        let joined = (2..=names.len()).flat_map(|count| names.windows(count)).map(|names| names.join(" "));
        let is_there = |name: String| file(&name).is_some_and(|path| path.exists());
        let files: Option<Vec<PathBuf>> = names.iter().map(|name| file(name)).collect();
        match files.filter(|_| names.len() <= MOST_FILES && !joined.into_iter().any(is_there)) {
            Some(files) => Ok(Some(files)),
            None => Err(self.refused(directive, list)),
        }
    }

    pub(super) fn refused(&self, directive: &'static str, value: &str) -> Error {
        Error::Directive { host: self.original.to_owned(), directive, value: value.to_owned() }
    }
}
