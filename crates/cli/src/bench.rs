//! `zooid bench`: load on any ZooKeeper server, and what came of it.

use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::io::{IsTerminal, Read, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use zooid_bench::{Operation, Outcome, Plan};

/// Percentiles that are told.
const QUANTILES: [f64; 6] = [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0];

/// Options of `zooid bench`.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Server to load.
    #[arg(
        short,
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:2181"
    )]
    server: String,
    /// What to ask for.
    #[arg(value_enum, default_value = "get")]
    operation: Kind,
    /// Connections, each with a session of its own; watchers of fanout; handshakes under way in storm.
    #[arg(short, long, default_value_t = 32)]
    connections: usize,
    /// Requests under way on each connection.
    #[arg(short, long, default_value_t = 16)]
    outstanding: usize,
    /// Requests a second over all connections, sent at fixed times whatever the server does;
    /// latencies count from those times.
    #[arg(short, long, value_name = "PER_SECOND", conflicts_with = "outstanding")]
    rate: Option<f64>,
    /// Bytes of data in each node.
    #[arg(long, default_value_t = 100)]
    size: usize,
    /// Nodes that requests go to.
    #[arg(long, default_value_t = 1000)]
    keys: usize,
    /// Levels of nodes between the root and the nodes.
    #[arg(long, default_value_t = 0)]
    depth: usize,
    /// Nodes in one parent; 0: all in one.
    #[arg(long, value_name = "NODES", default_value_t = 0)]
    per_parent: usize,
    /// Characters in the path of each node; 0: as few as it takes.
    #[arg(long, value_name = "CHARACTERS", default_value_t = 0)]
    path_length: usize,
    /// Writes in a hundred requests of mixed.
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    writes: u32,
    /// Operations in each multi.
    #[arg(long, value_name = "OPERATIONS", default_value_t = 8)]
    multi: usize,
    /// Sessions of storm.
    #[arg(long, default_value_t = 1000)]
    sessions: usize,
    /// Connections of storm that are cut while their sessions stay.
    #[arg(long, value_name = "SESSIONS", default_value_t = 0)]
    abandon: usize,
    /// Changes of fanout.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Session timeout to ask for.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 30_000)]
    timeout: i32,
    /// Seconds before the measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds of the measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    seconds: f64,
    /// Node below which everything happens; it is removed at the end. Default: one that no other
    /// run has.
    #[arg(long, value_name = "PATH")]
    root: Option<String>,
    /// Leave the nodes.
    #[arg(long)]
    keep: bool,
    /// The nodes are there, from a run of fill with the same root and shape: make and remove nothing.
    #[arg(long, requires = "root")]
    existing: bool,
    /// Keep the sessions of storm and watches until standard input ends.
    #[arg(long)]
    hold: bool,
    /// Tell each second how it goes, also where stderr is no terminal.
    #[arg(long)]
    progress: bool,
    /// One line of JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// getData.
    Get,
    /// exists.
    Exists,
    /// getChildren.
    #[value(alias = "getChildren", alias = "get-children")]
    Children,
    /// setData.
    Set,
    /// Create of a new node each time.
    Create,
    /// Delete of a node that was made just before; the create does not count.
    Delete,
    /// A transaction of several setData.
    Multi,
    /// getData with a share of setData.
    Mixed,
    /// One change and the events to all who watch: how long until the last one.
    Fanout,
    /// New sessions as quickly as the server gives them.
    Storm,
    /// Sessions that come, ask once and go.
    Churn,
    /// A watch of each connection on each node.
    Watches,
    /// Make the nodes, and leave them.
    Fill,
}

impl BenchArgs {
    fn plan(&self) -> anyhow::Result<Plan> {
        let operation = match self.operation {
            Kind::Get => Operation::Get,
            Kind::Exists => Operation::Exists,
            Kind::Children => Operation::Children,
            Kind::Set => Operation::Set,
            Kind::Create => Operation::Create,
            Kind::Delete => Operation::Delete,
            Kind::Multi => Operation::Multi,
            Kind::Mixed => Operation::Mixed {
                writes_percent: self.writes,
            },
            Kind::Fanout => Operation::Fanout,
            Kind::Storm => Operation::Storm,
            Kind::Churn => Operation::Churn,
            Kind::Watches => Operation::Watches,
            Kind::Fill => Operation::Fill,
        };
        let usual = Plan::new(&self.server, operation);
        Ok(Plan {
            connections: self.connections,
            outstanding: self.outstanding,
            rate: self.rate,
            size: self.size,
            keys: self.keys,
            depth: self.depth,
            per_parent: self.per_parent,
            path_length: self.path_length,
            multi: self.multi,
            sessions: self.sessions,
            abandon: self.abandon,
            rounds: self.rounds,
            timeout_ms: self.timeout,
            warm_up: seconds("warm-up", self.warm_up)?,
            duration: seconds("seconds", self.seconds)?,
            root: self.root.clone().unwrap_or(usual.root),
            existing: self.existing,
            keep: self.keep,
            hold: self.hold,
            progress: self.progress || std::io::stderr().is_terminal(),
            ..usual
        })
    }
}

