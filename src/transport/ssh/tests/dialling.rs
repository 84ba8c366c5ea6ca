//! Which of its addresses a host is reached at, and from which of ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::thread;
use std::time::Duration;

use super::without_sshd::Home;
use super::{Heard, LONG, Script, host, within};
use crate::transport::ssh::{Options, connect};
use crate::transport::{Error, IpFamily};

fn options(home: &Home) -> Options {
    home.options(&Script::nobody(), &Heard::default())
}

/// From where `box` is called, which hangs up.
fn caller(listener: &TcpListener, options: Options) -> IpAddr {
    let listener = listener.try_clone().unwrap();
    within(LONG, move || {
        let calling = thread::spawn(move || connect(&host("box"), b"echo", &options).unwrap_err());
        let (stream, from) = listener.accept().unwrap();
        drop(stream);
        calling.join().unwrap();
        from.ip()
    })
}

#[test]
fn addresses_of_the_kind_asked_for_are_called() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    for (lines, family) in [
        ("AddressFamily inet6", None),
        // What the command line says, holds.
        ("AddressFamily inet", Some(IpFamily::V6)),
        ("", None),
    ] {
        let Some(home) = Home::new(port, &format!("HostName ::1\n{lines}")) else { return };
        assert_eq!(caller(&listener, Options { family, ..options(&home) }), Ipv6Addr::LOCALHOST, "{lines}");
    }
    for (lines, family) in [("AddressFamily inet", None), ("AddressFamily inet6", Some(IpFamily::V4))] {
        let Some(home) = Home::new(port, &format!("HostName ::1\n{lines}")) else { return };
        let options = Options { family, ..options(&home) };
        let error = connect(&host("box"), b"echo", &options).unwrap_err();
        assert_eq!(error.to_string(), "::1 has no IPv4 address", "{lines}");
    }
}

#[test]
fn the_address_to_call_from_is_that_of_the_configuration() {
    // Linux has all addresses that begin with 127.
    let own = Ipv4Addr::new(127, 0, 0, if cfg!(target_os = "linux") { 2 } else { 1 });
    let lines = format!("BindAddress {own}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let Some(home) = Home::new(listener.local_addr().unwrap().port(), &lines) else { return };
    assert_eq!(caller(&listener, options(&home)), own);
    // It is of no use for the other kind.
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let lines = format!("HostName ::1\n{lines}");
    let Some(home) = Home::new(listener.local_addr().unwrap().port(), &lines) else { return };
    assert_eq!(caller(&listener, options(&home)), Ipv6Addr::LOCALHOST);
}

#[test]
fn the_limit_of_the_configuration_holds_where_none_is_given() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let Some(home) = Home::new(port, "ConnectTimeout 1") else { return };
    for (connect_timeout, expected) in [(None, 1), (Some(Duration::from_secs(2)), 2)] {
        let options = Options { connect_timeout, ..options(&home) };
        let call = move || connect(&host("box"), b"echo", &options).unwrap_err();
        let error = within(LONG, call);
        assert!(matches!(error, Error::Timeout { seconds, .. } if seconds == expected), "{error:?}");
    }
}

#[test]
fn a_host_without_an_address_of_the_kind_asked_for_is_not_misspelt() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for (lines, family) in [("", Some(IpFamily::V6)), ("AddressFamily inet6", None)] {
        let Some(home) = Home::new(port, lines) else { return };
        let options = Options { family, ..options(&home) };
        let error = connect(&host("box"), b"echo", &options).unwrap_err();
        assert!(matches!(error, Error::NoAddress { family: IpFamily::V6, .. }), "{error:?}");
        assert_eq!(error.to_string(), "127.0.0.1 has no IPv6 address");
        assert!(error.hint().unwrap().contains("-6 on the command line, or AddressFamily"), "{error:?}");
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
    assert!(error.to_string().ends_with("from 192.0.2.7"), "{error:?}");
    assert!(error.hint().unwrap().contains("BindAddress"), "{error:?}");
}
