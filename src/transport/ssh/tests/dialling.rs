//! Which of its addresses a host is reached at, and from which of ours.

use std::net::TcpListener;

use super::without_sshd::Home;
use super::{Heard, Script, host};
use crate::transport::ssh::{Options, connect};
use crate::transport::{Error, IpFamily};

fn options(home: &Home) -> Options {
    home.options(&Script::nobody(), &Heard::default())
}

#[test]
fn a_host_without_an_address_of_the_kind_asked_for_is_not_misspelt() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for (lines, family) in [("", Some(IpFamily::V6)), ("AddressFamily inet6", None)] {
        let Some(home) = Home::new(port, lines) else { return };
        let options = Options { family, ..options(&home) };
        let error = connect(&host("box"), b"echo", &options).unwrap_err();
        assert!(matches!(error, Error::NoAddress { family: IpFamily::V6, .. }), "{error}");
        assert_eq!(error.to_string(), "127.0.0.1 has no IPv6 address");
        assert!(error.hint().unwrap().contains("-6 on the command line, or AddressFamily"), "{error}");
    }
}

#[test]
fn an_address_that_is_not_of_this_machine_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // One for documentation (RFC 5737).
    let Some(home) = Home::new(listener.local_addr().unwrap().port(), "BindAddress 192.0.2.7") else {
        return;
    };
    let error = connect(&host("box"), b"echo", &options(&home)).unwrap_err();
    assert!(error.to_string().ends_with("from 192.0.2.7"), "{error}");
    assert!(error.hint().unwrap().contains("BindAddress"), "{error}");
}
