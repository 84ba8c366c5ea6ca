//! Whether a server's key is the host's: the known hosts files and OpenSSH's rules over them.
//!
//! All files count together. A revoked key is refused whatever else is written; a certificate is good if a trusted
//! authority for the host signed it and it is valid for the host now; a plain key is good if it is recorded for the
//! host. A host with records of which none is the key offered has *changed*, whatever the types of the keys (sshd(8),
//! SSH_KNOWN_HOSTS FILE FORMAT; OpenSSH's hostfile.c).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::known_hosts::Marker;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKeyOrCertificate};

use crate::transport::Error;
use crate::transport::ssh::settings::Settings;

mod line;
mod pattern;
mod store;

#[cfg(test)]
pub(super) use pattern::glob;
pub(super) use store::store;

/// SSH's own port, which host names in the files carry no mark of.
const DEFAULT_PORT: u16 = 22;

/// The records about one host.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    records: Vec<Record>,
    /// Names of the algorithms that authorities may sign with; `None` for all.
    signatures: Option<Vec<String>>,
}

/// One line that is about the host.
#[derive(Debug)]
struct Record {
    marker: Option<Marker>,
    key: KeyData,
    /// Whether the line names the host with its port, rather than the host at the default port.
    exact: bool,
    place: Place,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    /// Counted from one.
    pub(super) line: usize,
}

/// What the records say about a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Known,
    Unknown,
    Changed(Place),
    Revoked(Place),
    BadCertificate(String),
}

/// For whoever wants to know why a key is trusted.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known => f.write_str("known"),
            Self::Unknown => f.write_str("not known"),
            Self::Changed(place) => write!(f, "another one is known from {place}"),
            Self::Revoked(place) => write!(f, "revoked by {place}"),
            Self::BadCertificate(reason) => write!(f, "not valid: {reason}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file.display(), self.line)
    }
}

/// The names under which a host is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// `host`, or `[host]:port` where the port is not the default.
    pub(super) exact: String,
    /// `host`, where the port is not the default: a record of it may vouch for the key, but not against it.
    plain: Option<String>,
}

impl Names {
    pub(super) fn of(settings: &Settings) -> Self {
        let name = settings.key_name();
        if settings.port == DEFAULT_PORT || settings.host_key_alias.is_some() {
            Self { exact: name, plain: None }
        } else {
            Self { exact: format!("[{name}]:{}", settings.port), plain: Some(name) }
        }
    }

    /// The name that a certificate must be for.
    fn principal(&self) -> &str {
        self.plain.as_deref().unwrap_or(&self.exact)
    }
}

impl KnownHosts {
    /// Reads what `files` say about the host; a file that does not exist says nothing.
    ///
    /// # Errors
    /// When a file exists and cannot be read: a record in it might speak against the host.
    pub(super) fn load<'a>(
        names: &Names,
        files: impl Iterator<Item = &'a PathBuf>,
        signatures: Option<&Vec<String>>,
    ) -> Result<Self, Error> {
        let mut known = Self { signatures: signatures.cloned(), ..Self::default() };
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => known.read(names, file, &String::from_utf8_lossy(&bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::KnownHosts { file: file.clone(), source }),
            }
        }
        Ok(known)
    }

    /// Takes the lines of one file that are about the host. Lines that cannot be read are about no host.
    fn read(&mut self, names: &Names, file: &Path, text: &str) {
        for (index, text) in text.lines().enumerate() {
            let Some(line) = line::parse(text) else { continue };
            let exact = pattern::matches(&line.hosts, &names.exact);
            if exact || names.plain.as_deref().is_some_and(|plain| pattern::matches(&line.hosts, plain)) {
                let place = Place { file: file.to_owned(), line: index.saturating_add(1) };
                self.records.push(Record { marker: line.marker, key: line.key, exact, place });
            }
        }
    }

    /// Whether an authority is trusted to certify the host.
    pub(super) fn has_authority(&self) -> bool {
        self.records.iter().any(|record| record.marker == Some(Marker::CertAuthority))
    }

    /// Whether a plain key of this algorithm is recorded; hashes of RSA signatures make no difference.
    pub(super) fn has_key_of(&self, algorithm: &Algorithm) -> bool {
        self.plain_keys().any(|record| match (record.key.algorithm(), algorithm) {
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (known, offered) => known == *offered,
        })
    }

    /// Judges what a server offered; `now` is in seconds since 1970.
    pub(super) fn judge(&self, offered: &PublicKeyOrCertificate, names: &Names, now: u64) -> Verdict {
        let key = offered.public_key();
        let key = key.key_data();
        let certificate = offered.certificate();
        let signed_by = certificate.map(Certificate::signature_key);
        let revokes = |record: &&Record| {
            record.marker == Some(Marker::Revoked) && (record.key == *key || Some(&record.key) == signed_by)
        };
        if let Some(record) = self.records.iter().find(revokes) {
            return Verdict::Revoked(record.place.clone());
        }
        // The key of a certificate that is not good may still be known by itself.
        if self.plain_keys().any(|record| record.key == *key) {
            return Verdict::Known;
        }
        if let Some(certificate) = certificate
            && self.trusts(certificate.signature_key())
        {
            return match self.certificate_problem(certificate, names.principal(), now) {
                None => Verdict::Known,
                Some(problem) => Verdict::BadCertificate(problem),
            };
        }
        let mut against: Vec<&Record> = self.plain_keys().filter(|record| record.exact).collect();
        against.sort_by_key(|record| record.key.algorithm() != key.algorithm());
        against.first().map_or(Verdict::Unknown, |record| Verdict::Changed(record.place.clone()))
    }

    /// What is wrong with a certificate of a trusted authority (OpenSSH's PROTOCOL.certkeys).
    fn certificate_problem(&self, certificate: &Certificate, host: &str, now: u64) -> Option<String> {
        let algorithm = certificate.signature().algorithm();
        if self.signatures.as_ref().is_some_and(|list| !list.iter().any(|name| name == algorithm.as_ref())) {
            return Some(format!(
                "it is signed with {algorithm}, which CASignatureAlgorithms does not allow"
            ));
        }
        certificate_problem(certificate, host, now)
    }

    fn plain_keys(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| record.marker.is_none())
    }

    fn trusts(&self, authority: &KeyData) -> bool {
        self.records
            .iter()
            .any(|record| record.marker == Some(Marker::CertAuthority) && record.key == *authority)
    }
}

/// What is wrong with a certificate, whoever may sign with what.
fn certificate_problem(certificate: &Certificate, host: &str, now: u64) -> Option<String> {
    if certificate.cert_type() != CertType::Host {
        return Some("it is a user's certificate".to_owned());
    }
    if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None }) {
        return Some("it is signed with SHA-1".to_owned());
    }
    if let Some((name, _)) = certificate.critical_options().iter().next() {
        return Some(format!("it has the unknown critical option {name:?}"));
    }
    let principals = certificate.valid_principals();
    // The format gives an empty list the meaning of every host.
    if !principals.is_empty() && !principals.iter().any(|name| pattern::glob(&name.to_lowercase(), host)) {
        return Some(format!("it is for {}", principals.join(", ")));
    }
    if now < certificate.valid_after() || now >= certificate.valid_before() {
        return Some("it is expired or not yet valid".to_owned());
    }
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    let check = certificate.validate_at(now, [&authority]);
    check.err().map(|error| format!("its signature does not hold ({error})"))
}

#[cfg(test)]
mod tests;
