//! In which forms private keys behind a passphrase are read: `ssh` reads more, by way of its own cryptography.

use russh::keys::PrivateKey;
use russh::keys::ssh_encoding::{Base64Reader, Reader as _};
use russh::keys::ssh_key::Cipher;

/// How much of a PKCS#8 file is looked at, in bytes: more than what precedes the key proper.
const PKCS8_HEAD: usize = 192;

// Object identifiers (RFC 8018, RFC 7914, NIST's AES), as DER has them.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
const HMAC_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2];
const SCRYPT: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11];
const AES: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1];

/// Names the form of a private key behind a passphrase if no passphrase would open it here. `container` is what
/// `text` is where it is of OpenSSH's own format.
pub(super) fn unread(text: &str, container: Option<&PrivateKey>) -> Option<String> {
    if let Some(key) = container {
        let cipher = key.cipher();
        return (cipher == Cipher::TdesCbc).then(|| format!("OPENSSH PRIVATE KEY, {}", cipher.as_str()));
    }
    let kind = text.lines().find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))?;
    if kind == "ENCRYPTED PRIVATE KEY" {
        return (!is_pkcs8_read(text)).then(|| format!("{kind}, not by PBES2 with AES and SHA-2"));
    }
    let cipher = text.lines().find_map(|line| line.strip_prefix("DEK-Info: "))?.split(',').next()?;
    (!matches!((kind, cipher), ("RSA PRIVATE KEY", "AES-128-CBC"))).then(|| format!("{kind}, {cipher}"))
}

/// Whether a PKCS#8 file names only what the decoder has. What cannot be understood is left to that to complain about.
fn is_pkcs8_read(text: &str) -> bool {
    let base64: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let mut head = [0; PKCS8_HEAD];
    let Ok(mut reader) = Base64Reader::new(base64.as_bytes()) else { return true };
    let length = reader.remaining_len().min(PKCS8_HEAD);
    let Some(Ok(head)) = head.get_mut(..length).map(|head| reader.read(head)) else { return true };
    // Each is followed by a number that tells the algorithms of its family apart.
    let of_family =
        |family: &[u8]| head.windows(family.len() + 1).find_map(|bytes| bytes.strip_prefix(family)?.first());
    let derived = head.windows(SCRYPT.len()).any(|bytes| bytes == SCRYPT)
        || matches!(of_family(HMAC_SHA2), Some(8..=11));
    let is_pbes2 = head.windows(PBES2.len()).any(|bytes| bytes == PBES2);
    is_pbes2 && derived && matches!(of_family(AES), Some(2 | 22 | 42))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::find;
    use russh::keys::decode_secret_key;
    use std::process::Command;

    /// What the decoder says of a key with the right passphrase is what is said of the form.
    #[test]
    fn a_form_is_read_if_the_right_passphrase_opens_it() {
        let (Some(keygen), Some(openssl)) = (find("ssh-keygen"), find("openssl")) else { return };
        let dir = tempfile::tempdir().unwrap();
        let run = |program: &std::path::Path, arguments: &str| {
            let made =
                Command::new(program).args(arguments.split(' ')).current_dir(dir.path()).output().unwrap();
            assert!(made.status.success(), "{arguments}: {}", String::from_utf8_lossy(&made.stderr));
        };
        run(&keygen, "-q -t ecdsa -m PKCS8 -N  -f ec");
        run(&keygen, "-q -t rsa -b 2048 -m PEM -N  -f rsa");
        let mut names = Vec::new();
        for (name, options) in [
            ("own", "-t ed25519"),
            ("own-3des", "-t ed25519 -Z 3des-cbc"),
            ("own-gcm", "-t ed25519 -Z aes256-gcm@openssh.com"),
            ("own-chacha", "-t ed25519 -Z chacha20-poly1305@openssh.com"),
            ("pem-rsa", "-t rsa -b 2048 -m PEM"),
            ("pem-ec", "-t ecdsa -m PEM"),
            ("pkcs8-ec", "-t ecdsa -m PKCS8"),
            ("pkcs8-rsa", "-t rsa -b 2048 -m PKCS8"),
        ] {
            run(&keygen, &format!("-q {options} -N secret -f {name}"));
            names.push(name);
        }
        for (name, options) in [
            ("rsa-3des", "rsa -in rsa -traditional -des3"),
            ("rsa-256", "rsa -in rsa -traditional -aes256"),
            ("pkcs8-3des", "pkcs8 -topk8 -in ec -v2 des3"),
            ("pkcs8-camellia", "pkcs8 -topk8 -in ec -v2 camellia128"),
            ("pkcs8-sha1", "pkcs8 -topk8 -in ec -v2 aes256 -v2prf hmacWithSHA1"),
            ("pkcs8-sha512", "pkcs8 -topk8 -in ec -v2 aes192 -v2prf hmacWithSHA512"),
            ("pkcs8-scrypt", "pkcs8 -topk8 -in ec -scrypt"),
            ("pkcs8-1", "pkcs8 -topk8 -in ec -v1 PBE-SHA1-3DES"),
        ] {
            run(&openssl, &format!("{options} -passout pass:secret -out {name}"));
            names.push(name);
        }
        let mut unreadable = Vec::new();
        for name in names {
            let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
            let container = PrivateKey::from_openssh(&text).ok();
            let unread = unread(&text, container.as_ref());
            let opened = decode_secret_key(&text, Some("secret"));
            assert_eq!(unread.is_none(), opened.is_ok(), "{name}: {unread:?}, {:?}", opened.err());
            unreadable.extend(unread);
        }
        assert!(unreadable.contains(&"EC PRIVATE KEY, AES-128-CBC".to_owned()), "{unreadable:?}");
        assert_eq!(unreadable.len(), 8, "{unreadable:?}");
    }
}
