//! The `dsync` program: see the library for everything it does.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    dsync::cli::main()
}
