//! `~` and `%` tokens in file names of `ssh_config`.
//!
//! `ssh -G` prints the names of key files as they were written (ssh_config(5), TOKENS).

use std::path::{Path, PathBuf};

/// What the tokens stand for.
pub(super) struct Tokens<'a> {
    /// `~` and `%d`.
    pub(super) home: &'a Path,
    /// `%u`, the local login name.
    pub(super) local_user: &'a str,
    /// `%n`, the host as the user named it.
    pub(super) original: &'a str,
    /// `%h`, the host name after resolution.
    pub(super) host: &'a str,
    /// `%k`, the name under which the host key is known.
    pub(super) key_name: &'a str,
    /// `%p`.
    pub(super) port: u16,
    /// `%r`, the remote login name.
    pub(super) remote_user: &'a str,
}

impl Tokens<'_> {
    /// Returns the file name `value` stands for; `None` where it holds a token or variable we do not know.
    pub(super) fn path(&self, value: &str) -> Option<PathBuf> {
        if value.contains("${") {
            return None;
        }
        let mut text = String::with_capacity(value.len());
        let mut rest = value.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            match rest.next()? {
                '%' => text.push('%'),
                'd' => text.push_str(self.home.to_str()?),
                'u' => text.push_str(self.local_user),
                'n' => text.push_str(self.original),
                'h' => text.push_str(self.host),
                'k' => text.push_str(self.key_name),
                'p' => text.push_str(&self.port.to_string()),
                'r' => text.push_str(self.remote_user),
                _ => return None,
            }
        }
        from_home(&text, self.home)
    }
}

/// Replaces a leading `~`; `None` for the home of another user, which only the password database knows.
pub(super) fn from_home(value: &str, home: &Path) -> Option<PathBuf> {
    match value.strip_prefix('~') {
        None => Some(PathBuf::from(value)),
        Some("") => Some(home.to_owned()),
        Some(rest) => rest.strip_prefix('/').map(|inside| home.join(inside)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_replaced() {
        let tokens = Tokens {
            home: Path::new("/home/ann"),
            local_user: "ann",
            original: "box",
            host: "box.example.com",
            key_name: "alias",
            port: 2200,
            remote_user: "bob",
        };
        let cases = [
            ("~/.ssh/id_%h", Some("/home/ann/.ssh/id_box.example.com")),
            ("%d/%u/%n/%k/%p/%r", Some("/home/ann/ann/box/alias/2200/bob")),
            ("/a%%b", Some("/a%b")),
            ("relative", Some("relative")),
            ("~", Some("/home/ann")),
            ("~bob/key", None),
            ("/a%C", None),
            ("/a%", None),
            ("${HOME}/key", None),
        ];
        for (value, expected) in cases {
            assert_eq!(tokens.path(value).as_deref(), expected.map(Path::new), "{value}");
        }
    }
}