fn seconds(option: &str, value: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(value).map_err(|error| anyhow::anyhow!("{option}: {error}"))
}

/// Runs it; returns what the process ends with.
pub(crate) fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = |outcome: &Outcome| {
        let text = if args.json {
            json(outcome)
        } else {
            table(outcome)
        };
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(())
    };
    let (end, ended) = tokio::sync::oneshot::channel();
    if plan.hold {
        // A thread of its own: nothing ends a read of standard input but its end.
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = end.send(());
        });
    }
    let held = async {
        let _ = ended.await;
    };
    let outcome = runtime.block_on(zooid_bench::run(&plan, report, held))?;
    Ok(if outcome.errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Processors that the load generator kept busy.
fn cores_used(outcome: &Outcome) -> f64 {
    outcome.cpu.as_secs_f64() / outcome.elapsed.as_secs_f64().max(1e-9)
}

fn table(outcome: &Outcome) -> String {
    let mut text = String::new();
    let mut line = |value: String, name: &str| {
        let _ = writeln!(text, "{value:>14} {name}");
    };
    line(format!("{:.0}", outcome.rate()), "requests/s");
    line(outcome.requests.to_string(), "requests measured");
    line(outcome.in_all.to_string(), "requests in all");
    line(outcome.errors_in_words(), "errors");
    line(format!("{:.2}", outcome.elapsed.as_secs_f64()), "s");
    let cpu = format!("{:.2}", outcome.cpu.as_secs_f64());
    let share = format!(
        "s of processor time of the load generator ({:.2} cores)",
        cores_used(outcome)
    );
    line(cpu, &share);
    for (name, value) in &outcome.more {
        line(format!("{value:.0}"), name);
    }
    let all = outcome.latency_us();
    let both = !outcome.reads_us.is_empty() && !outcome.writes_us.is_empty();
    let mut columns = vec![("latency us", &all)];
    if both {
        columns.extend([("reads", &outcome.reads_us), ("writes", &outcome.writes_us)]);
    }
    if let Some(late) = &outcome.late_us {
        columns.push(("sent late by", late));
    }
    if columns.iter().all(|(_, histogram)| histogram.is_empty()) {
        return text;
    }
    let _ = write!(text, "\n{:>14}", "");
    for (name, _) in &columns {
        let _ = write!(text, " {name:>13}");
    }
    for quantile in QUANTILES {
        let _ = write!(text, "\n{:>14}", name_of(quantile));
        for (_, histogram) in &columns {
            let _ = write!(text, " {:>13}", histogram.value_at_quantile(quantile));
        }
    }
    text.push('\n');
    text
}

fn name_of(quantile: f64) -> String {
    if quantile == 1.0 {
        return "max".into();
    }
    // 99.99 from 0.9999, without what binary fractions add.
    format!("p{}", (quantile * 1e6).round() / 1e4)
}

fn json(outcome: &Outcome) -> String {
    let mut text = format!(
        "{{\"requests\":{},\"in_all\":{},\"errors\":{},\"rate\":{:.1},\"seconds\":{:.6},\"client_cpu_seconds\":{:.6},\"client_cores\":{:.4}",
        outcome.requests,
        outcome.in_all,
        outcome.errors.values().sum::<u64>(),
        outcome.rate(),
        outcome.elapsed.as_secs_f64(),
        outcome.cpu.as_secs_f64(),
        cores_used(outcome),
    );
    for (name, value) in &outcome.more {
        let _ = write!(text, ",\"{name}\":{value}");
    }
    let all = outcome.latency_us();
    let mut histograms = vec![
        ("latency_us", &all),
        ("reads_us", &outcome.reads_us),
        ("writes_us", &outcome.writes_us),
    ];
    histograms.extend(outcome.late_us.as_ref().map(|late| ("late_us", late)));
    for (name, histogram) in histograms {
        if histogram.is_empty() {
            continue;
        }
        let of = |quantile: &f64| {
            let value = histogram.value_at_quantile(*quantile);
            format!("\"{}\":{value}", name_of(*quantile))
        };
        let values: Vec<String> = QUANTILES.iter().map(of).collect();
        let _ = write!(text, ",\"{name}\":{{{}}}", values.join(","));
    }
    text + "}\n"
}
