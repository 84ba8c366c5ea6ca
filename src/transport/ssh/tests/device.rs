//! A security key that is touched at once, behind an agent of our own.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use russh::keys::PublicKey;
use russh::keys::signature::Signer;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::public::{KeyData, SkEd25519};

const ALGORITHM: &[u8] = b"sk-ssh-ed25519@openssh.com";
const APPLICATION: &str = "ssh:";

// Messages of the agent's protocol (draft-miller-ssh-agent).
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// The device.
pub(super) struct Device {
    keys: Ed25519Keypair,
}

impl Device {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { keys: Ed25519Keypair::from_seed(&[77; 32]) })
    }

    pub(super) fn public(&self) -> SkEd25519 {
        SkEd25519::new(self.keys.public, APPLICATION)
    }

    pub(super) fn public_key(&self) -> PublicKey {
        PublicKey::from(KeyData::SkEd25519(self.public()))
    }

    /// Answers at a socket, as an agent that holds nothing else.
    pub(super) fn serve(self: &Arc<Self>, socket: &Path) {
        let listener = UnixListener::bind(socket).unwrap();
        let device = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                while device.answer(&stream).is_ok() {}
            }
        });
    }

    fn answer(&self, mut stream: &UnixStream) -> std::io::Result<()> {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request)?;
        let reply = match request[0] {
            REQUEST_IDENTITIES => {
                let blob = self.public_key().to_bytes().unwrap();
                [&[IDENTITIES_ANSWER, 0, 0, 0, 1][..], &string(&blob), &string(b"a device")].concat()
            }
            SIGN_REQUEST => {
                let (_, rest) = take_string(&request[1..]);
                let (data, _) = take_string(rest);
                [&[SIGN_RESPONSE][..], &string(&self.sign(data))].concat()
            }
            _ => vec![FAILURE],
        };
        stream.write_all(&string(&reply))
    }

    /// What a device signs (OpenSSH's PROTOCOL.u2f): the application, that somebody was there, a counter, the data.
    fn sign(&self, data: &[u8]) -> Vec<u8> {
        let state: &[u8] = &[1, 0, 0, 0, 42];
        let sum = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
        let signed = [&sum(APPLICATION.as_bytes())[..], state, &sum(data)].concat();
        let signature = self.keys.try_sign(&signed).unwrap();
        [&string(ALGORITHM)[..], &string(signature.as_bytes()), state].concat()
    }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn take_string(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(4);
    rest.split_at(u32::from_be_bytes(length.try_into().unwrap()) as usize)
}
