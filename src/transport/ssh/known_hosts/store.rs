//! Adding a host to the user's known hosts file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::rand;
use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::HostPatterns;

use crate::transport::ssh::known_hosts::pattern;

/// Appends `name` with `key` to `file`, with the name hashed if `hash` says so.
///
/// Makes the file, and the directory it is in if that is missing, for the user alone.
pub(in crate::transport::ssh) fn store(
    file: &Path,
    name: &str,
    hash: bool,
    key: &PublicKey,
) -> io::Result<()> {
    let key = PublicKey::new(key.key_data().clone(), "").to_openssh().map_err(io::Error::other)?;
    let name = if hash { hashed_name(name)? } else { name.to_owned() };
    if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let mut out = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    let start = if ends_in_mid_line(&mut out)? { "\n" } else { "" };
    // One write, so that two programs adding hosts at once do not mix their lines.
    out.write_all(format!("{start}{name} {}\n", key.trim_end()).as_bytes())
}

fn hashed_name(name: &str) -> io::Result<String> {
    let mut salt = vec![0; 20];
    rand::fill(&mut salt).map_err(|_| io::Error::other("no random numbers"))?;
    let hash = pattern::hashed(&salt, name).ok_or_else(|| io::Error::other("no SHA-1"))?;
    Ok(HostPatterns::HashedName { salt, hash }.to_string())
}

fn ends_in_mid_line(file: &mut File) -> io::Result<bool> {
    if !file.metadata()?.is_file() || file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    let mut last = [0; 1];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
