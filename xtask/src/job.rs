//! One process with all its children, bounded in time.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often a long job gives a sign of life.
const PROGRESS: Duration = Duration::from_secs(30);

/// How a job ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself.
    With(ExitStatus),
    /// By us, after its time.
    TimedOut,
}

/// Runs a command in a process group of its own, its output into a log.
///
/// # Errors
/// When the command cannot be started.
pub(crate) fn run(
    mut command: Command,
    log: &File,
    limit: Duration,
    progress: impl Fn(Duration),
) -> io::Result<Ended> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .process_group(0)
        .spawn()?;
    let mut guard = Some(Guard::of(child.id())?);
    let (ended, end) = channel();
    std::thread::spawn(move || ended.send(child.wait()));
    loop {
        let left = limit.saturating_sub(start.elapsed());
        let wait = if guard.is_some() {
            left.min(PROGRESS)
        } else {
            PROGRESS
        };
        match end.recv_timeout(wait) {
            Ok(status) => {
                return match guard {
                    Some(guard) => {
                        guard.dismiss()?;
                        Ok(Ended::With(status?))
                    }
                    None => Ok(Ended::TimedOut),
                };
            }
            Err(RecvTimeoutError::Timeout) if left.is_zero() => guard = None,
            Err(RecvTimeoutError::Timeout) => progress(start.elapsed()),
            Err(RecvTimeoutError::Disconnected) => unreachable!("the thread sends before it ends"),
        }
    }
}

/// A shell that ends a process group as soon as our end of its pipe is closed without a word: when
/// the time is over, and also when this process is interrupted or killed.
struct Guard(Child);

/// TERM first, so that suites can end their servers, which are in other groups.
const GUARD: &str = "
read -r word && exit 0
kill -s TERM -- \"-$1\" 2>/dev/null
n=0
while kill -s 0 -- \"-$1\" 2>/dev/null && [ $n -lt 200 ]; do sleep 0.1; n=$((n + 1)); done
kill -s KILL -- \"-$1\" 2>/dev/null
exit 0";

impl Guard {
    fn of(group: u32) -> io::Result<Guard> {
        Command::new("sh")
            .args(["-c", GUARD, "guard", &group.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Guard)
    }

    fn dismiss(mut self) -> io::Result<()> {
        let mut pipe = self.0.stdin.take().expect("it was made with a pipe");
        pipe.write_all(b"done\n")?;
        drop(pipe);
        self.0.wait().map(drop)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.stdin.take().is_some() {
            // The pipe is closed by now, and the guard at work.
            let _ = self.0.wait();
        }
    }
}

/// Ends processes that carry `name=value` in their environment, whatever group they are in, and tells
/// which those were. A suite that ends its servers itself leaves none.
pub(crate) fn end_marked(name: &str, value: &str) -> Vec<String> {
    let mark = format!("{name}={value}").into_bytes();
    let mut ended = Vec::new();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return ended;
    };
    for process in processes.flatten() {
        let Ok(id) = process.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let Ok(environment) = std::fs::read(process.path().join("environ")) else {
            continue;
        };
        if id == std::process::id() || !environment.split(|byte| *byte == 0).any(|v| v == mark) {
            continue;
        }
        let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&words).replace('\0', " ");
        let kill = format!("kill -s KILL {id}");
        if Command::new("sh")
            .args(["-c", &kill])
            .status()
            .is_ok_and(|status| status.success())
        {
            ended.push(format!(
                "{id} ({})",
                line.chars().take(100).collect::<String>().trim()
            ));
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended {
        let log = File::options().write(true).open("/dev/null").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, &log, limit, |_| ()).unwrap()
    }

    #[test]
    fn a_job_that_ends_in_time_tells_its_code() {
        let Ended::With(status) = shell("exit 3", Duration::from_secs(60)) else {
            panic!("timed out")
        };
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_job_that_hangs_is_ended_with_its_children() {
        let start = Instant::now();
        let ended = shell("sleep 600 & wait", Duration::from_millis(200));
        assert!(matches!(ended, Ended::TimedOut), "{ended:?}");
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn processes_left_behind_are_found_by_their_mark() {
        let mark = format!("test-{}", std::process::id());
        let mut child = Command::new("sleep")
            .arg("600")
            .env("XTASK_TEST_MARK", &mark)
            .process_group(0)
            .spawn()
            .unwrap();
        // The environment is there as soon as the program runs, which `spawn` waits for.
        let ended = end_marked("XTASK_TEST_MARK", &mark);
        child.wait().unwrap();
        assert_eq!(ended.len(), 1, "{ended:?}");
        assert!(ended[0].contains("sleep 600"), "{ended:?}");
    }
}
