//! Plans in files: what `--plan` writes and `--apply` reads.

use crate::cli::failure::{FILE_IO, Failure, with_sources};
use crate::report::without_numbers;
use crate::session;
use crate::twoway::plan::Plan;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// The largest plan that is read, in bytes.
const MAX_PLAN: u64 = 4 << 30;

/// Writes a plan, as JSON with lines.
pub(super) fn write(plan: &Plan, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer_pretty(&mut file, plan)?;
    file.write_all(b"\n")?;
    file.flush()
}

/// Reads a plan, and checks that it is one.
pub(super) fn read(path: &Path) -> Result<Plan, Failure> {
    let shown = path.display();
    let unreadable = |error: io::Error| {
        Failure::new(FILE_IO, without_numbers(&format!("reading the plan {shown}: {error}")))
    };
    let file = session::open_named(path.as_os_str(), session::Paths::default()).map_err(unreadable)?;
    let text = BufReader::new(file.take(MAX_PLAN));
    let invalid = |error: &dyn std::error::Error| {
        Failure::usage(format!("--apply: {shown} is no plan: {}", with_sources(error)))
            .with_hint("--plan=FILE writes one.")
    };
    let plan: Plan = serde_json::from_reader(text).map_err(|error| match error.is_io() {
        true => unreadable(error.into()),
        false => invalid(&error),
    })?;
    plan.validate().map_err(|error| invalid(&error))?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twoway::tests::plan_of;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan");
        let (plan, _) = plan_of("a=1 b=1", "a=2 c>odd\\#377", "a=1 b=3");
        write(&plan, &path).unwrap();
        assert_eq!(read(&path).unwrap(), plan);
        assert!(std::fs::read(&path).unwrap().ends_with(b"}\n"));
        assert!(write(&plan, folder.path()).is_err());
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan");
        let missing = read(&path).unwrap_err();
        assert_eq!(missing.code(), FILE_IO);
        let (plan, _) = plan_of("", "a=1", "");
        let newer = serde_json::to_string(&Plan { format: 99, ..plan }).unwrap();
        for (text, told) in
            [("", "is no plan: "), ("{}", "missing field"), (newer.as_str(), "written in format 99")]
        {
            std::fs::write(&path, text).unwrap();
            let failure = read(&path).unwrap_err();
            assert_eq!(failure.code(), 1);
            assert!(failure.to_string().contains(told), "{failure}");
        }
    }
}
