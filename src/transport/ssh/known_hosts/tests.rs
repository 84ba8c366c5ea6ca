use super::*;
use crate::testing::find;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use russh::keys::ssh_key::certificate::Builder;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};

const NOW: u64 = 1_800_000_000;

fn private(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn public(seed: u8) -> PublicKey {
    PublicKey::new(private(seed).public_key().key_data().clone(), "")
}

fn line(hosts: &str, seed: u8) -> String {
    format!("{hosts} {}\n", public(seed).to_openssh().unwrap())
}

fn names(host: &str, port: u16) -> Names {
    if port == 22 {
        Names { exact: host.to_owned(), plain: None }
    } else {
        Names { exact: format!("[{host}]:{port}"), plain: Some(host.to_owned()) }
    }
}

fn judge_offer(text: &str, names: &Names, offered: &PublicKeyOrCertificate) -> Verdict {
    let mut known = KnownHosts::default();
    known.read(names, Path::new("kh"), text);
    known.judge(offered, names, NOW)
}

fn judge(text: &str, host: &str, port: u16, seed: u8) -> Verdict {
    judge_offer(text, &names(host, port), &public(seed).into())
}

fn at(line: usize) -> Place {
    Place { file: "kh".into(), line }
}

#[test]
fn plain_keys() {
    let cases: &[(&str, String, &str, u16, Verdict)] = &[
        ("no file", String::new(), "box", 22, Verdict::Unknown),
        ("the key", line("box", 1), "box", 22, Verdict::Known),
        ("one of several names", line("other,box,1.2.3.4", 1), "box", 22, Verdict::Known),
        ("in capitals", line("BOX", 1), "box", 22, Verdict::Known),
        ("a pattern", line("*.example.com", 1), "a.example.com", 22, Verdict::Known),
        ("a negation", line("*.example.com,!a.example.com", 1), "a.example.com", 22, Verdict::Unknown),
        ("another key", line("other", 1) + &line("box", 2), "box", 22, Verdict::Changed(at(2))),
        ("two keys of one type", line("box", 2) + &line("box", 1), "box", 22, Verdict::Known),
        ("comments and blanks", format!("# x\n\n  {}", line("box", 1)), "box", 22, Verdict::Known),
        ("tabs", line("box", 1).replace(' ', "\t"), "box", 22, Verdict::Known),
        ("broken lines", format!("box\nbox x\nbox ssh-x !\n{}", line("box", 1)), "box", 22, Verdict::Known),
        ("no final newline", line("box", 1).trim_end().to_owned(), "box", 22, Verdict::Known),
        ("with its port", line("[box]:2200", 1), "box", 2200, Verdict::Known),
        ("with another port", line("[box]:2201", 2), "box", 2200, Verdict::Unknown),
        ("vouched for at the default port", line("box", 1), "box", 2200, Verdict::Known),
        ("another key at the default port", line("box", 2), "box", 2200, Verdict::Unknown),
        (
            "another key at its port",
            line("box", 2) + &line("[box]:2200", 3),
            "box",
            2200,
            Verdict::Changed(at(2)),
        ),
        ("revoked", line("box", 1) + &line("@revoked *", 1), "box", 22, Verdict::Revoked(at(2))),
        ("revoked for others", line("box", 1) + &line("@revoked other", 1), "box", 22, Verdict::Known),
        ("revoked at a port", line("@revoked box", 1), "box", 2200, Verdict::Revoked(at(1))),
        ("an authority's key is no host's", line("@cert-authority box", 1), "box", 22, Verdict::Unknown),
        ("an unknown marker", line("@other box", 2), "box", 22, Verdict::Unknown),
    ];
    for (name, text, host, port, expected) in cases {
        assert_eq!(judge(text, host, *port, 1), *expected, "{name}");
    }
}

#[test]
fn a_record_of_another_type_still_speaks_against() {
    let dir = tempfile::tempdir().unwrap();
    let Some(text) = keygen_line(dir.path(), "ecdsa", "box") else { return };
    assert_eq!(judge(&text, "box", 22, 1), Verdict::Changed(at(1)));
    assert_eq!(
        judge(&(text.clone() + &line("box", 2)), "box", 22, 1),
        Verdict::Changed(at(2)),
        "same type first"
    );
    let mut known = KnownHosts::default();
    known.read(&names("box", 22), Path::new("kh"), &text);
    assert!(!known.has_key_of(&Algorithm::Ed25519));
    assert!(known.has_key_of(&Algorithm::new("ecdsa-sha2-nistp256").unwrap()));
}

fn keygen_line(dir: &Path, kind: &str, host: &str) -> Option<String> {
    let key = dir.join("key");
    let made = Command::new(find("ssh-keygen")?).args(["-q", "-N", "", "-t", kind, "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    Some(format!("{host} {}", std::fs::read_to_string(key.with_extension("pub")).unwrap()))
}

struct Certified {
    principals: Vec<&'static str>,
    valid: (u64, u64),
    host: bool,
    critical: bool,
    signer: u8,
}

impl Default for Certified {
    fn default() -> Self {
        Self { principals: vec!["box"], valid: (NOW - 10, NOW + 10), host: true, critical: false, signer: 9 }
    }
}

impl Certified {
    fn offer(self) -> PublicKeyOrCertificate {
        let mut builder = Builder::new([7; 16], public(1), self.valid.0, self.valid.1).unwrap();
        builder.cert_type(if self.host { CertType::Host } else { CertType::User }).unwrap();
        for principal in &self.principals {
            builder.valid_principal(*principal).unwrap();
        }
        if self.principals.is_empty() {
            builder.all_principals_valid().unwrap();
        }
        if self.critical {
            builder.critical_option("force-command", "x").unwrap();
        }
        builder.sign(&private(self.signer)).unwrap().into()
    }
}

#[test]
fn certificates() {
    let authority = line("@cert-authority *.example.com,box", 9);
    let bad = |text: &str| Verdict::BadCertificate(text.to_owned());
    let cases = [
        ("good", Certified::default(), authority.clone(), Verdict::Known),
        (
            "any principal",
            Certified { principals: vec![], ..Certified::default() },
            authority.clone(),
            Verdict::Known,
        ),
        (
            "a pattern",
            Certified { principals: vec!["b*"], ..Certified::default() },
            authority.clone(),
            Verdict::Known,
        ),
        (
            "another host's",
            Certified { principals: vec!["other"], ..Certified::default() },
            authority.clone(),
            bad("it is for other"),
        ),
        (
            "expired",
            Certified { valid: (NOW - 10, NOW), ..Certified::default() },
            authority.clone(),
            bad("it is expired or not yet valid"),
        ),
        (
            "a user's",
            Certified { host: false, ..Certified::default() },
            authority.clone(),
            bad("it is a user's certificate"),
        ),
        (
            "critical option",
            Certified { critical: true, ..Certified::default() },
            authority.clone(),
            bad("it has the unknown critical option \"force-command\""),
        ),
        (
            "authority not trusted",
            Certified { signer: 8, ..Certified::default() },
            authority.clone(),
            Verdict::Unknown,
        ),
        (
            "authority not trusted, key known",
            Certified { signer: 8, ..Certified::default() },
            line("box", 1),
            Verdict::Known,
        ),
        (
            "expired, key known",
            Certified { valid: (NOW - 10, NOW), ..Certified::default() },
            authority.clone() + &line("box", 1),
            Verdict::Known,
        ),
        ("authority for others", Certified::default(), line("@cert-authority other", 9), Verdict::Unknown),
        (
            "authority revoked",
            Certified::default(),
            authority.clone() + &line("@revoked *", 9),
            Verdict::Revoked(at(2)),
        ),
        (
            "key revoked",
            Certified::default(),
            authority.clone() + &line("@revoked *", 1),
            Verdict::Revoked(at(2)),
        ),
    ];
    for (name, certified, text, expected) in cases {
        assert_eq!(judge_offer(&text, &names("box", 22), &certified.offer()), expected, "{name}");
    }
}

#[test]
fn authorities_sign_with_what_the_configuration_allows() {
    let text = line("@cert-authority box", 9);
    for (allowed, expected) in [("ssh-ed25519", true), ("rsa-sha2-512", false)] {
        let mut known = KnownHosts { signatures: Some(vec![allowed.to_owned()]), ..KnownHosts::default() };
        known.read(&names("box", 22), Path::new("kh"), &text);
        let verdict = known.judge(&Certified::default().offer(), &names("box", 22), NOW);
        assert_eq!(verdict == Verdict::Known, expected, "{allowed}: {verdict}");
    }
}

#[test]
fn a_stored_host_is_known_and_hashing_hides_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".ssh/known_hosts");
    store(&file, "[box]:2200", false, &public(1)).unwrap();
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().trim_end()).unwrap();
    store(&file, "secret", true, &public(2)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(!text.contains("secret"));
    assert_eq!(judge(&text, "box", 2200, 1), Verdict::Known);
    assert_eq!(judge(&text, "secret", 22, 2), Verdict::Known);
    assert_eq!(judge(&text, "secret", 22, 3), Verdict::Changed(at(2)));
    assert_eq!(judge(&text, "other", 22, 2), Verdict::Unknown);
}

#[test]
fn missing_files_say_nothing_and_unreadable_ones_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = [dir.path().join("none")];
    assert!(KnownHosts::load(&names("box", 22), missing.iter(), None).unwrap().records.is_empty());
    let directory = [dir.path().to_owned()];
    assert!(matches!(
        KnownHosts::load(&names("box", 22), directory.iter(), None),
        Err(Error::KnownHosts { .. })
    ));
}

proptest::proptest! {
    #[test]
    fn no_line_panics(text in "[@!|#*?,a-z0-9 \t=\\[\\]:]{0,60}") {
        judge(&text, "box", 22, 1);
    }
}
