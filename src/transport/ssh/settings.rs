//! What `ssh_config` says about one host, as far as the built-in client honours it.
//!
//! Read from the lines `ssh -G` prints: one `keyword value` a line, keywords in lower case, defaults included. What
//! the client cannot honour and what would change whom it talks to or trusts is refused by name, and so are smart
//! cards, which are there to be used. What only adds ways to log in (GSSAPI), convenience (connection sharing,
//! forwarding) or a remote environment is ignored, and so is `Compression`, since dsync compresses better itself.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::transport::ssh::Environment;
use crate::transport::ssh::lines::Lines;
use crate::transport::ssh::tokens::Tokens;
use crate::transport::target::Host;
use crate::transport::{Error, IpFamily};

/// Everything that decides how a host is reached, trusted and logged in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// Whether the `ssh` program is there, and these are from it.
    pub(super) read_by_ssh: bool,
    /// The host as the user named it.
    pub(super) original: String,
    pub(super) hostname: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) route: Route,
    /// Which addresses of the host are used; `None` for all.
    pub(super) family: Option<IpFamily>,
    pub(super) bind_address: Option<String>,
    pub(super) connection_attempts: u32,
    pub(super) connect_timeout: Option<Duration>,
    /// Silence after which the server is asked for a sign of life.
    pub(super) alive_interval: Duration,
    /// Questions without an answer before the connection counts as lost.
    pub(super) alive_count: usize,
    pub(super) host_key_alias: Option<String>,
    pub(super) user_known_hosts: Vec<PathBuf>,
    pub(super) global_known_hosts: Vec<PathBuf>,
    pub(super) unknown_host: UnknownHost,
    pub(super) hash_known_hosts: bool,
    pub(super) identity_files: Vec<PathBuf>,
    pub(super) certificate_files: Vec<PathBuf>,
    pub(super) identities_only: bool,
    pub(super) agent: Option<PathBuf>,
    /// Enabled login methods, in the order of preference.
    pub(super) methods: Vec<Method>,
    /// Enabled login methods that the client does not do.
    pub(super) other_methods: Vec<&'static str>,
    /// Names of the algorithms that keys may log in with; `None` for all.
    pub(super) login_algorithms: Option<Vec<String>>,
    /// Names of the algorithms that authorities may sign host certificates with; `None` for all.
    pub(super) authority_algorithms: Option<Vec<String>>,
    /// How short an RSA key may be, in bits.
    pub(super) rsa_bits: u32,
    /// Nobody is to be asked anything.
    pub(super) batch: bool,
    pub(super) password_prompts: u32,
    /// Names allowed by the configuration; `None` leaves the choice to us.
    pub(super) ciphers: Option<Vec<String>>,
    pub(super) key_exchanges: Option<Vec<String>>,
    pub(super) macs: Option<Vec<String>>,
    pub(super) host_key_algorithms: Option<Vec<String>>,
}

/// What matters most, for whoever wants to know how a host is reached.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { original, hostname, port, user, .. } = self;
        write!(f, "{original} is {hostname} port {port}, user {user}")?;
        match &self.route {
            Route::Direct => {}
            Route::Jump(hosts) => {
                let hosts: Vec<String> = hosts.iter().map(Host::to_string).collect();
                write!(f, ", through {}", hosts.join(", then "))?;
            }
            Route::Command(command) => write!(f, ", through the command {command:?}")?,
        }
        let list = |paths: &[PathBuf]| {
            let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let agent = self.agent.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
        write!(f, "; identity files: {}; agent: {agent}", list(&self.identity_files))?;
        write!(f, "; known hosts: {}", list(&[&self.user_known_hosts[..], &self.global_known_hosts].concat()))
    }
}

/// How bytes get to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Direct,
    /// Through these hosts, in this order; the first has a route of its own.
    Jump(Vec<Host>),
    /// Through a program, with its tokens in it.
    Command(String),
}

/// What happens with the key of a host that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnknownHost {
    Refuse,
    Ask,
    Accept,
    /// Even if another key is known; nothing secret is told to such a host.
    AcceptAny,
}

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    PublicKey,
    KeyboardInteractive,
    Password,
}

impl Method {
    /// All methods, in OpenSSH's default order.
    pub(super) const ALL: [Self; 3] = [Self::PublicKey, Self::KeyboardInteractive, Self::Password];

    /// The name in the protocol and in the configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PublicKey => "publickey",
            Self::KeyboardInteractive => "keyboard-interactive",
            Self::Password => "password",
        }
    }
}

