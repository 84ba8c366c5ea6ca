//! Generated configurations: what is made of the answers of `ssh -G` is what a second reading of the same files says.
//!
//! The second reading is here, of the text and by the rules of `ssh_config(5)`: of each parameter the first value that
//! is met counts, blocks are in force by the patterns and criteria above them, files are read in the place where they
//! are included. It knows no more than the generator writes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Heard, Script, host, options};
use crate::testing::find;
use crate::transport::ssh::known_hosts::glob;
use crate::transport::ssh::resolve;
use crate::transport::ssh::settings::{Method, Route, Settings, UnknownHost};
use crate::transport::ssh::telling::Telling;
use crate::transport::target::Host;
use crate::transport::{Error, IpFamily, Notice};

/// How many configurations are drawn.
const FILES: u64 = 220;

/// Random numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// Parameters with values to draw from.
const VALUES: &[(&str, &[&str])] = &[
    ("HostName", &["%h.example.com", "10.0.0.1", "real-%h", "::1", "plain"]),
    ("User", &["ann", "bob", "\"carol\""]),
    ("Port", &["22", "2200", "65535"]),
    ("AddressFamily", &["any", "inet", "inet6"]),
    ("BindAddress", &["127.0.0.1", "192.0.2.7"]),
    ("BatchMode", &["yes", "no"]),
    ("ConnectTimeout", &["7", "1m", "1m30s", "none"]),
    ("ConnectionAttempts", &["1", "4"]),
    ("ServerAliveInterval", &["0", "20", "2m"]),
    ("ServerAliveCountMax", &["1", "9"]),
    ("StrictHostKeyChecking", &["yes", "no", "ask", "accept-new", "off"]),
    ("HashKnownHosts", &["yes", "no"]),
    ("HostKeyAlias", &["Alias", "other.example.com"]),
    (
        "UserKnownHostsFile",
        &["/tmp/kh_%h", "/tmp/one /tmp/two", "none", "\"/tmp/quoted\"", "/tmp/one \"/tmp/with blank\""],
    ),
    ("GlobalKnownHostsFile", &["/tmp/global", "/tmp/g1 /tmp/g2"]),
    ("IdentityFile", &["/keys/%h", "/keys/%n-%p", "/keys/%r", "\"/keys/with blank\"", "/keys/100%%"]),
    ("CertificateFile", &["/certs/%h", "/certs/plain.pub"]),
    ("IdentitiesOnly", &["yes", "no"]),
    ("IdentityAgent", &["none", "SSH_AUTH_SOCK", "/run/agent-%h"]),
    ("PasswordAuthentication", &["yes", "no"]),
    ("PubkeyAuthentication", &["yes", "no"]),
    ("KbdInteractiveAuthentication", &["yes", "no"]),
    (
        "PreferredAuthentications",
        &["password,publickey", "publickey", "gssapi-with-mic,keyboard-interactive"],
    ),
    ("NumberOfPasswordPrompts", &["1", "5"]),
    ("Ciphers", &["aes128-ctr,aes256-ctr", "chacha20-poly1305@openssh.com"]),
    ("KexAlgorithms", &["curve25519-sha256", "ecdh-sha2-nistp256,curve25519-sha256"]),
    ("MACs", &["hmac-sha2-256,hmac-sha1"]),
    ("HostKeyAlgorithms", &["ssh-ed25519,rsa-sha2-512"]),
    ("PubkeyAcceptedAlgorithms", &["ssh-ed25519", "rsa-sha2-256,ssh-ed25519"]),
    ("CASignatureAlgorithms", &["ssh-ed25519"]),
    ("RequiredRSASize", &["1024", "3072"]),
    // Whether "none" here stands in the way of a later ProxyCommand is not the same in all versions.
    ("ProxyJump", &["gate", "ann@gate:2200", "one,two"]),
    ("ProxyCommand", &["nc %h %p", "none", "sh -c \"a 'b' %r\""]),
    ("ForwardAgent", &["yes"]),
    ("Compression", &["yes"]),
];

