//! `ssh://[user@]host[:port][/path]`.
//!
//! As in scp and git, the path is absolute, `/~/x` is relative to the home directory, and `%xx` stands for a byte.

use crate::transport::target::{Host, Problem, RemoteTarget, checked_name, checked_user, split_user};

/// Reads what follows the scheme.
pub(super) fn parse(rest: &[u8]) -> Result<RemoteTarget, Problem> {
    let slash = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(slash).unwrap_or((rest, b""));
    let (user, address) = split_user(authority);
    if user.is_some_and(|user| user.contains(&b':')) {
        return Err(Problem::Reason("passwords in URLs are not accepted"));
    }
    let user = user.map(|user| checked_user(&decoded(user)?)).transpose()?;
    let (name, port) = split_port(address)?;
    let host = Host { user, name: checked_name(&decoded(name)?)?, port };
    Ok(RemoteTarget { host, path: home_relative(decoded(path)?) })
}

fn split_port(address: &[u8]) -> Result<(&[u8], Option<u16>), Problem> {
    let (name, after) = match address.strip_prefix(b"[") {
        Some(inner) => {
            let close = inner.iter().position(|&byte| byte == b']');
            let close = close.ok_or(Problem::Reason("[ is not followed by ]"))?;
            let (name, after) = inner.split_at_checked(close).unwrap_or((inner, b""));
            (name, after.get(1..).unwrap_or_default())
        }
        None => {
            let colon = address.iter().position(|&byte| byte == b':').unwrap_or(address.len());
            address.split_at_checked(colon).unwrap_or((address, b""))
        }
    };
    let port = match after {
        [] | [b':'] => None,
        [b':', digits @ ..] => Some(port_number(digits)?),
        _ => return Err(Problem::Reason("something follows the ] other than a port")),
    };
    Ok((name, port))
}

fn port_number(digits: &[u8]) -> Result<u16, Problem> {
    let valid = digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| valid).and_then(|text| text.parse().ok());
    number.filter(|&port| port != 0).ok_or(Problem::Reason("the port is not a number from 1 to 65535"))
}

fn home_relative(path: Vec<u8>) -> Vec<u8> {
    match path.strip_prefix(b"/~") {
        Some([]) => Vec::new(),
        Some([b'/', inside @ ..]) => inside.to_vec(),
        _ => path,
    }
}

fn decoded(text: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.next().and_then(hex_digit).zip(rest.next().and_then(hex_digit));
        match digits {
            Some((high, low)) if (high, low) != (0, 0) => bytes.push(high << 4 | low),
            _ => {
                return Err(Problem::Reason(
                    "% is not followed by two hexadecimal digits of a byte above zero",
                ));
            }
        }
    }
    Ok(bytes)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
