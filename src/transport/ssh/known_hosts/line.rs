//! One line of a known hosts file: `[@marker] hosts type base64 [comment]`.

use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::{HostPatterns, Marker};
use russh::keys::ssh_key::public::KeyData;

/// What a line says.
pub(super) struct Line {
    pub(super) marker: Option<Marker>,
    pub(super) hosts: HostPatterns,
    pub(super) key: KeyData,
}

/// Reads a line; `None` for a blank one, a comment, and what is no line of the format or has a key of a type we do
/// not know and so cannot be offered.
pub(super) fn parse(text: &str) -> Option<Line> {
    let mut fields = text.split_ascii_whitespace().peekable();
    let marker = match fields.next_if(|field| field.starts_with('@')) {
        Some(marker) => Some(marker.parse().ok()?),
        None => None,
    };
    let hosts = fields.next().filter(|hosts| !hosts.starts_with('#'))?.parse().ok()?;
    let key = PublicKey::from_openssh(&format!("{} {}", fields.next()?, fields.next()?)).ok()?;
    Some(Line { marker, hosts, key: key.key_data().clone() })
}
