//! How a run goes, on stderr, once a second.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Counts what is done, and tells it when asked to.
pub(crate) struct Progress {
    state: Arc<State>,
}

struct State {
    done: AtomicU64,
    stopped: AtomicBool,
    phase: Mutex<&'static str>,
}

impl Progress {
    pub(crate) fn start(loud: bool) -> Progress {
        let state = Arc::new(State {
            done: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            phase: Mutex::new("start"),
        });
        if loud {
            tokio::spawn(tell(state.clone()));
        }
        Progress { state }
    }

    /// Says what is being done from now on.
    pub(crate) fn phase(&self, name: &'static str) {
        *self.state.phase.lock().expect("no panic inside") = name;
    }

    /// So many more are done.
    pub(crate) fn add(&self, count: u64) {
        self.state.done.fetch_add(count, Ordering::Relaxed);
    }

    /// A handle for a task.
    pub(crate) fn share(&self) -> Progress {
        Progress {
            state: self.state.clone(),
        }
    }

    pub(crate) fn stop(&self) {
        self.state.stopped.store(true, Ordering::Relaxed);
    }
}

async fn tell(state: Arc<State>) {
    let start = Instant::now();
    let mut last = (0, start);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if state.stopped.load(Ordering::Relaxed) {
            return;
        }
        let (done, now) = (state.done.load(Ordering::Relaxed), Instant::now());
        let rate = (done - last.0) as f64 / (now - last.1).as_secs_f64();
        let phase = *state.phase.lock().expect("no panic inside");
        eprintln!(
            "{:>5.0} s  {phase:<8} {done:>12} done {rate:>12.0} /s",
            start.elapsed().as_secs_f64()
        );
        last = (done, now);
    }
}
