//! The only code that touches the trees of a run.
//!
//! Everything here is a directory handle and one [`Name`](crate::tree::Name): a [`Root`] is resolved once from the
//! path a user gave, a [`Dir`] is reached from it element by element, and no operation below a root follows a
//! symbolic link or takes a path. So whatever a peer asks for, and whatever is renamed underneath while the run goes
//! on, nothing outside the root is written, nor is it read but through a `referent`. What is written goes through a
//! [`WriteDir`], which a read-only root does not give out; a dry run therefore cannot write.
//!
//! | file | |
//! |---|---|
//! | `root`, `start`, `named`, `resolve` | user-named paths, and whose symbolic links they may go through |
//! | `confined`, `fence` | the same in a process that is restricted to a directory, and what keeps it there |
//! | `referent` | what a link leads to where the user asked for that: the one way out of a tree, to read |
//! | `inside` | links at the destination that the user keeps and that stay inside |
//! | `dir`, `beneath`, `list`, `status` | reading directories and attributes |
//! | `file`, `pieces`, `copy`, `holes` | reading and writing the content of one file |
//! | `writing`, `write`, `stage`, `link`, `aside`, `in_place`, `attributes` | changing a directory, with names that are always old or new |
//! | `extended` | extended attributes and ACLs, read and set |
//! | `fake` | attributes that only root may set, kept in extended attributes |
//! | `devices` | devices that are read and written as files |
//! | `removal` | entries that go from a tree which is otherwise only read |
//! | `guarded` | changes that happen only where nobody else has made one |
//! | `crash` | where tests have a run be killed |
//! | `owners`, `limits`, `machine` | what the host knows about users, the umask, open files, itself |
//! | `kernel` | calls that only some systems have, each with a portable way round |
//!
//! An operation that fails says what it was doing ([`Error`]); its caller knows the path. Used by `view` (reading),
//! `pass` and `twoway` (both ways) and `session` (roots, owners, limits).

mod aside;
mod attributes;
mod beneath;
mod confined;
mod copy;
pub mod crash;
mod devices;
mod dir;
mod error;
mod extended;
mod fake;
mod fence;
mod file;
mod guarded;
mod holes;
mod in_place;
mod inside;
mod kernel;
mod limits;
mod link;
mod list;
mod machine;
mod named;
mod owners;
mod pieces;
mod referent;
mod removal;
mod resolve;
mod root;
mod stage;
mod start;
mod status;
mod whole;
mod write;
mod writing;

pub use crate::tree::Stamp;
pub use attributes::SetMeta;
pub use confined::{Beneath, check_path};
pub use devices::Devices;
pub use dir::Dir;
pub use error::Error;
pub use extended::{Holds, Look, SetAcls, SetExtended, XattrNames};
pub use fake::{Keeping, fault_of_link};
pub use fence::keep_below;
pub use file::{ReadFile, WriteFile};
pub use guarded::{Expected, Replaced, Slot};
pub use kernel::{give_up as give_up_kernel_calls, keep_access_times};
pub use limits::{raise_file_limit, umask};
pub use link::{Linkable, Linked};
pub use list::{Listing, Stamped};
pub use machine::{host_name, machine_name, running_system};
pub use named::{append_named, open_named};
pub use owners::{Owners, effective_user};
pub use pieces::Pieces;
pub use removal::{Removal, Removed};
pub use resolve::{Bounds, Links};
pub use root::Root;
pub use stage::{Stage, is_home, is_passing, is_reserved, is_stage_name, stage_name};
pub use start::Start;
pub use write::WriteDir;
pub use writing::{Sharing, Writing};

#[cfg(test)]
pub(crate) mod tests;
