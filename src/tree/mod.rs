//! What a tree is made of, without touching one: names, paths, entries, and the rules that pick among them.
//!
//! Everything here is pure data and pure functions. `fs` produces these values from a file system, `wire` carries
//! them, `pass` compares them. Names and relative paths are validated types: whoever holds a [`Name`] or a
//! [`RelPath`] knows that it can never leave the directory it is used in, whether it came from `readdir` or from a
//! peer.

mod acl;
mod asked;
mod entry;
mod escape;
pub mod filter;
mod fingerprint;
mod ids;
mod link;
mod name;
mod path;
pub mod xattr;

pub use acl::{Acl, Acls, DefaultAcl, Grants, InvalidAcl, MAX_GRANTS, Perms};
pub use asked::Asked;
pub use entry::{Entry, Extra, Group, Inode, InodeId, Kind, Meta, Node, Owner, Rdev, Stamp, executable_like};
pub use escape::{Escaped, Sentence, unescaped};
pub use fingerprint::{
    Aspects, BUCKET_SUM_LEN, BucketSum, Buckets, FINGERPRINT_LEN, Fingerprint, Fingerprinter, MAX_BUCKETS,
};
pub use ids::{Gid, Uid};
pub use link::{leads_outside, munged, unmunged};
pub use name::{InvalidName, MAX_NAME, Name};
pub use path::RelPath;
pub(crate) use path::{below, walk_order};
pub use xattr::{Xattr, XattrSummer, XattrSums, Xattrs};
