//! The keys a login may offer, in the order of OpenSSH: those with a certificate, those of the agent that the
//! configuration names, the agent's others, those in files only. Servers count every key offered as an attempt, so
//! what the user named goes early.

use std::path::{Path, PathBuf};

use russh::keys::agent::AgentIdentity;
use russh::keys::{Certificate, PublicKey};

use crate::transport::Notice;
use crate::transport::ssh::auth::key_file::{self, Found, KeyFile};
use crate::transport::ssh::server_text::visible;
use crate::transport::ssh::settings::Settings;
use crate::transport::ssh::telling::Telling;

/// A key to offer.
pub(super) struct Identity {
    /// Absent where only the passphrase can tell.
    pub(super) key: Option<PublicKey>,
    pub(super) certificate: Option<Certificate>,
    pub(super) holder: Holder,
    /// How messages name it.
    pub(super) label: String,
}

/// Where the private key is.
#[derive(Clone)]
pub(super) enum Holder {
    Agent,
    File(Box<KeyFile>),
    /// A device that a file names, and that the agent does not know.
    Device,
    /// This file, which is in this form that only `ssh` reads.
    Foreign(PathBuf, String),
}

/// Collects the keys to offer from the files of the configuration and from what the agent holds.
pub(super) fn collect(settings: &Settings, agent: Vec<AgentIdentity>, telling: &Telling) -> Vec<Identity> {
    let mut named = Vec::new();
    let mut files = Vec::new();
    let mut certificates: Vec<Certificate> =
        settings.certificate_files.iter().filter_map(|path| key_file::certificate(path)).collect();
    for path in &settings.identity_files {
        certificates.extend(key_file::certificate(&key_file::with_suffix(path, "-cert.pub")));
        match key_file::find(path) {
            Found::Private(file, key) => {
                named.extend(key.clone());
                files.push(from_file(path, Holder::File(Box::new(file)), key));
            }
            Found::Public(key) => named.push(key),
            Found::Device(key) => {
                named.push(key.clone());
                files.push(from_file(path, Holder::Device, Some(key)));
            }
            Found::Foreign(form, key) => {
                named.extend(key.clone());
                files.push(from_file(path, Holder::Foreign(path.clone(), form), key));
            }
            Found::Missing => {}
            Found::Unusable(reason) => telling.notice(Notice::KeySkipped { file: path.clone(), reason }),
        }
    }
    let is_named = |key: &PublicKey| named.iter().any(|other| other.key_data() == key.key_data());
    let (preferred, others): (Vec<_>, Vec<_>) =
        agent.into_iter().map(from_agent).partition(|identity| identity.key.as_ref().is_some_and(is_named));
    let others = if settings.identities_only { Vec::new() } else { others };
    files.retain(|file| !preferred.iter().any(|held| held.is_same_key(file)));
    let mut plain: Vec<Identity> = preferred.into_iter().chain(others).chain(files).collect();
    let mut identities = certified(&mut plain, certificates);
    identities.append(&mut plain);
    identities
}

/// Takes out the identities that have a certificate, of their own or among `certificates`.
///
/// The plain key stays behind too: a server that does not trust the authority may know the key.
fn certified(plain: &mut Vec<Identity>, certificates: Vec<Certificate>) -> Vec<Identity> {
    let (mut first, rest): (Vec<_>, Vec<_>) =
        plain.drain(..).partition(|identity| identity.certificate.is_some());
    *plain = rest;
    for certificate in certificates {
        let of_this = |identity: &&mut Identity| {
            identity.key.as_ref().is_some_and(|key| key.key_data() == certificate.public_key())
        };
        let Some(identity) = plain.iter_mut().find(of_this) else { continue };
        let holder = identity.holder.clone();
        let label = format!("certificate of {}", identity.label);
        first.push(Identity { key: identity.key.clone(), certificate: Some(certificate), holder, label });
    }
    first
}

fn from_file(path: &Path, holder: Holder, key: Option<PublicKey>) -> Identity {
    Identity { key, certificate: None, holder, label: format!("key {}", path.display()) }
}

fn from_agent(held: AgentIdentity) -> Identity {
    let comment = visible(held.comment());
    let key = Some(held.public_key().into_owned());
    match held {
        AgentIdentity::PublicKey { .. } => Identity {
            key,
            certificate: None,
            holder: Holder::Agent,
            label: format!("agent key {comment:?}"),
        },
        AgentIdentity::Certificate { certificate, .. } => Identity {
            key,
            certificate: Some(certificate),
            holder: Holder::Agent,
            label: format!("agent certificate {comment:?}"),
        },
    }
}

impl Identity {
    fn is_same_key(&self, other: &Self) -> bool {
        self.certificate.is_none()
            && match (&self.key, &other.key) {
                (Some(one), Some(two)) => one.key_data() == two.key_data(),
                _ => false,
            }
    }
}
