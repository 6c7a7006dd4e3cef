//! `zooid bench`: load on any ZooKeeper server, and what came of it.

use clap::{Args, ValueEnum};
use std::process::ExitCode;
use std::time::Duration;
use zooid_bench::{Operation, Plan};

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
    /// Connections, each with a session of its own.
    #[arg(short, long, default_value_t = 32)]
    connections: usize,
    /// Requests under way on each connection.
    #[arg(short, long, default_value_t = 16)]
    outstanding: usize,
    /// Bytes of data in each node.
    #[arg(long, default_value_t = 100)]
    size: usize,
    /// Nodes that reads and sets go to.
    #[arg(long, default_value_t = 1000)]
    keys: usize,
    /// Writes in a hundred requests of `mixed`.
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    writes: u32,
    /// Seconds before the measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds of the measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    seconds: f64,
    /// One line of JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Get,
    Exists,
    Children,
    Set,
    Create,
    Mixed,
}

/// Runs it; returns what the process ends with.
pub(crate) fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        server: args.server,
        operation: match args.operation {
            Kind::Get => Operation::Get,
            Kind::Exists => Operation::Exists,
            Kind::Children => Operation::Children,
            Kind::Set => Operation::Set,
            Kind::Create => Operation::Create,
            Kind::Mixed => Operation::Mixed {
                writes_percent: args.writes,
            },
        },
        connections: args.connections,
        outstanding: args.outstanding,
        size: args.size,
        keys: args.keys,
        warm_up: Duration::from_secs_f64(args.warm_up),
        duration: Duration::from_secs_f64(args.seconds),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(zooid_bench::run(&plan))?;
    let us = |quantile: f64| outcome.latency_us.value_at_quantile(quantile);
    let quantiles = [0.5, 0.9, 0.99, 0.999, 0.9999];
    if args.json {
        let latency: Vec<String> = quantiles
            .iter()
            .map(|q| format!("\"p{}\":{}", q * 100.0, us(*q)))
            .collect();
        println!(
            "{{\"requests\":{},\"errors\":{},\"rate\":{:.0},\"latency_us\":{{{},\"max\":{}}}}}",
            outcome.requests,
            outcome.errors,
            outcome.rate(),
            latency.join(","),
            outcome.latency_us.max()
        );
    } else {
        println!("{:>14.0} requests/s", outcome.rate());
        println!("{:>14} errors", outcome.errors);
        for quantile in quantiles {
            println!("{:>14} us p{}", us(quantile), quantile * 100.0);
        }
        println!("{:>14} us max", outcome.latency_us.max());
    }
    Ok(if outcome.errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
