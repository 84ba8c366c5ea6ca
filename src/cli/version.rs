//! `--version`, and the same as JSON with rsync's key names for scripts that ask what a copy of the tool can do.

use crate::session::PROTOCOL_VERSION;
use serde_json::{Value, json};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const LICENSE: &str = env!("CARGO_PKG_LICENSE");
const CHECKSUMS: [&str; 6] = ["xxh128", "xxh3", "xxh64", "md5", "sha1", "none"];
const COMPRESSIONS: [&str; 3] = ["zstd", "lz4", "none"];

/// What rsync's capability names mean here. Those it has and dsync does not are named too, so that a script that asks
/// gets an answer.
const CAPABILITIES: [(&str, bool); 17] = [
    ("socketpairs", false),
    ("symlinks", true),
    ("symtimes", true),
    ("hardlinks", true),
    ("hardlink_specials", true),
    ("hardlink_symlinks", true),
    ("IPv6", true),
    ("atimes", true),
    ("batchfiles", false),
    ("inplace", true),
    ("append", true),
    ("ACLs", cfg!(target_os = "linux")),
    ("xattrs", cfg!(target_os = "linux")),
    ("iconv", false),
    ("prealloc", true),
    ("stop_at", true),
    ("crtimes", false),
];

/// The text of `--version`.
pub(super) fn text() -> String {
    let capabilities: Vec<String> = CAPABILITIES
        .iter()
        .map(|(name, has)| {
            let name = name.replace('_', "-");
            if *has { name } else { format!("no {name}") }
        })
        .collect();
    format!(
        "dsync  version {VERSION}  protocol version {PROTOCOL_VERSION}\n\
         Capabilities:\n    {}\n\
         Checksum list:\n    {}\n\
         Compress list:\n    {}\n\
         License: {LICENSE}\n",
        wrapped(&format!("64-bit files, {}", capabilities.join(", "))),
        CHECKSUMS.join(" "),
        COMPRESSIONS.join(" "),
    )
}

/// The text of `-VV`.
pub(super) fn json() -> String {
    let mut capabilities = serde_json::Map::new();
    for name in ["file_bits", "inum_bits", "timestamp_bits", "long_int_bits"] {
        capabilities.insert(name.to_owned(), json!(64));
    }
    // Names travel inside the protocol, whatever the options.
    capabilities.insert("secluded_args".to_owned(), json!("always"));
    capabilities.extend(CAPABILITIES.iter().map(|(name, has)| ((*name).to_owned(), Value::Bool(*has))));
    let all = json!({
        "program": "dsync",
        "version": VERSION,
        "protocol": format!("{PROTOCOL_VERSION}.0"),
        "capabilities": capabilities,
        "optimizations": { "SIMD_roll": false, "asm_roll": false, "openssl_crypto": false, "asm_MD5": false },
        "checksum_list": CHECKSUMS,
        "compress_list": COMPRESSIONS,
        "license": LICENSE,
    });
    format!("{all:#}\n")
}

/// The text broken at blanks into lines of a terminal, continued with four blanks.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 72;
    let mut column = 0;
    text.split(' ').fold(String::new(), |mut lines, word| {
        if column > 0 && column + word.len() > WIDTH {
            lines.push_str("\n    ");
            column = 0;
        } else if column > 0 {
            lines.push(' ');
        }
        lines.push_str(word);
        column += word.len() + 1;
        lines
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_answers_what_scripts_ask() {
        let value: Value = serde_json::from_str(&json()).unwrap();
        assert_eq!(value["program"], "dsync");
        assert_eq!(value["capabilities"]["symlinks"], true);
        assert_eq!(value["capabilities"]["ACLs"], true);
        assert_eq!(value["capabilities"]["hardlinks"], true);
        assert_eq!(value["checksum_list"][0], "xxh128");
        assert_eq!(value["compress_list"][0], "zstd");
    }

    #[test]
    fn the_text_begins_as_scripts_expect() {
        let text = text();
        assert!(
            text.starts_with(&format!("dsync  version {VERSION}  protocol version {PROTOCOL_VERSION}\n"))
        );
        assert!(text.lines().all(|line| line.len() < 80), "{text}");
    }
}
