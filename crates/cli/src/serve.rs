//! `zooid serve`: reads the configuration, sets the log up, runs the server until a signal.

use std::io::IsTerminal;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use zooid_config::{Config, Level, Sources};

/// What the process ends with when it is told to stop twice.
const SECOND_SIGNAL: i32 = 130;

/// Runs a server; returns what the process ends with.
pub(crate) fn run(sources: Sources) -> ExitCode {
    let filter = EnvFilter::try_from_env("ZOOID_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let loaded = match Config::load(sources) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("zooid: {error}");
            return ExitCode::from(error.exit_code());
        }
    };
    for warning in &loaded.warnings {
        match warning.level {
            Level::Note => tracing::info!("{warning}"),
            _ => tracing::warn!("{warning}"),
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("zooid: the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        let stop = stop_signal()?;
        zooid_server::serve(loaded.config, stop).await
    });
    // Connections that still wait for something end with the process.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zooid: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Done when the operator wants the server to end. A second signal ends the process at once: what
/// was acknowledged is on disk at any time.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut stop = Some(stop);
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let Some(stop) = stop.take() else {
                eprintln!("zooid: a second signal: ending at once");
                std::process::exit(SECOND_SIGNAL);
            };
            tracing::info!("a signal to stop; a second one ends at once");
            let _ = stop.send(());
        }
    });
    Ok(async move {
        let _ = stopped.await;
    })
}
