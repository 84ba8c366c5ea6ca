//! From `--chmod`, `--chown`, `--usermap` and `--groupmap` to what they mean.

use crate::cli::failure::Failure;
use crate::cli::flags::Flags;
use crate::request::{Chmod, OwnerRules};

/// All that `--chmod` says, in order.
pub(super) fn chmod(flags: &Flags) -> Result<Chmod, Failure> {
    flags.chmod.iter().try_fold(Chmod::default(), |chmod, text| {
        let more = text.parse::<Chmod>();
        let more =
            more.map_err(|error| Failure::usage(format!("--chmod: {text:?} is not valid: {error}")))?;
        Ok(chmod.then(more))
    })
}

/// The maps of users and of groups.
pub(super) fn maps(flags: &Flags) -> Result<(OwnerRules, OwnerRules), Failure> {
    let mut users = map("--usermap", &flags.usermap)?;
    let mut groups = map("--groupmap", &flags.groupmap)?;
    for value in &flags.chown {
        let (user, group) = value.split_once(':').unwrap_or((value, ""));
        for (name, map, flag) in [(user, &mut users, "--usermap"), (group, &mut groups, "--groupmap")] {
            if name.is_empty() {
                continue;
            }
            if map.is_some() {
                let message = format!("--chown={value}: another --chown, or {flag}, says the same thing");
                return Err(Failure::usage(message).with_hint("--chown=USER is --usermap=*:USER."));
            }
            let all = OwnerRules::all_to(name);
            *map = Some(all.map_err(|error| Failure::usage(format!("--chown={value}: {error}")))?);
        }
    }
    Ok((users.unwrap_or_default(), groups.unwrap_or_default()))
}

fn map(flag: &str, values: &[String]) -> Result<Option<OwnerRules>, Failure> {
    match values {
        [] => Ok(None),
        [value] => {
            let parsed = value.parse();
            parsed.map(Some).map_err(|error| Failure::usage(format!("{flag}: {error}")))
        }
        _ => Err(Failure::usage(format!("{flag} can be given only once"))
            .with_hint("Commas part the pairs: FROM:TO,FROM:TO.")),
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::resolve::tests::{refusal, resolved};
    use crate::request::{Options, OwnerRules};

    fn options(line: &str) -> Options {
        resolved(&format!("{line} a b")).unwrap_or_else(|failure| panic!("{line}: {failure}")).0.options
    }

    #[test]
    fn owners_are_kept_where_they_are_mapped_unless_that_is_taken_back() {
        for (line, owner, group) in [
            ("--chown=x", true, false),
            ("--chown=x:", true, false),
            ("--chown=:y", false, true),
            ("--chown=x:y", true, true),
            ("--chown=x --chown=:y", true, true),
            ("--chown=", false, false),
            ("--no-o --chown=x:y", true, true),
            ("--chown=x:y --no-o", false, true),
            ("--usermap=1:2", true, false),
            ("--groupmap=1:2 --no-group", false, false),
            ("-a --no-g --chown=x", true, false),
        ] {
            let options = options(line);
            assert_eq!((options.owner, options.group), (owner, group), "{line}");
        }
        assert_eq!(options("--chown=x:7").group_map, OwnerRules::all_to("7").unwrap());
        assert_eq!(options("--usermap=*:x").user_map, options("--chown=x").user_map);
    }

    #[test]
    fn changes_of_permissions_add_up() {
        assert_eq!(options("--chmod=a-w --chmod=D755,u+w").chmod, "a-w,D755,u+w".parse().unwrap());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, message) in [
            ("--chmod=u+q", "dsync: --chmod: \"u+q\" is not valid: it is no list of permissions"),
            ("--chmod=", "dsync: --chmod: \"\" is not valid"),
            ("--usermap=1", "dsync: --usermap: \"1\" has no colon"),
            ("--usermap=1:2 --usermap=2:3", "dsync: --usermap can be given only once"),
            ("--chown=a --usermap=1:2", "dsync: --chown=a: another --chown, or --usermap, says"),
            ("--groupmap=1:2 --chown=:b", "dsync: --chown=:b: another --chown, or --groupmap, says"),
            ("--chown=,", "dsync: --chown=,: \""),
            ("--chown=4294967296", "dsync: --chown=4294967296: \"4294967296\" is neither a number"),
            ("--chown=a --chown=b:c", "dsync: --chown=b:c: another --chown, or --usermap, says"),
        ] {
            let refusal = refusal(&format!("{line} a b"));
            assert!(refusal.starts_with(message), "{line}: {refusal}");
        }
    }
}
