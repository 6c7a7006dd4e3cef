//! The `zooid` binary: the server and its tools.

mod bench;
mod javaenv;
mod migrate;
mod serve;
mod shell;
mod verify;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use zooid_config::{Sources, SystemProperty};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A drop-in replacement for the Apache ZooKeeper 3.9.5 server.
///
/// Without a command it serves on port 2181 with its data in ./data.
#[derive(Parser)]
#[command(name = "zooid", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server (what `zooid` alone does).
    Serve(ServeArgs),
    /// Read a configuration file, say what is wrong with it and what it sets.
    CheckConfig {
        /// The configuration file, usually zoo.cfg.
        file: PathBuf,
        #[command(flatten)]
        properties: Properties,
    },
    /// Read a data directory whole, change nothing, say whether a server would start on it.
    ///
    /// Ends with 0 where it would, with 1 where it would not, or would hold something else than
    /// what was logged. Damage in files that are not needed is told and does not count.
    Verify(VerifyArgs),
    /// Talk to a server: list, read, write and watch nodes.
    Cli(shell::ShellArgs),
    /// Put load on any ZooKeeper server and measure what it does.
    Bench(bench::BenchArgs),
    #[allow(missing_docs, reason = "its arguments say what it is")]
    Migrate(migrate::MigrateArgs),
}

/// Where the configuration comes from: options win over the file, the file over -D words, those
/// over SERVER_JVMFLAGS and JVMFLAGS.
#[derive(Args)]
struct ServeArgs {
    /// Configuration file in the format of zoo.cfg.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory for snapshots and, unless dataLogDir is set, the transaction log.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// TCP port for clients.
    #[arg(long, value_name = "PORT")]
    client_port: Option<u16>,
    #[command(flatten)]
    properties: Properties,
}

#[derive(Args)]
struct VerifyArgs {
    /// Data directory (dataDir); without it, that of the configuration file.
    #[arg(required_unless_present = "config")]
    dir: Option<PathBuf>,
    /// Directory of the transaction log (dataLogDir), if it is another one.
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// Configuration file of the server, for its directories and for extendedTypesEnabled.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    properties: Properties,
}

#[derive(Args)]
struct Properties {
    /// A Java system property of Apache ZooKeeper, such as -Dzookeeper.skipACL=yes.
    #[arg(short = 'D', value_name = "NAME=VALUE")]
    properties: Vec<String>,
}

impl Properties {
    fn parse(&self) -> Vec<SystemProperty> {
        self.properties
            .iter()
            .filter_map(|word| SystemProperty::from_word(word))
            .collect()
    }
}

impl ServeArgs {
    fn sources(self) -> Sources {
        let mut env = zooid_config::environment();
        let file = self
            .config
            .or_else(|| zooid_config::config_file_from_environment(&env));
        if let Some(file) = &file {
            javaenv::add(file, &mut env);
        }
        Sources {
            file,
            text: None,
            data_dir: self.data_dir,
            client_port: self.client_port,
            system_properties: self.properties.parse(),
            env,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        None => serve::run(cli.serve.sources()),
        Some(Command::Serve(args)) => serve::run(args.sources()),
        Some(Command::CheckConfig { file, properties }) => {
            let mut env = zooid_config::environment();
            javaenv::add(&file, &mut env);
            let report = zooid_config::check(Sources {
                file: Some(file),
                system_properties: properties.parse(),
                env,
                ..Sources::default()
            });
            print!("{}", report.text);
            ExitCode::from(report.exit_code)
        }
        Some(Command::Verify(args)) => {
            let sources = Sources {
                file: args.config,
                data_dir: args.dir,
                system_properties: args.properties.parse(),
                env: zooid_config::environment(),
                ..Sources::default()
            };
            verify::run(sources, args.log_dir)
        }
        Some(Command::Cli(args)) => exit_code(shell::run(args)),
        Some(Command::Migrate(args)) => exit_code(migrate::run(args)),
        Some(Command::Bench(args)) => exit_code(bench::run(args)),
    }
}

fn exit_code(ended: anyhow::Result<ExitCode>) -> ExitCode {
    ended.unwrap_or_else(|error| {
        eprintln!("zooid: {error:#}");
        ExitCode::FAILURE
    })
}
