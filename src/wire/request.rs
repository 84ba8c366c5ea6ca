//! Requests as bytes: a list of tagged values, so that versions can differ.
//!
//! Each value is a tag, its length and its bytes. The lowest bit of a tag says whether it is critical: a peer that
//! does not know a critical tag refuses the run, naming it; one that is not critical is skipped. Options with their
//! default value are not sent, so an old peer and a new one understand each other as long as nothing new is asked.

use crate::request::{Options, Part, Request};
use crate::wire::WireError;
use crate::wire::codec::{Cursor, Put};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest request accepted, in bytes: a very long list of filter rules and arguments.
pub(crate) const REQUEST_LIMIT: u64 = 4 << 20;

const SOURCE: u64 = 1;
const SINK: u64 = 2;
const REPLICA: u64 = 3;

/// Gives every option its number and says whether a peer may ignore it. Numbers are never used again.
macro_rules! options {
    ($($number:literal $critical:ident $field:ident,)*) => {
        fn put_options(options: &Options, out: &mut Vec<u8>) {
            let default = Options::default();
            $(if options.$field != default.$field {
                put(out, $number, stringify!($critical) == "critical", &options.$field);
            })*
        }

        fn take_option(options: &mut Options, number: u64, value: &Bytes) -> Result<bool, WireError> {
            match number {
                $($number => options.$field = value_of(value, stringify!($field))?,)*
                _ => return Ok(false),
            }
            Ok(true)
        }
    };
}

options! {
    10 critical recursive,
    11 critical links,
    12 critical perms,
    13 critical times,
    14 critical owner,
    15 critical group,
    16 critical devices,
    17 critical specials,
    18 critical numeric_ids,
    20 critical checksum,
    21 critical update,
    22 critical ignore_times,
    23 critical size_only,
    24 critical existing,
    25 critical ignore_existing,
    30 critical whole_file,
    31 critical in_place,
    32 critical partial,
    33 critical block_size,
    34 critical sum,
    35 optional compress,
    36 critical bandwidth,
    37 optional timeout,
    38 optional streams,
    39 optional keep_staged,
    40 critical delete,
    41 critical force,
    42 critical rules,
    45 critical two_way,
    46 critical max_delete,
    47 critical remove_source_files,
    50 critical dry_run,
    51 optional detail,
    52 critical shortcuts,
    60 critical executability,
    61 critical acls,
    62 critical xattrs,
    63 critical atimes,
    64 optional open_noatime,
    65 critical super_user,
    70 critical hard_links,
    71 critical bases,
    72 critical backup,
    80 critical dirs,
    81 critical mounts,
    82 critical make_path,
    83 critical relative,
    84 critical no_implied_dirs,
    85 critical link_rules,
    86 critical missing,
    87 critical list_only,
    88 critical names_from,
    89 critical relayed,
    90 critical max_size,
    91 critical min_size,
    92 critical modify_window,
    93 critical omit_dir_times,
    94 critical omit_link_times,
    95 critical chmod,
    96 critical user_map,
    97 critical group_map,
    98 critical prune_empty_dirs,
    120 critical fsync,
    121 optional skip_compress,
    122 critical compare_sum,
    123 critical sparse,
    124 critical preallocate,
    125 critical temp_dir,
    126 critical partial_dir,
    127 critical delay_updates,
    128 critical append,
    129 critical fuzzy,
    140 critical copy_devices,
    141 critical write_devices,
    142 critical reflink,
    150 critical detect_renames,
    151 critical explain,
}

/// Appends `request`.
pub(crate) fn encode(request: &Request, out: &mut Vec<u8>) {
    match &request.part {
        Part::Source { arguments } => put(out, SOURCE, true, arguments),
        Part::Sink { destination } => put(out, SINK, true, destination),
        Part::Replica { root, landmarks } => put(out, REPLICA, true, &(root, landmarks)),
    }
    put_options(&request.options, out);
}

/// Reads a request.
pub(crate) fn decode(bytes: Bytes) -> Result<Request, WireError> {
    let mut cursor = Cursor::new(bytes);
    let mut part = None;
    let mut options = Options::default();
    while !cursor.is_empty() {
        let tag = cursor.varint()?;
        let value = cursor.bytes("option", REQUEST_LIMIT)?;
        let (number, critical) = (tag >> 1, tag & 1 != 0);
        match number {
            SOURCE => part = Some(Part::Source { arguments: value_of(&value, "sources")? }),
            SINK => part = Some(Part::Sink { destination: value_of(&value, "destination")? }),
            REPLICA => {
                let (root, landmarks) = value_of(&value, "replica")?;
                part = Some(Part::Replica { root, landmarks });
            }
            _ => {
                if !take_option(&mut options, number, &value)? && critical {
                    return Err(WireError::UnknownOption(number));
                }
            }
        }
    }
    options.validate().map_err(|error| WireError::Option(error.to_string()))?;
    options.rules.validate().map_err(|error| WireError::Option(error.to_string()))?;
    let part = part.ok_or(WireError::Malformed("request: it has no role"))?;
    let paths: Vec<&Vec<u8>> = match &part {
        Part::Source { arguments } => arguments.iter().collect(),
        Part::Sink { destination: path } | Part::Replica { root: path, .. } => vec![path],
    };
    if paths.iter().any(|path| path.contains(&0)) {
        return Err(WireError::Malformed("request: a path holds a NUL byte"));
    }
    Ok(Request { part, options })
}

fn put<T: Serialize>(out: &mut Vec<u8>, number: u64, critical: bool, value: &T) {
    out.put_varint(number << 1 | u64::from(critical));
    // Serialising plain data into memory cannot fail; an empty value would be refused by the decoder.
    out.put_bytes(&postcard::to_stdvec(value).unwrap_or_default());
}

fn value_of<T: DeserializeOwned>(value: &Bytes, what: &str) -> Result<T, WireError> {
    postcard::from_bytes(value).map_err(|error| WireError::Option(format!("{what}: {error}")))
}