/// Heads of blocks.
const HEADS: &[&str] = &[
    "Host box",
    "Host other",
    "Host b?x gate",
    "Host *",
    "Host * !box",
    "Host !other b*",
    "Host \"box\"",
    "Match all",
    "Match host box",
    "Match host *.example.com",
    "Match originalhost b*,!bax",
    "Match user bob",
    "Match host real-* user ann",
    "Match !user ann",
    "Match originalhost other",
];

/// Draws a configuration. With `files`, parts of it may be in others that are included.
fn draw(random: &mut Random, directory: &Path, files: usize) -> String {
    let mut text = String::new();
    for block in 0..1 + random.below(5) {
        if block > 0 || random.below(2) == 0 {
            let head = random.pick(HEADS);
            text.push_str(&if random.below(4) == 0 { head.to_lowercase() } else { head.to_owned() });
            text.push('\n');
        }
        for _ in 0..random.below(6) {
            let (keyword, values) = VALUES[random.below(VALUES.len())];
            let value = random.pick(values);
            let line = match random.below(5) {
                0 => format!("\t{} {value}", keyword.to_lowercase()),
                1 if !value.contains(' ') => format!("  {keyword}={value}"),
                2 => format!("    {}   {value}  ", keyword.to_uppercase()),
                _ => format!("  {keyword} {value}"),
            };
            text.push_str(&line);
            text.push('\n');
        }
        if random.below(5) == 0 {
            text.push_str("\n# a comment, Port 1\n");
        }
        if files > 0 && random.below(3) == 0 {
            let file = directory.join(format!("part{files}-{block}"));
            fs::write(&file, draw(random, directory, files - 1)).unwrap();
            text.push_str(&format!("  Include {}\n", file.display()));
        }
    }
    text
}

/// The second reading.
#[derive(Default)]
struct Reading {
    /// The first value of each parameter, by its name in lower case.
    first: HashMap<String, String>,
    identity_files: Vec<String>,
    certificate_files: Vec<String>,
    /// Whether a route has been chosen, by either of its two parameters.
    route: Option<(bool, String)>,
}

impl Reading {
    fn get(&self, name: &str) -> Option<&str> {
        self.first.get(name).map(String::as_str)
    }

    fn read(&mut self, file: &Path, user: &str, outer: bool) {
        let mut active = outer;
        for line in fs::read_to_string(file).unwrap().lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (keyword, value) = line.split_once([' ', '=', '\t']).unwrap();
            let (keyword, value) = (keyword.to_lowercase(), value.trim().to_owned());
            match keyword.as_str() {
                "host" => active = outer && is_meant(&words(&value), "box"),
                "match" => active = outer && self.matches(&words(&value), user),
                "include" => self.read(Path::new(&value), user, active),
                _ if active => self.set(&keyword, &value),
                _ => {}
            }
        }
    }

    fn set(&mut self, keyword: &str, value: &str) {
        let unquoted = || words(value).remove(0);
        match keyword {
            "identityfile" => push_new(&mut self.identity_files, unquoted()),
            "certificatefile" => push_new(&mut self.certificate_files, unquoted()),
            "proxyjump" | "proxycommand" => {
                self.route.get_or_insert((keyword == "proxyjump", value.to_owned()));
            }
            // The word says as much as nothing does, so a later value counts.
            "connecttimeout" if value == "none" => {}
            "userknownhostsfile" | "globalknownhostsfile" => {
                self.first.entry(keyword.to_owned()).or_insert_with(|| words(value).join("\n"));
            }
            _ => {
                self.first.entry(keyword.to_owned()).or_insert_with(unquoted);
            }
        }
    }

    fn matches(&self, criteria: &[String], user: &str) -> bool {
        let mut rest = criteria.iter();
        let mut result = true;
        while let Some(word) = rest.next() {
            let (negated, name) = word.strip_prefix('!').map_or((false, word.as_str()), |name| (true, name));
            if name == "all" {
                continue;
            }
            let patterns: Vec<String> = rest.next().unwrap().split(',').map(str::to_owned).collect();
            let subject = match name {
                "host" => self.hostname(),
                "originalhost" => "box".to_owned(),
                _ => self.get("user").unwrap_or(user).to_owned(),
            };
            result &= is_meant(&patterns, &subject) != negated;
        }
        result
    }

    fn hostname(&self) -> String {
        self.get("hostname").map_or("box".to_owned(), |name| name.replace("%h", "box"))
    }
}

