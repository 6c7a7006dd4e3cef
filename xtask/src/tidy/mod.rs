//! The rules of the house that no compiler checks.

mod arrows;
mod text;

use anyhow::Result;

use crate::fuzz;
use crate::parts::{PARTS, suites_on_disk};
use crate::summary::Tally;

/// What was found.
pub(crate) struct Report {
    /// Rules that hold, and rules that do not.
    pub(crate) tally: Tally,
    /// One line each, with the file.
    pub(crate) problems: Vec<String>,
}

/// Checks all rules.
///
/// # Errors
/// When a file or the metadata of cargo cannot be read.
pub(crate) fn check() -> Result<Report> {
    let metadata = arrows::metadata()?;
    let files = text::read_all()?;
    let rules = [
        arrows::directions(&metadata),
        arrows::pure_crates(&metadata),
        arrows::lints(&metadata),
        text::blind(&files, arrows::blind_sources()),
        text::long_files(&files),
        text::foreign_hosts(&files),
        text::machine_paths(&files),
        text::links(&files),
        suites()?,
        fuzz::differences()?,
    ];
    let failed = rules.iter().filter(|problems| !problems.is_empty()).count() as u64;
    let tally = Tally {
        passed: rules.len() as u64 - failed,
        failed,
        skipped: 0,
    };
    Ok(Report {
        tally,
        problems: rules.into_iter().flatten().collect(),
    })
}

/// Checks all rules and prints what was found; true when all hold.
pub(crate) fn print() -> Result<bool> {
    let Report { tally, problems } = check()?;
    for problem in &problems {
        println!("{problem}");
    }
    println!("{} rules hold, {} do not", tally.passed, tally.failed);
    Ok(problems.is_empty())
}

/// Every suite is run by `cargo xtask test`, and every part has its suite.
fn suites() -> Result<Vec<String>> {
    let there = suites_on_disk()?;
    let mut problems = Vec::new();
    for name in &there {
        if !PARTS.iter().any(|part| part.name == name) {
            problems.push(format!(
                "interop/{name}: not in the table of xtask/src/parts.rs"
            ));
        }
    }
    for part in PARTS.iter().filter(|part| part.needs_server()) {
        if !there.iter().any(|name| name == part.name) {
            problems.push(format!(
                "xtask/src/parts.rs: there is no interop/{}/run",
                part.name
            ));
        }
    }
    Ok(problems)
}
