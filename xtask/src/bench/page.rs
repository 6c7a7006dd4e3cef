//! The page of a comparison: what should be reached, what was, and how it was measured.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::Result;

use super::JAVA_FLAGS;
use crate::{repo, zooid};

/// Where it is written, all of it and its quick rows.
const FILE: &str = "bench/RESULTS.md";
const QUICK: &str = "bench/QUICK.md";

/// What should be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Told only.
    None,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) goal: Goal,
    /// Behind the figures, `x` for ratios.
    pub(crate) unit: &'static str,
    /// One value of each round.
    pub(crate) values: Vec<f64>,
    /// What the values come from, in words.
    pub(crate) from: String,
}

impl Line {
    pub(crate) fn new(what: impl Into<String>, goal: Goal) -> Line {
        Line {
            what: what.into(),
            goal,
            unit: "x",
            values: Vec::new(),
            from: String::new(),
        }
    }

    /// Ratios of rounds, with the medians that they come from.
    pub(crate) fn ratios(mut self, pairs: &[(f64, f64)], unit: &str) -> Line {
        let ratio = |(one, other): &(f64, f64)| one / other.max(1e-9);
        self.values = pairs.iter().map(ratio).collect();
        let side = |side: fn(&(f64, f64)) -> f64| figure(median(pairs.iter().map(side).collect()));
        self.from = format!("{} to {} {unit}", side(|pair| pair.0), side(|pair| pair.1));
        self
    }

    /// Values by themselves.
    pub(crate) fn values(mut self, values: Vec<f64>, unit: &'static str) -> Line {
        self.values = values;
        self.unit = unit;
        self
    }

    pub(crate) fn from(mut self, text: impl Into<String>) -> Line {
        self.from = text.into();
        self
    }

    fn met(&self) -> Option<bool> {
        let middle = median(self.values.clone());
        match self.goal {
            Goal::AtLeast(goal) => Some(middle >= goal),
            Goal::AtMost(goal) => Some(middle <= goal),
            Goal::None => None,
        }
    }

    fn cells(&self) -> String {
        let goal = match self.goal {
            Goal::AtLeast(goal) => format!("at least {goal} {}", self.unit),
            Goal::AtMost(goal) => format!("at most {goal} {}", self.unit),
            Goal::None => String::new(),
        };
        let verdict = match self.met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        format!(
            "| {} | {goal} | {} | {verdict} | {} |",
            self.what,
            spread(&self.values, self.unit),
            self.from
        )
    }
}

/// The page, written again after each part.
pub(crate) struct Page {
    head: String,
    text: String,
}

impl Page {
    pub(crate) fn new(command: &str) -> Result<Page> {
        let mut head = String::from("# Zooid beside Apache ZooKeeper 3.9.5\n\n");
        head.push_str(
            "Both servers have the same `zoo.cfg` and their data on the same disk, fsync on, in turn, \
             and share\nthe cores with the load generator, `zooid bench`. The echo is a server that \
             knows only frames: it answers\neach with bytes of the right length, and is what this \
             machine and this load generator allow at most.\n`bench/NOTES.md` says what is behind a \
             figure that is missed.\n\nMedian of the rounds (lowest-highest). \
             Ratios are of one round; absolute figures of a noisy machine\nmean little by \
             themselves.\n\n",
        );
        writeln!(head, "- made by: `{command}`, {}", date()?)?;
        writeln!(head, "- machine: {}", machine()?)?;
        let version = first_line(&said(Command::new(zooid()).arg("--version"))?);
        let java = first_line(&said(Command::new("java").arg("-version"))?);
        let flags = JAVA_FLAGS.join(" ");
        writeln!(head, "- versions: {version} at {}", commit()?)?;
        writeln!(
            head,
            "- Apache ZooKeeper 3.9.5 on {java}, {flags}, warmed up for 8 s and before each load\n"
        )?;
        Ok(Page {
            head,
            text: String::new(),
        })
    }

    /// The lines so far, and what went wrong.
    pub(crate) fn set(&mut self, lines: &[Line], failed: &[String]) -> Result<()> {
        self.text = self.head.clone();
        self.text
            .push_str("| what | goal | measured | | from |\n|---|---|---|---|---|\n");
        for line in lines {
            self.text.push_str(&line.cells());
            self.text.push('\n');
        }
        let goals = lines.iter().filter_map(Line::met);
        let (met, missed): (Vec<bool>, Vec<bool>) = goals.partition(|met| *met);
        writeln!(self.text, "\n{} met, {} missed.", met.len(), missed.len())?;
        for failed in failed {
            writeln!(self.text, "\n**{failed}**")?;
        }
        Ok(())
    }

    pub(crate) fn write(&self, quick: bool) -> Result<()> {
        let file = if quick { QUICK } else { FILE };
        std::fs::write(repo().join(file), &self.text)?;
        Ok(())
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 0 => f64::midpoint(values[count / 2 - 1], values[count / 2]),
        count => values[count / 2],
    }
}

fn spread(values: &[f64], unit: &str) -> String {
    if values.is_empty() {
        return String::new();
    }
    let middle = figure(median(values.to_vec()));
    if values.len() < 2 {
        return format!("{middle} {unit}");
    }
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{middle} {unit} ({}-{})", figure(lowest), figure(highest))
}

/// A number with as many digits as mean something.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub(crate) fn machine() -> Result<String> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism()?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| {
        let kib = line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?;
        kib.parse::<u64>().ok()
    });
    Ok(format!(
        "{cores} cores of {model}, {} GiB, Linux {}",
        memory.unwrap_or(0) >> 20,
        kernel.trim()
    ))
}

pub(crate) fn date() -> Result<String> {
    said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))
}

fn commit() -> Result<String> {
    let git = ["describe", "--always", "--dirty", "--exclude=*"];
    said(Command::new("git").args(git).current_dir(repo()))
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_goal_figure_and_verdict() {
        let line = Line::new("get", Goal::AtLeast(8.0));
        let pairs = [(90.0, 10.0), (70.0, 10.0), (100.0, 10.0)];
        let cells = line.ratios(&pairs, "/s").cells();
        let wanted = "| get | at least 8 x | 9.00 x (7.00-10.0) | met | 90.0 to 10.0 /s |";
        assert_eq!(cells, wanted);
        let line = Line::new("idle", Goal::AtMost(15.0)).values(vec![16.0], "MB");
        assert_eq!(
            line.cells(),
            "| idle | at most 15 MB | 16.0 MB | **missed** |  |"
        );
    }

    #[test]
    fn the_middle_of_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
