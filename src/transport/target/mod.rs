//! What an operand of the command line means: a local path, or a path on some host.
//!
//! The syntax is rsync's (`host:path`, `user@host:path`, `[v6::addr]:path`, `:path` for the host of the operand
//! before) and `ssh://user@host:port/path`. A host or user name ends up as an argument of a remote shell and in the
//! tokens of `ssh_config`, some of which pass through a shell; so names that could be taken for an option or mean
//! anything to a shell are refused here, as OpenSSH does since 9.6.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use crate::transport::Error;

mod url;

/// An operand of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A path on this machine, as given.
    Local(Vec<u8>),
    /// A path on the host of the operand before (`:path`).
    SameHost(Vec<u8>),
    /// A path on a host.
    Remote(RemoteTarget),
}

/// A path on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTarget {
    /// The host.
    pub host: Host,
    /// The path: absolute, or relative to the home directory there; empty means the home directory itself.
    pub path: Vec<u8>,
}

/// A host as the user named it: an alias in `ssh_config`, a name, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    /// The login name, where one was given.
    pub user: Option<String>,
    /// The name or address; an IPv6 address is without its brackets. Never empty, never starts with `-`.
    pub name: String,
    /// The TCP port, where one was given.
    pub port: Option<u16>,
}

impl Host {
    /// Reads `[user@]host[:port]`, with or without `ssh://` before it, as `ProxyJump` has it; `None` where a name
    /// cannot be used.
    pub(in crate::transport) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_url = has_scheme(bytes, b"ssh://");
        let rest = bytes.get(if is_url { b"ssh://".len() } else { 0 }..)?;
        let target = url::parse(rest).ok()?;
        matches!(target.path.as_slice(), b"" | b"/").then_some(target.host)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match (self.name.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.name),
            (false, Some(port)) => write!(f, "{}:{port}", self.name),
            (true, None) => write!(f, "[{}]", self.name),
            (false, None) => f.write_str(&self.name),
        }
    }
}

impl Target {
    /// Reads an operand.
    ///
    /// A colon after the first slash belongs to a local name; `./` before a name makes it local in any case.
    ///
    /// # Errors
    /// When it has the form of a remote operand but is rsync's daemon syntax, or its host, user or port cannot be
    /// used.
    pub fn parse(operand: &OsStr) -> Result<Self, Error> {
        let bytes = operand.as_bytes();
        let fail = |problem: Problem| problem.about(operand);
        if has_scheme(bytes, b"rsync://") {
            return Err(fail(Problem::Daemon));
        }
        if has_scheme(bytes, b"ssh://") {
            return url::parse(bytes.get(b"ssh://".len()..).unwrap_or_default())
                .map(Self::Remote)
                .map_err(fail);
        }
        split_host(bytes).map_err(fail)
    }
}

/// What is wrong with an operand, before it is known how to name the operand.
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    Daemon,
    Reason(&'static str),
}

impl Problem {
    fn about(self, operand: &OsStr) -> Error {
        let operand = operand.to_string_lossy().into_owned();
        match self {
            Self::Daemon => Error::DaemonSyntax { operand },
            Self::Reason(reason) => Error::Operand { operand, reason },
        }
    }
}

fn has_scheme(bytes: &[u8], scheme: &[u8]) -> bool {
    bytes.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// Tells `host:path` from a local path.
fn split_host(bytes: &[u8]) -> Result<Target, Problem> {
    let before_slash = bytes.split(|&byte| byte == b'/').next().unwrap_or_default();
    let Some(first_colon) = find(before_slash, b":") else { return Ok(Target::Local(bytes.to_vec())) };
    let at = before_slash.get(..first_colon).and_then(|start| start.iter().rposition(|&byte| byte == b'@'));
    let name_start = at.map_or(0, |at| at.saturating_add(1));
    let colon = match before_slash.get(name_start) {
        Some(b'[') => {
            let close = find(before_slash, b"]:").ok_or(Problem::Reason("[ is not followed by ]:"))?;
            close.saturating_add(1)
        }
        _ => first_colon,
    };
    let (authority, rest) = bytes.split_at_checked(colon).unwrap_or((bytes, b""));
    let path = rest.get(1..).unwrap_or_default();
    if path.first() == Some(&b':') {
        return Err(Problem::Daemon);
    }
    if authority.is_empty() {
        return Ok(Target::SameHost(path.to_vec()));
    }
    let (user, name) = split_user(authority);
    let name = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(name);
    let host = Host { user: user.map(checked_user).transpose()?, name: checked_name(name)?, port: None };
    Ok(Target::Remote(RemoteTarget { host, path: path.to_vec() }))
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// Splits at the last `@`, since login names may hold one and host names may not.
fn split_user(authority: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match authority.iter().rposition(|&byte| byte == b'@') {
        Some(at) => {
            let (user, rest) = authority.split_at_checked(at).unwrap_or((authority, b""));
            (Some(user), rest.get(1..).unwrap_or_default())
        }
        None => (None, authority),
    }
}

/// Characters a shell gives meaning to, refused in both kinds of names.
const SHELL_CHARACTERS: &[char] = &['\'', '`', '"', ';', '&', '<', '>', '|', '(', ')', '{', '}'];

fn checked_name(name: &[u8]) -> Result<String, Problem> {
    let name = std::str::from_utf8(name).map_err(|_| Problem::Reason("the host name is not UTF-8"))?;
    if name.is_empty() {
        return Err(Problem::Reason("the host name is empty"));
    }
    if name.starts_with('-') {
        return Err(Problem::Reason("a host name must not start with -"));
    }
    if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Problem::Reason("the host name holds a blank or a control character"));
    }
    if name.contains(SHELL_CHARACTERS) || name.contains(['$', '\\', '@', '[', ']', ',']) {
        return Err(Problem::Reason("the host name holds a character that host names do not have"));
    }
    Ok(name.to_owned())
}

fn checked_user(user: &[u8]) -> Result<String, Problem> {
    let user = std::str::from_utf8(user).map_err(|_| Problem::Reason("the user name is not UTF-8"))?;
    if user.is_empty() {
        return Err(Problem::Reason("the user name before @ is empty"));
    }
    if user.starts_with('-') {
        return Err(Problem::Reason("a user name must not start with -"));
    }
    if user.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Problem::Reason("the user name holds a blank or a control character"));
    }
    if user.contains(SHELL_CHARACTERS) {
        return Err(Problem::Reason("the user name holds a character that a shell gives meaning to"));
    }
    Ok(user.to_owned())
}

#[cfg(test)]
mod tests;