fn push_new(list: &mut Vec<String>, value: String) {
    if !list.contains(&value) {
        list.push(value);
    }
}

fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = value.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim();
    }
    words
}

/// Whether a list of patterns means a name.
fn is_meant(patterns: &[String], name: &str) -> bool {
    let negated = patterns.iter().filter_map(|pattern| pattern.strip_prefix('!'));
    let mut positive = patterns.iter().filter(|pattern| !pattern.starts_with('!'));
    !negated.into_iter().any(|pattern| glob(pattern, name)) && positive.any(|pattern| glob(pattern, name))
}

fn seconds(value: &str) -> u64 {
    let mut total = 0;
    let mut number = 0;
    for c in value.chars() {
        match c.to_digit(10) {
            Some(digit) => number = number * 10 + u64::from(digit),
            None => {
                total += number * if c == 'm' { 60 } else { 1 };
                number = 0;
            }
        }
    }
    total + number
}

fn list(value: Option<&str>) -> Option<Vec<String>> {
    value.map(|value| value.split(',').map(str::to_owned).collect())
}

/// Puts what the second reading says into the place of what was made of `ssh -G`, where it says anything; what is left
/// are the defaults of the program that is installed.
fn expected(reading: &Reading, found: &Settings, user: &str) -> Settings {
    let mut settings = found.clone();
    let yes = |name: &str| reading.get(name) == Some("yes");
    settings.original = "box".to_owned();
    settings.hostname = reading.hostname().to_lowercase();
    settings.user = reading.get("user").unwrap_or(user).to_owned();
    settings.port = reading.get("port").map_or(22, |port| port.parse().unwrap());
    let route = reading.route.as_ref().filter(|(_, value)| value != "none");
    settings.route = match route {
        None => Route::Direct,
        Some((true, hosts)) => Route::Jump(hosts.split(',').map(|host| Host::parse(host).unwrap()).collect()),
        Some((false, command)) => Route::Command(command.clone()),
    };
    settings.family = match reading.get("addressfamily") {
        Some("inet") => Some(IpFamily::V4),
        Some("inet6") => Some(IpFamily::V6),
        _ => None,
    };
    settings.bind_address = reading.get("bindaddress").map(str::to_owned);
    settings.batch = yes("batchmode");
    settings.connection_attempts =
        reading.get("connectionattempts").map_or(1, |number| number.parse().unwrap());
    settings.connect_timeout = reading.get("connecttimeout").map(|value| Duration::from_secs(seconds(value)));
    if let Some(alive) = reading.get("serveraliveinterval").map(seconds) {
        settings.alive_interval = Duration::from_secs(if alive == 0 { 15 } else { alive });
    }
    settings.alive_count = reading.get("serveralivecountmax").map_or(3, |number| number.parse().unwrap());
    settings.unknown_host = match reading.get("stricthostkeychecking") {
        Some("yes") => UnknownHost::Refuse,
        Some("no" | "off") => UnknownHost::AcceptAny,
        Some("accept-new") => UnknownHost::Accept,
        _ => UnknownHost::Ask,
    };
    settings.hash_known_hosts = yes("hashknownhosts");
    settings.host_key_alias = reading.get("hostkeyalias").map(str::to_lowercase);
    settings.identities_only = yes("identitiesonly");
    settings.password_prompts =
        reading.get("numberofpasswordprompts").map_or(3, |number| number.parse().unwrap());
    settings.rsa_bits = reading.get("requiredrsasize").map_or(1024, |number| number.parse().unwrap());
    let replaced = |text: &str| {
        text.replace("%h", &settings.hostname)
            .replace("%n", "box")
            .replace("%p", &settings.port.to_string())
            .replace("%r", &settings.user)
            .replace("%%", "%")
    };
    let paths = |text: &str| -> Vec<PathBuf> {
        text.lines().filter(|&name| name != "none").map(|name| PathBuf::from(replaced(name))).collect()
    };
    let all = |list: &[String]| list.iter().map(|text| PathBuf::from(replaced(text))).collect::<Vec<_>>();
    if let Some(files) = reading.get("userknownhostsfile") {
        settings.user_known_hosts = paths(files);
    }
    if let Some(files) = reading.get("globalknownhostsfile") {
        settings.global_known_hosts = paths(files);
    }
    if !reading.identity_files.is_empty() {
        settings.identity_files = all(&reading.identity_files);
    }
    settings.certificate_files = all(&reading.certificate_files);
    settings.agent = match reading.get("identityagent") {
        None | Some("SSH_AUTH_SOCK") => Some("/the/socket".into()),
        Some("none") => None,
        Some(path) => Some(replaced(path).into()),
    };
    let enabled = |method: &Method| {
        reading.get(match method {
            Method::PublicKey => "pubkeyauthentication",
            Method::KeyboardInteractive => "kbdinteractiveauthentication",
            Method::Password => "passwordauthentication",
        }) != Some("no")
    };
    let preferred =
        reading.get("preferredauthentications").unwrap_or("publickey,keyboard-interactive,password");
    settings.methods = preferred
        .split(',')
        .filter_map(|name| Method::ALL.into_iter().find(|method| method.name() == name))
        .filter(enabled)
        .collect();
    for (name, field) in [
        ("ciphers", &mut settings.ciphers),
        ("kexalgorithms", &mut settings.key_exchanges),
        ("macs", &mut settings.macs),
        ("hostkeyalgorithms", &mut settings.host_key_algorithms),
        ("pubkeyacceptedalgorithms", &mut settings.login_algorithms),
        ("casignaturealgorithms", &mut settings.authority_algorithms),
    ] {
        if let Some(names) = list(reading.get(name)) {
            *field = Some(names);
        }
    }
    settings
}