/// Directives that change whom we talk to or trust, or are the way in, and that the client does not do, with the value
/// that means off.
const REFUSED: &[(&str, &str)] = &[
    ("ProxyUseFdpass", "no"),
    ("RevokedHostKeys", "none"),
    ("KnownHostsCommand", "none"),
    ("BindInterface", "none"),
    ("PKCS11Provider", "none"),
];

impl Settings {
    /// Returns OpenSSH's defaults, for a machine without OpenSSH.
    pub(super) fn defaults(hostname: &str, environment: &Environment) -> Self {
        let dot_ssh = environment.home.join(".ssh");
        Self {
            read_by_ssh: false,
            original: hostname.to_owned(),
            hostname: hostname.to_owned(),
            port: 22,
            user: environment.user.clone(),
            route: Route::Direct,
            family: None,
            bind_address: None,
            connection_attempts: 1,
            connect_timeout: None,
            alive_interval: Duration::from_secs(15),
            alive_count: 3,
            host_key_alias: None,
            user_known_hosts: vec![dot_ssh.join("known_hosts"), dot_ssh.join("known_hosts2")],
            global_known_hosts: vec![
                PathBuf::from("/etc/ssh/ssh_known_hosts"),
                PathBuf::from("/etc/ssh/ssh_known_hosts2"),
            ],
            unknown_host: UnknownHost::Ask,
            hash_known_hosts: false,
            identity_files: ["id_ed25519", "id_ecdsa", "id_rsa"].map(|name| dot_ssh.join(name)).to_vec(),
            certificate_files: Vec::new(),
            identities_only: false,
            agent: environment.agent_socket.clone(),
            methods: Method::ALL.to_vec(),
            other_methods: Vec::new(),
            login_algorithms: None,
            authority_algorithms: None,
            rsa_bits: 1024,
            batch: false,
            password_prompts: 3,
            ciphers: None,
            key_exchanges: None,
            macs: None,
            host_key_algorithms: None,
        }
    }

    /// Reads the output of `ssh -G` for the host the user called `original`.
    ///
    /// # Errors
    /// When a directive is set that cannot be honoured, or a line cannot be understood.
    pub(super) fn from_resolved(
        text: &str,
        original: &str,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let lines = Lines { text, original };
        for &(directive, off) in REFUSED {
            if let Some(value) = lines.last(directive).filter(|&value| value != off) {
                return Err(lines.refused(directive, value));
            }
        }
        let hostname = lines.last("hostname").unwrap_or(original).to_owned();
        let mut settings = Self::defaults(&hostname, environment);
        settings.read_by_ssh = true;
        settings.original = original.to_owned();
        settings.route = route(&lines)?;
        settings.port = lines.number("port")?.unwrap_or(settings.port);
        settings.user = lines.last("user").map_or(settings.user, str::to_owned);
        settings.read_connection(&lines)?;
        settings.read_host_trust(&lines)?;
        settings.read_login(&lines, environment)?;
        Ok(settings)
    }

    /// The login, as prompts name it.
    pub(super) fn who(&self) -> String {
        format!("{}@{}", self.user, self.hostname)
    }

    /// The name under which the host's key is known, without a port.
    pub(super) fn key_name(&self) -> String {
        self.host_key_alias.as_deref().unwrap_or(&self.hostname).to_ascii_lowercase()
    }

    fn read_connection(&mut self, lines: &Lines<'_>) -> Result<(), Error> {
        self.family = match lines.last("addressfamily") {
            Some("inet") => Some(IpFamily::V4),
            Some("inet6") => Some(IpFamily::V6),
            _ => None,
        };
        self.bind_address = lines.set("bindaddress").map(str::to_owned);
        self.connection_attempts = lines.number("connectionattempts")?.unwrap_or(1).max(1);
        self.connect_timeout = match lines.set("connecttimeout") {
            Some(_) => lines.number("connecttimeout")?.map(Duration::from_secs),
            None => None,
        };
        // Zero is OpenSSH's default and means never to ask; a transfer that hangs for good helps nobody.
        if let Some(seconds) = lines.number("serveraliveinterval")?.filter(|&seconds: &u64| seconds > 0) {
            self.alive_interval = Duration::from_secs(seconds);
        }
        self.alive_count = lines.number("serveralivecountmax")?.unwrap_or(self.alive_count);
        self.ciphers = lines.names("ciphers");
        self.key_exchanges = lines.names("kexalgorithms");
        self.macs = lines.names("macs");
        self.host_key_algorithms = lines.names("hostkeyalgorithms");
        Ok(())
    }

