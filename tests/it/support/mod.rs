//! What the tests share: trees and snapshots of them, the command under test, and the ways to reach a peer.

pub(crate) mod cable;
pub(crate) mod command;
pub(crate) mod disk;
pub(crate) mod lifetime;
pub(crate) mod login;
pub(crate) mod people;
pub(crate) mod russh_server;
pub(crate) mod scene;
pub(crate) mod schema;
pub(crate) mod snapshot;
pub(crate) mod sshd;
pub(crate) mod terminal;
pub(crate) mod tools;
pub(crate) mod transport;
pub(crate) mod tree;
pub(crate) mod xattr;
