//! Which algorithms are offered to a server, and in which order.
//!
//! The configuration says what is allowed; `ssh -G` prints its lists always, defaults included, and they cannot be
//! told from the user's own. So for ciphers and MACs, where all that is allowed is good enough and order only means
//! speed, the order is ours; for key exchange it is the configuration's.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{AlgorithmKind, Preferred, cipher, compression, kex, mac};

use crate::transport::Error;
use crate::transport::ssh::known_hosts::KnownHosts;
use crate::transport::ssh::server_text::visible;
use crate::transport::ssh::settings::Settings;
use crate::transport::ssh::telling::Telling;

/// Names that OpenSSH's own lists have had and this client has not: nobody asked for them.
const USUAL: &[&str] = &[
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "umac-64-etm@openssh.com",
    "umac-128-etm@openssh.com",
    "umac-64@openssh.com",
    "umac-128@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// AES in hardware runs at several times the speed of ChaCha20; without it, at a fraction.
const WITH_AES: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

const WITHOUT_AES: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

const MACS: &[mac::Name] = &[
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256,
    mac::HMAC_SHA512,
    mac::HMAC_SHA1_ETM,
    mac::HMAC_SHA1,
];

const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_G14_SHA1,
    kex::DH_GEX_SHA1,
];

/// SHA-1 exchanges, offered only where the configuration names them.
const OLD_KEY_EXCHANGES: &[kex::Name] = &[kex::DH_G14_SHA1, kex::DH_GEX_SHA1];

/// Not algorithms but announcements: extension information (RFC 8308) and OpenSSH's strict key exchange.
const ANNOUNCEMENTS: &[kex::Name] =
    &[kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Returns what to offer to the server of `settings`.
///
/// Host key types already known for the host come first, so that a server with several keys presents one that can
/// be checked. Certificates are asked for only where an authority is trusted for the host.
///
/// # Errors
/// When the configuration allows nothing the client can do.
pub(super) fn preferred(
    settings: &Settings,
    known: &KnownHosts,
    telling: &Telling,
) -> Result<Preferred, Error> {
    let nothing_left = |directive, list: &Option<Vec<String>>| Error::Directive {
        host: settings.hostname.clone(),
        directive,
        value: list.as_deref().unwrap_or_default().join(","),
    };
    for (directive, skipped, _) in unknown(settings) {
        telling.step(|| format!("of {directive}, skipped as unknown to this client: {}", skipped.join(", ")));
    }
    let ciphers = allowed(if has_aes() { WITH_AES } else { WITHOUT_AES }, &settings.ciphers);
    if ciphers.is_empty() {
        return Err(nothing_left("Ciphers", &settings.ciphers));
    }
    let macs = allowed(MACS, &settings.macs);
    if macs.is_empty() && !ciphers.iter().any(|name| brings_its_own_mac(*name)) {
        return Err(nothing_left("MACs", &settings.macs));
    }
    let mut exchanges = key_exchanges(&settings.key_exchanges);
    if exchanges.is_empty() {
        return Err(nothing_left("KexAlgorithms", &settings.key_exchanges));
    }
    exchanges.extend_from_slice(ANNOUNCEMENTS);
    let mut keys = allowed(HOST_KEYS, &settings.host_key_algorithms);
    if keys.is_empty() {
        return Err(nothing_left("HostKeyAlgorithms", &settings.host_key_algorithms));
    }
    keys.sort_by_key(|algorithm| !known.has_key_of(algorithm));
    let certificates = if known.has_authority() { certificate_algorithms(settings) } else { Vec::new() };
    Ok(Preferred {
        kex: Cow::Owned(exchanges),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Owned(ciphers),
        mac: Cow::Owned(macs),
        compression: Cow::Borrowed(&[compression::NONE]),
    })
}

/// What is wrong where the server has none of what [`preferred`] gave, but `theirs`.
pub(super) fn none_in_common(settings: &Settings, kind: &AlgorithmKind, theirs: &[String]) -> Error {
    let list = match kind {
        AlgorithmKind::Kex => &settings.key_exchanges,
        AlgorithmKind::Key => &settings.host_key_algorithms,
        AlgorithmKind::Cipher => &settings.ciphers,
        AlgorithmKind::Mac => &settings.macs,
        AlgorithmKind::Compression => &None,
    };
    // The list is of what OpenSSH's client has, so what the server shares with it that client can do.
    let shared = allowed(theirs, &Some(list.clone().unwrap_or_default()));
    Error::Algorithms {
        host: settings.hostname.clone(),
        kind: called(kind),
        offered: visible(&theirs.join(", ")),
        beyond: (!shared.is_empty()).then(|| visible(&shared.join(", "))),
    }
}

/// What a person calls what algorithms of a kind are for.
pub(super) fn called(kind: &AlgorithmKind) -> &'static str {
    match kind {
        AlgorithmKind::Kex => "key exchange",
        AlgorithmKind::Key => "type of host key",
        AlgorithmKind::Cipher => "cipher",
        AlgorithmKind::Mac => "MAC",
        AlgorithmKind::Compression => "compression",
    }
}

fn allowed<N: AsRef<str> + Clone>(ours: &[N], list: &Option<Vec<String>>) -> Vec<N> {
    let is_allowed =
        |name: &N| list.as_ref().is_none_or(|list| list.iter().any(|item| item == name.as_ref()));
    ours.iter().filter(|&name| is_allowed(name)).cloned().collect()
}

fn texts<N: AsRef<str>>(names: &[N]) -> Vec<String> {
    names.iter().map(|name| name.as_ref().to_owned()).collect()
}

