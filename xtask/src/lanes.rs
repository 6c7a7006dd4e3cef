//! Side by side: some jobs at the same time, some alone.

use std::iter::{Enumerate, Peekable};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::vec::IntoIter;

/// Runs the jobs, at most `lanes` at the same time, and gives what they returned, both in the order of
/// the jobs. One that is `alone` begins when all before it have ended, and none begins before its end.
pub(crate) fn run<J: Send, R: Send>(
    lanes: usize,
    jobs: Vec<J>,
    alone: impl Fn(&J) -> bool + Sync,
    run: impl Fn(J) -> R + Sync,
) -> Vec<R> {
    let gate = Gate::of(jobs);
    let lane = || {
        let mut results = Vec::new();
        while let Some((at, job, pass)) = gate.next(&alone) {
            results.push((at, run(job)));
            drop(pass);
        }
        results
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes.max(1)).map(|_| scope.spawn(lane)).collect();
        let ended = lanes.into_iter().map(|lane| lane.join());
        ended
            .flat_map(|results| results.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Lets one job after the other begin.
struct Gate<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    jobs: Peekable<Enumerate<IntoIter<J>>>,
    running: usize,
    /// What runs wants to be alone.
    alone: bool,
}

/// The right to run a job. Dropped, also by a panic, it lets the next ones begin.
struct Pass<'a, J>(&'a Gate<J>);

impl<J> Gate<J> {
    fn of(jobs: Vec<J>) -> Gate<J> {
        Gate {
            state: Mutex::new(State {
                jobs: jobs.into_iter().enumerate().peekable(),
                running: 0,
                alone: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits until the next job may begin; nothing when there is none.
    fn next(&self, alone: impl Fn(&J) -> bool) -> Option<(usize, J, Pass<'_, J>)> {
        let mut state = self.lock();
        loop {
            let wants_alone = alone(&state.jobs.peek()?.1);
            if state.running == 0 || !wants_alone && !state.alone {
                let (at, job) = state.jobs.next()?;
                state.running += 1;
                state.alone = wants_alone;
                return Some((at, job, Pass(self)));
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> Drop for Pass<'_, J> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        state.alone = false;
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_jobs() {
        let jobs: Vec<usize> = (0..100).collect();
        for lanes in [0, 1, 2, 5] {
            let results = run(lanes, jobs.clone(), |job| job % 7 == 0, |job| job * 2);
            assert_eq!(results, jobs.iter().map(|job| job * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn two_lanes_run_two_jobs_at_the_same_time() {
        let both = Barrier::new(2);
        // Each waits for another one.
        run(2, vec![(); 6], |()| false, |()| both.wait());
    }

    #[test]
    fn one_that_is_alone_runs_alone_and_in_its_turn() {
        let jobs: Vec<usize> = (0..60).collect();
        let alone = |job: &usize| job % 5 == 3;
        let running = AtomicUsize::new(0);
        let ended = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        run(3, jobs, alone, |job| {
            let beside = running.fetch_add(1, Ordering::SeqCst);
            most.fetch_max(beside + 1, Ordering::SeqCst);
            if alone(&job) {
                assert_eq!(beside, 0, "job {job}");
                let ended = ended.load(Ordering::SeqCst);
                assert_eq!(ended, job, "all before it, none behind");
            }
            std::thread::yield_now();
            if alone(&job) {
                assert_eq!(running.load(Ordering::SeqCst), 1, "job {job}");
            }
            ended.fetch_add(1, Ordering::SeqCst);
            running.fetch_sub(1, Ordering::SeqCst);
        });
        assert!(most.load(Ordering::SeqCst) <= 3);
    }

    #[test]
    fn one_lane_runs_one_job_after_the_other() {
        let order = Mutex::new(Vec::new());
        run(
            1,
            vec![3, 1, 2],
            |_| false,
            |job| order.lock().unwrap().push(job),
        );
        assert_eq!(*order.lock().unwrap(), [3, 1, 2]);
    }

    #[test]
    fn a_panic_of_a_job_is_told_and_stops_no_other() {
        let ended = AtomicUsize::new(0);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let fail_one = |job| {
                assert_ne!(job, 1);
                ended.fetch_add(1, Ordering::SeqCst);
            };
            run(2, vec![0, 1, 2, 3], |job| *job == 2, fail_one)
        }));
        assert!(outcome.is_err());
        assert_eq!(ended.load(Ordering::SeqCst), 3);
    }
}