    fn read_host_trust(&mut self, lines: &Lines<'_>) -> Result<(), Error> {
        self.host_key_alias = lines.set("hostkeyalias").map(str::to_owned);
        self.batch = lines.flag("batchmode");
        self.unknown_host = match lines.last("stricthostkeychecking") {
            Some("yes" | "true") => UnknownHost::Refuse,
            Some("accept-new") => UnknownHost::Accept,
            Some("no" | "off" | "false") => UnknownHost::AcceptAny,
            // Whether there is anybody to ask, `BatchMode` says.
            _ => UnknownHost::Ask,
        };
        self.hash_known_hosts = lines.flag("hashknownhosts");
        self.authority_algorithms = lines.names("casignaturealgorithms");
        self.rsa_bits = lines.number("requiredrsasize")?.unwrap_or(self.rsa_bits);
        Ok(())
    }

    fn read_login(&mut self, lines: &Lines<'_>, environment: &Environment) -> Result<(), Error> {
        let home = environment.home.as_path();
        if let Some(files) = lines.files("userknownhostsfile", "UserKnownHostsFile", home)? {
            self.user_known_hosts = files;
        }
        if let Some(files) = lines.files("globalknownhostsfile", "GlobalKnownHostsFile", home)? {
            self.global_known_hosts = files;
        }

        let key_name = self.key_name();
        let tokens = Tokens {
            home,
            local_user: &environment.user,
            original: lines.original,
            host: &self.hostname,
            key_name: &key_name,
            port: self.port,
            remote_user: &self.user,
        };
        self.identity_files = lines.paths("identityfile", "IdentityFile", &tokens)?;
        self.certificate_files = lines.paths("certificatefile", "CertificateFile", &tokens)?;
        self.identities_only = lines.flag("identitiesonly");
        self.agent = match lines.last("identityagent") {
            None | Some("SSH_AUTH_SOCK") => environment.agent_socket.clone(),
            Some("none") => None,
            Some(value) if value.starts_with('$') => return Err(lines.refused("IdentityAgent", value)),
            Some(value) => Some(tokens.path(value).ok_or_else(|| lines.refused("IdentityAgent", value))?),
        };
        self.password_prompts = lines.number("numberofpasswordprompts")?.unwrap_or(self.password_prompts);
        self.methods = enabled_methods(lines);
        let others = [("gssapiauthentication", "gssapi-with-mic"), ("hostbasedauthentication", "hostbased")];
        let is_on = |(keyword, _): &(&str, &'static str)| lines.flag(keyword);
        self.other_methods = others.into_iter().filter(is_on).map(|(_, name)| name).collect();
        // The name before OpenSSH 8.5.
        let names = || lines.names("pubkeyacceptedkeytypes");
        self.login_algorithms = lines.names("pubkeyacceptedalgorithms").or_else(names);
        Ok(())
    }
}

fn route(lines: &Lines<'_>) -> Result<Route, Error> {
    if let Some(list) = lines.set("proxyjump") {
        let hosts: Option<Vec<Host>> = list.split(',').map(|text| Host::parse(text.trim())).collect();
        return hosts.map(Route::Jump).ok_or_else(|| lines.refused("ProxyJump", list));
    }
    Ok(lines.set("proxycommand").map_or(Route::Direct, |command| Route::Command(command.to_owned())))
}

fn enabled_methods(lines: &Lines<'_>) -> Vec<Method> {
    let enabled = |method: Method| {
        let keyword = match method {
            Method::PublicKey => "pubkeyauthentication",
            Method::KeyboardInteractive => "kbdinteractiveauthentication",
            Method::Password => "passwordauthentication",
        };
        !matches!(lines.last(keyword), Some("no" | "false"))
    };
    let preferred: Vec<Method> = match lines.names("preferredauthentications") {
        None => Method::ALL.to_vec(),
        Some(names) => names
            .iter()
            .filter_map(|name| Method::ALL.into_iter().find(|method| method.name() == name))
            .collect(),
    };
    preferred.into_iter().filter(|&method| enabled(method)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn environment() -> Environment {
        Environment {
            home: "/home/ann".into(),
            user: "ann".to_owned(),
            agent_socket: Some("/run/agent".into()),
            shell: "/bin/sh".into(),
            ssh_program: "ssh".into(),
        }
    }

    fn read(text: &str) -> Result<Settings, Error> {
        Settings::from_resolved(text, "box", &environment())
    }

    #[test]
    fn resolved_lines_are_honoured() {
        let settings = read(
            "host box\nuser bob\nhostname Box.example.com\nport 2200\naddressfamily inet6\nbatchmode no\n\
             connectionattempts 4\nconnecttimeout 7\nserveraliveinterval 0\nserveralivecountmax 5\n\
             stricthostkeychecking accept-new\nhashknownhosts yes\nidentitiesonly yes\n\
             identityfile ~/.ssh/id_%h\nidentityfile /keys/%r\ncertificatefile ~/.ssh/c.pub\n\
             userknownhostsfile /home/ann/.ssh/kh ~/kh2\nglobalknownhostsfile none\n\
             preferredauthentications gssapi-with-mic,password,publickey,keyboard-interactive\n\
             kbdinteractiveauthentication no\nidentityagent none\nciphers a,b\nproxyjump none\n",
        )
        .unwrap();
        assert_eq!((settings.hostname.as_str(), settings.port), ("Box.example.com", 2200));
        assert_eq!(settings.key_name(), "box.example.com");
        assert_eq!(settings.family, Some(IpFamily::V6));
        assert_eq!(settings.connection_attempts, 4);
        assert_eq!(settings.connect_timeout, Some(Duration::from_secs(7)));
        assert_eq!((settings.alive_interval, settings.alive_count), (Duration::from_secs(15), 5));
        assert_eq!(settings.unknown_host, UnknownHost::Accept);
        assert!(settings.hash_known_hosts && settings.identities_only);
        let keys = [Path::new("/home/ann/.ssh/id_Box.example.com"), Path::new("/keys/bob")];
        assert_eq!(settings.identity_files, keys);
        assert_eq!(settings.certificate_files, [Path::new("/home/ann/.ssh/c.pub")]);
        assert_eq!(settings.user_known_hosts, [Path::new("/home/ann/.ssh/kh"), Path::new("/home/ann/kh2")]);
        assert!(settings.global_known_hosts.is_empty());
        assert_eq!(settings.methods, [Method::Password, Method::PublicKey]);
        assert_eq!(settings.agent, None);
        assert_eq!(settings.ciphers, Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn the_way_to_a_host() {
        let host = |user: Option<&str>, name: &str, port| Host {
            user: user.map(str::to_owned),
            name: name.to_owned(),
            port,
        };
        let cases = [
            ("proxyjump none\nproxycommand none", Route::Direct),
            ("proxycommand nc %h %p", Route::Command("nc %h %p".to_owned())),
            ("proxycommand nc %h %p\nproxyjump gate", Route::Jump(vec![host(None, "gate", None)])),
            (
                "proxyjump a@one:22,[::1]:2200,ssh://b@two:3",
                Route::Jump(vec![
                    host(Some("a"), "one", Some(22)),
                    host(None, "::1", Some(2200)),
                    host(Some("b"), "two", Some(3)),
                ]),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap().route, expected, "{text}");
        }
    }

    #[test]
    fn words_for_unknown_hosts() {
        let cases = [
            ("stricthostkeychecking ask", UnknownHost::Ask),
            ("stricthostkeychecking true", UnknownHost::Refuse),
            ("stricthostkeychecking false", UnknownHost::AcceptAny),
            ("stricthostkeychecking yes\nbatchmode yes", UnknownHost::Refuse),
            ("", UnknownHost::Ask),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap().unknown_host, expected, "{text}");
        }
    }

    #[test]
    fn a_file_of_known_hosts_may_have_a_blank_before_a_slash() {
        let dir = tempfile::tempdir().unwrap();
        let line = format!("userknownhostsfile {0}/k /known {0}/other", dir.path().display());
        assert_eq!(read(&line).unwrap().user_known_hosts.len(), 3);
        std::fs::create_dir(dir.path().join("k ")).unwrap();
        std::fs::write(dir.path().join("k /known"), "").unwrap();
        assert!(matches!(read(&line), Err(Error::Directive { directive: "UserKnownHostsFile", .. })));
        assert!(read("userknownhostsfile /one none").is_err());
        assert!(read("userknownhostsfile none").unwrap().user_known_hosts.is_empty());
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        let cases = [
            ("proxyjump -x", "ProxyJump"),
            ("proxyjump a;b", "ProxyJump"),
            ("proxyusefdpass yes", "ProxyUseFdpass"),
            ("pkcs11provider /lib/token.so", "PKCS11Provider"),
            ("revokedhostkeys /etc/revoked", "RevokedHostKeys"),
            ("knownhostscommand /bin/x", "KnownHostsCommand"),
            ("identityfile ~/id_%C", "IdentityFile"),
            ("userknownhostsfile /home/ann/known hosts", "UserKnownHostsFile"),
            ("userknownhostsfile /one /two  three", "UserKnownHostsFile"),
            ("globalknownhostsfile ~bob/hosts", "GlobalKnownHostsFile"),
            ("identityagent $AGENT", "IdentityAgent"),
            ("port many", "port"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            let advice = if expected == "port" { "--ssh-config" } else { "--ssh=external" };
            assert!(error.hint().unwrap().contains(advice), "{error}");
        }
    }
}