/// The directives whose lists have names that this client does not know, with those names, and with whether it knows
/// others of the list.
fn unknown(settings: &Settings) -> impl Iterator<Item = (&'static str, Vec<&str>, bool)> {
    let keys = HOST_KEYS.iter().flat_map(|key| [key.to_string(), key.to_certificate_type()]).collect();
    let lists = [
        ("Ciphers", &settings.ciphers, texts(WITH_AES)),
        ("MACs", &settings.macs, texts(MACS)),
        ("KexAlgorithms", &settings.key_exchanges, texts(KEY_EXCHANGES)),
        ("HostKeyAlgorithms", &settings.host_key_algorithms, keys),
    ];
    lists.into_iter().filter_map(|(directive, list, ours)| {
        let list = list.as_deref().unwrap_or_default();
        let others: Vec<&str> = list.iter().filter(|name| !ours.contains(name)).map(String::as_str).collect();
        let knows_some = others.len() < list.len();
        (!others.is_empty()).then_some((directive, others, knows_some))
    })
}

/// Which names that this client does not know somebody put into the lists of `settings`, with the directives, where it
/// knows others of the list; `None` if there are none. `defaults` is asked for what the lists are where nobody says,
/// and only if it matters: in what `ssh -G` prints they cannot be told from what the user wrote.
pub(super) fn asked_in_vain(
    settings: &Settings,
    defaults: impl FnOnce() -> Option<Settings>,
) -> Option<String> {
    let candidates: Vec<(&str, &str)> = unknown(settings)
        .filter(|(_, _, knows_some)| *knows_some)
        .flat_map(|(directive, names, _)| names.into_iter().map(move |name| (directive, name)))
        .filter(|(_, name)| !USUAL.contains(name))
        .collect();
    if candidates.is_empty() {
        return None;
    }
    let defaults = defaults()?;
    let is_default = |candidate: &&(&str, &str)| {
        unknown(&defaults)
            .any(|(directive, names, _)| directive == candidate.0 && names.contains(&candidate.1))
    };
    let asked: Vec<String> = candidates
        .iter()
        .filter(|candidate| !is_default(candidate))
        .map(|(directive, name)| format!("{} ({directive})", visible(name)))
        .collect();
    (!asked.is_empty()).then(|| asked.join(", "))
}

fn key_exchanges(list: &Option<Vec<String>>) -> Vec<kex::Name> {
    match list {
        None => KEY_EXCHANGES.iter().filter(|name| !OLD_KEY_EXCHANGES.contains(name)).copied().collect(),
        Some(list) => list
            .iter()
            .filter_map(|item| KEY_EXCHANGES.iter().find(|name| name.as_ref() == item))
            .copied()
            .collect(),
    }
}

fn certificate_algorithms(settings: &Settings) -> Vec<Algorithm> {
    let list = settings.host_key_algorithms.as_ref();
    let is_allowed = |algorithm: &&Algorithm| {
        let name = algorithm.to_certificate_type();
        list.is_none_or(|list| list.contains(&name))
    };
    HOST_KEYS.iter().filter(is_allowed).cloned().collect()
}

fn brings_its_own_mac(name: cipher::Name) -> bool {
    [cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305].contains(&name)
}

/// Whether the processor has AES instructions.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Notice;
    use crate::transport::ssh::Environment;

    fn settings() -> Settings {
        let environment = Environment {
            home: "/nonexistent".into(),
            user: "ann".to_owned(),
            agent_socket: None,
            shell: "/bin/sh".into(),
            ssh_program: "ssh".into(),
        };
        Settings::defaults("box", &environment)
    }

    fn list(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn unknown_names_are_skipped_and_order_is_kept_where_it_matters() {
        let mut settings = settings();
        settings.ciphers = list(&["umac", "aes256-ctr", "chacha20-poly1305@openssh.com"]);
        settings.key_exchanges = list(&["sntrup761x25519-sha512", "ecdh-sha2-nistp256", "curve25519-sha256"]);
        settings.host_key_algorithms = list(&["rsa-sha2-256", "sk-ssh-ed25519@openssh.com"]);
        let preferred = preferred(&settings, &KnownHosts::default(), &Telling::nothing()).unwrap();
        assert_eq!(*preferred.cipher, [cipher::CHACHA20_POLY1305, cipher::AES_256_CTR]);
        assert_eq!(preferred.kex.get(..2), Some(&[kex::ECDH_SHA2_NISTP256, kex::CURVE25519][..]));
        assert!(preferred.kex.contains(&kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT));
        assert_eq!(*preferred.key, [Algorithm::Rsa { hash: Some(HashAlg::Sha256) }]);
        assert!(preferred.host_key_certificates.is_empty());
    }

    #[test]
    fn what_is_skipped_is_a_step_worth_telling() {
        let mut settings = settings();
        settings.ciphers = list(&["3des-cbc", "aes256-ctr"]);
        settings.host_key_algorithms = list(&["ssh-ed25519-cert-v01@openssh.com", "ssh-dss", "ssh-ed25519"]);
        let (telling, told) = Telling::to_a_list();
        preferred(&settings, &KnownHosts::default(), &telling).unwrap();
        let told: Vec<String> = told.lock().unwrap().iter().map(Notice::to_string).collect();
        let line =
            |directive, name| format!("ssh: of {directive}, skipped as unknown to this client: {name}");
        assert_eq!(told, [line("Ciphers", "3des-cbc"), line("HostKeyAlgorithms", "ssh-dss")]);
    }

    #[test]
    fn nothing_in_common_names_the_directive() {
        let mut settings = settings();
        settings.ciphers = list(&["3des-cbc"]);
        let error = preferred(&settings, &KnownHosts::default(), &Telling::nothing()).unwrap_err();
        assert!(error.to_string().contains("Ciphers"), "{error}");
    }
}
