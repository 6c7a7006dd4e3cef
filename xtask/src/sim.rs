//! Simulated ensembles for as long as one likes.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::repo;

/// Builds the simulator and lets it run: `--for 8h --seed N --threads N`, and `--run N`, `--shrink N`
/// and `--tail N` for one run; `--java none|some|mixed|only` for members of Java. True if nothing was
/// found.
pub(crate) fn sim(words: &[&str]) -> Result<bool> {
    let mut arguments = Vec::new();
    for pair in words.chunks(2) {
        match *pair {
            ["--for", time] => {
                arguments.extend(["--for".to_owned(), seconds(time)?.to_string()]);
            }
            [
                name @ ("--seed" | "--threads" | "--run" | "--shrink" | "--tail" | "--java"),
                value,
            ] => {
                arguments.extend([name.to_owned(), value.to_owned()]);
            }
            _ => bail!("what is {}? See cargo xtask help", pair.join(" ")),
        }
    }
    if !words.contains(&"--threads") && !words.contains(&"--run") {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        arguments.extend(["--threads".to_owned(), cores.to_string()]);
    }
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--release", "--package", "zooid-sim"])
        .args(["--features", "mutations"])
        .args(["--example", "ensemble", "--"])
        .args(arguments)
        .current_dir(repo())
        .status()
        .context("cannot start cargo")?;
    Ok(status.success())
}

/// `90`, `90s`, `10m` or `8h` in seconds.
fn seconds(time: &str) -> Result<u64> {
    let (number, unit) = match time.char_indices().last() {
        Some((at, 's')) => (&time[..at], 1),
        Some((at, 'm')) => (&time[..at], 60),
        Some((at, 'h')) => (&time[..at], 3600),
        _ => (time, 1),
    };
    let number: u64 = number
        .parse()
        .with_context(|| format!("{time} is no time: 90s, 10m, 8h"))?;
    number.checked_mul(unit).context("too long")
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_have_units() {
        let read = |time| seconds(time).ok();
        assert_eq!(read("90"), Some(90));
        assert_eq!(read("10m"), Some(600));
        assert_eq!(read("8h"), Some(28_800));
        assert_eq!(read("h"), None);
    }
}