#[test]
fn generated_configurations_are_read_as_they_are_meant() {
    if find("ssh").is_none() {
        return;
    }
    let user = super::sshd::login_name();
    let mut routes = 0;
    let mut ambiguous = 0;
    let mut wrong = Vec::new();
    for seed in 0..FILES {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        fs::write(&config, draw(&mut Random(seed), dir.path(), 2)).unwrap();
        let mut options = options(dir.path(), &config, Arc::new(Script::default()), &Heard::default());
        options.environment.agent_socket = Some("/the/socket".into());
        let mut reading = Reading::default();
        reading.read(&config, &user, true);
        let found = resolve::settings(&host("box"), &[], &options, &Telling::nothing());
        if reading.get("userknownhostsfile").is_some_and(|files| files.contains(' ')) {
            assert!(
                matches!(found, Err(Error::Directive { directive: "UserKnownHostsFile", .. })),
                "seed {seed}"
            );
            ambiguous += 1;
            continue;
        }
        let found = found.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", everything(dir.path())));
        routes += usize::from(found.route != Route::Direct);
        let expected = expected(&reading, &found, &user);
        if found != expected {
            wrong.push(format!("seed {seed}: {}{}", differences(&found, &expected), everything(dir.path())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(routes > 10 && ambiguous > 1, "the files drawn say little: {routes}, {ambiguous}");
}

/// Lists with names to draw from: of the client, of OpenSSH's own lists but not of the client, and of neither.
const LISTS: &[(&str, [&[&str]; 3])] = &[
    ("Ciphers", [&["aes128-ctr", "aes256-gcm@openssh.com"], &[], &["3des-cbc", "aes256-cbc"]]),
    ("MACs", [&["hmac-sha2-256", "hmac-sha1"], &["umac-64@openssh.com"], &["hmac-md5", "hmac-sha1-96"]]),
    (
        "KexAlgorithms",
        [
            &["curve25519-sha256", "diffie-hellman-group14-sha1"],
            &["sntrup761x25519-sha512@openssh.com"],
            &["diffie-hellman-group1-sha1"],
        ],
    ),
    ("HostKeyAlgorithms", [&["ssh-ed25519"], &["sk-ssh-ed25519@openssh.com"], &["ssh-rsa"]]),
];

/// Draws lines with lists, and which of the names in them are told to be unknown.
fn draw_lists(random: &mut Random) -> (String, Vec<String>) {
    let (mut text, mut told) = (String::new(), Vec::new());
    for (directive, [own, usual, others]) in LISTS {
        if random.below(3) == 0 {
            continue;
        }
        let all: Vec<&str> = own.iter().chain(*usual).chain(*others).copied().collect();
        let mut names: Vec<&str> = Vec::new();
        for _ in 0..1 + random.below(4) {
            let name = random.pick(&all);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        // Added, put first, taken away, or in the place of what there is.
        let mark = random.pick(&["+", "^", "-", ""]);
        text.push_str(&format!("{directive} {mark}{}\n", names.join(",")));
        if mark == "+" || mark == "^" || mark.is_empty() && names.iter().any(|name| own.contains(name)) {
            let asked = names.iter().filter(|name| others.contains(name));
            told.extend(asked.map(|name| format!("{name} ({directive})")));
        }
    }
    (text, told)
}

#[test]
fn algorithms_that_only_the_user_asks_for_and_nobody_knows_are_told() {
    if find("ssh").is_none() {
        return;
    }
    let mut with_notice = 0;
    for seed in 0..FILES / 2 {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        let (text, mut expected) = draw_lists(&mut Random(seed));
        fs::write(&config, &text).unwrap();
        let options = options(dir.path(), &config, Arc::new(Script::default()), &Heard::default());
        let (telling, heard) = Telling::to_a_list();
        resolve::way(&host("box"), &options, &telling).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let (mut told, mut asked) = (Vec::new(), 0);
        for notice in heard.lock().unwrap().iter() {
            match notice {
                Notice::AlgorithmsSkipped { host, names } if host == "box" && told.is_empty() => {
                    told.extend(names.split(", ").map(str::to_owned));
                }
                Notice::Step(text) if text.contains(" \"-F\" \"none\" ") => asked += 1,
                Notice::Step(_) => {}
                other => panic!("{other}\n{text}"),
            }
        }
        told.sort();
        expected.sort();
        assert_eq!(told, expected, "{text}");
        // Newer versions may have names in their own lists that neither this client nor this test knows.
        assert!((usize::from(!expected.is_empty())..=1).contains(&asked), "{asked}\n{text}");
        with_notice += usize::from(!expected.is_empty());
    }
    assert!(with_notice > 20, "the lists drawn say little: {with_notice}");
}

/// The lines in which the two differ.
fn differences(found: &Settings, expected: &Settings) -> String {
    let [found, expected] = [found, expected].map(|settings| format!("{settings:#?}"));
    let only_in = |text: &str, other: &str, mark: &str| {
        let lines: Vec<&str> = other.lines().collect();
        let own = text.lines().filter(|line| !lines.contains(line));
        own.map(|line| format!("{mark} {}\n", line.trim())).collect::<String>()
    };
    only_in(&found, &expected, "found") + &only_in(&expected, &found, "expected")
}

/// All files of a configuration.
fn everything(directory: &Path) -> String {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| format!("== {}\n{}", file.display(), fs::read_to_string(&file).unwrap())).collect()
}
