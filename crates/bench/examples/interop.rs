//! `zooid bench` against a real server: `interop HOST:PORT`, see `interop/bench/run`.
//!
//! Each check runs the binary that `ZOOID` names for a moment and asks the server, through the client
//! library and four-letter words, whether that did what it says. Nothing here depends on how long
//! something takes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use zooid_client::{Client, Options};

/// Longest time for anything to happen.
const DEADLINE: Duration = Duration::from_secs(60);

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome = Result<(), Failure>;

/// Fails the check unless both are equal.
macro_rules! same {
    ($left:expr, $right:expr) => {{
        match (&$left, &$right) {
            (left, right) if left == right => {}
            (left, right) => {
                return Err(format!("line {}: {left:?} is not {right:?}", line!()).into());
            }
        }
    }};
}

struct Lab {
    server: String,
    zooid: String,
    client: Client,
    runtime: tokio::runtime::Runtime,
}

/// What a run of `zooid bench` ended with.
struct Ended {
    good: bool,
    json: Value,
    stderr: String,
}

impl Ended {
    fn number(&self, name: &str) -> Result<u64, Failure> {
        number(&self.json, name)
    }
}

fn number(json: &Value, name: &str) -> Result<u64, Failure> {
    let value = json[name].as_f64();
    Ok(value.ok_or_else(|| format!("no {name} in {json}"))? as u64)
}

impl Lab {
    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(&self.zooid);
        command
            .args(["bench", "--json", "--server", &self.server])
            .args(words.split_whitespace());
        command
    }

    /// Runs `zooid bench` with these words, briefly unless they say otherwise.
    fn bench(&self, words: &str) -> Result<Ended, Failure> {
        let output = self
            .command(words)
            .args(["--warm-up", "0.1", "--seconds", "0.2"])
            .stdin(Stdio::null())
            .output()?;
        let stdout = String::from_utf8(output.stdout)?;
        Ok(Ended {
            good: output.status.success(),
            json: serde_json::from_str(&stdout).unwrap_or(Value::Null),
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// A run that must succeed without an error, having asked something.
    fn good(&self, words: &str) -> Result<Ended, Failure> {
        let ended = self.bench(words)?;
        if !ended.good || ended.number("errors")? != 0 || ended.number("in_all")? == 0 {
            return Err(format!("bench {words}: {} {}", ended.json, ended.stderr).into());
        }
        Ok(ended)
    }

    /// A run that holds what it made while `check` looks at it.
    fn held(&self, words: &str, check: impl FnOnce(&Value) -> Outcome) -> Outcome {
        let mut child = self
            .command(words)
            .arg("--hold")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line);
        let checked = read
            .map_err(Failure::from)
            .and_then(|_| Ok(serde_json::from_str(&line)?))
            .and_then(|json| check(&json));
        drop(child.stdin.take());
        let status = child.wait()?;
        checked?;
        same!(status.success(), true);
        Ok(())
    }

    fn word(&self, word: &str) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(&self.server)?;
        stream.write_all(word.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn metric(&self, name: &str) -> Result<u64, Failure> {
        let answer = self.word("mntr")?;
        let line = answer.lines().find_map(|line| line.strip_prefix(name));
        let value = line.ok_or_else(|| format!("mntr has no {name}"))?;
        Ok(value.trim().parse::<f64>()? as u64)
    }

    /// Waits until a metric has a value.
    fn becomes(&self, name: &str, wanted: u64) -> Outcome {
        let start = Instant::now();
        while self.metric(name)? != wanted {
            if start.elapsed() > DEADLINE {
                same!(self.metric(name)?, wanted);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Nodes below a path; `None` if there is no such node.
    fn below(&self, path: &str) -> Result<Option<i32>, Failure> {
        self.runtime.block_on(async {
            match self.client.exists(path).await? {
                None => Ok(None),
                Some(_) => Ok(Some(self.client.all_children_number(path).await?)),
            }
        })
    }

    /// How often the children of a node were set.
    fn sets_in(&self, path: &str) -> Result<u64, Failure> {
        self.runtime.block_on(async {
            let mut sets = 0;
            for child in self.client.get_children(path).await?.0 {
                let stat = self.client.exists(&format!("{path}/{child}")).await?;
                sets += u64::try_from(stat.ok_or("a child went")?.version)?;
            }
            Ok(sets)
        })
    }
}

type Check = (&'static str, fn(&Lab) -> Outcome);

const CHECKS: &[Check] = &[
    ("reads_leave_nothing", |lab| {
        for operation in ["get", "exists", "children"] {
            lab.good(&format!("{operation} --root /reads --keys 10"))?;
            same!(lab.below("/reads")?, None);
        }
        Ok(())
    }),
    ("each_set_is_there", |lab| {
        let ended = lab.good("set --root /set --keys 7 --keep")?;
        same!(lab.sets_in("/set")?, ended.number("in_all")?);
        same!(lab.below("/set")?, Some(7));
        Ok(())
    }),
    ("each_created_node_is_there", |lab| {
        let ended = lab.good("create --root /create --keys 1 --keep -c 3 -o 5")?;
        let below = lab.below("/create")?.ok_or("no root")?;
        same!(u64::try_from(below)?, ended.number("in_all")? + 1);
        Ok(())
    }),
    ("created_nodes_are_removed", |lab| {
        lab.good("create --root /created --depth 2 --per-parent 2 --keys 9")?;
        same!(lab.below("/created")?, None);
        Ok(())
    }),
    ("each_deleted_node_is_gone", |lab| {
        lab.good("delete --root /delete --keys 2 --keep")?;
        same!(lab.below("/delete")?, Some(2));
        Ok(())
    }),
    ("a_multi_sets_all", |lab| {
        let ended = lab.good("multi --multi 5 --root /multi --keys 20 --keep")?;
        same!(lab.sets_in("/multi")?, 5 * ended.number("in_all")?);
        Ok(())
    }),
    ("a_share_of_mixed_writes", |lab| {
        let ended = lab.good("mixed --writes 30 -c 1 --root /mixed --keys 5 --keep")?;
        same!(lab.sets_in("/mixed")?, ended.number("in_all")? * 30 / 100);
        Ok(())
    }),
    ("a_pace_is_kept", |lab| {
        let ended = lab.good("set --rate 1000 -c 4 --root /paced --keys 5 --keep")?;
        same!(ended.number("in_all")?, 300);
        same!(lab.sets_in("/paced")?, 300);
        Ok(())
    }),
    ("an_event_for_each_watcher", |lab| {
        let ended = lab.good("fanout -c 40 --rounds 3 --root /fanout --keep")?;
        same!(ended.number("requests")?, 120);
        same!(lab.sets_in("/fanout")?, 3);
        same!(lab.metric("zk_watch_count")?, 0);
        Ok(())
    }),
    ("a_storm_of_sessions", |lab| {
        let before = lab.metric("zk_global_sessions")?;
        lab.held("storm --sessions 60 --root /storm", |json| {
            same!(number(json, "connected")?, 60);
            same!(lab.metric("zk_global_sessions")?, before + 60);
            Ok(())
        })?;
        lab.becomes("zk_global_sessions", before)
    }),
    ("sessions_that_come_and_go", |lab| {
        let before = lab.metric("zk_global_sessions")?;
        lab.good("churn -c 4 --root /churn")?;
        lab.becomes("zk_global_sessions", before)
    }),
    ("a_watch_of_each_on_each", |lab| {
        lab.held("watches -c 6 --keys 700 --root /watches", |json| {
            same!(number(json, "requests")?, 4200);
            let answer = lab.word("wchs")?;
            if !answer.starts_with("6 connections watching 700 paths")
                || !answer.contains("Total watches:4200")
            {
                return Err(answer.into());
            }
            Ok(())
        })?;
        same!(lab.below("/watches")?, None);
        lab.becomes("zk_watch_count", 0)
    }),
    ("nodes_of_a_shape", |lab| {
        let shape = "--root /fill --depth 2 --per-parent 4 --path-length 30 --keys 10";
        let ended = lab.good(&format!("fill {shape}"))?;
        same!(ended.number("requests")?, 10);
        same!(lab.below("/fill")?, Some(2 + 3 + 10));
        same!(lab.below("/fill/d/d/p2/k0000000000000009")?, Some(0));
        lab.good(&format!("get --existing {shape}"))?;
        same!(lab.below("/fill")?, Some(2 + 3 + 10));
        Ok(())
    }),
    ("errors_are_counted", |lab| {
        let ended = lab.bench("get --existing --root /nowhere")?;
        same!(ended.good, false);
        same!(ended.number("errors")?, ended.number("in_all")?);
        Ok(())
    }),
    ("what_cannot_be_is_said", |lab| {
        let ended = lab.bench("set --size 2000000 --keys 1 --root /large")?;
        same!(
            (ended.good, ended.stderr.contains("jute.maxbuffer")),
            (false, true)
        );
        same!(lab.below("/large")?, None);
        let ended = lab.bench("set --rate 5 --keys 0")?;
        same!((ended.good, ended.stderr.contains("keys")), (false, true));
        Ok(())
    }),
    // The last one: the sessions stay for the rest of their timeout.
    ("abandoned_sessions_stay", |lab| {
        let before = lab.metric("zk_global_sessions")?;
        lab.held("storm --sessions 30 --abandon 20 --root /abandon", |json| {
            same!(number(json, "connected")?, 10);
            same!(lab.metric("zk_global_sessions")?, before + 30);
            Ok(())
        })?;
        lab.becomes("zk_global_sessions", before + 20)
    }),
];

fn main() -> Result<ExitCode, Failure> {
    let server = std::env::args().nth(1).ok_or("interop HOST:PORT")?;
    let zooid = std::env::var("ZOOID").map_err(|_| "ZOOID names no binary")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let client = runtime.block_on(Client::connect(&server, Options::default()))?;
    let lab = Lab {
        server,
        zooid,
        client,
        runtime,
    };
    let (mut passed, mut failed) = (0, 0);
    for (name, check) in CHECKS {
        match check(&lab) {
            Ok(()) => {
                passed += 1;
                println!("ok {name}");
            }
            Err(error) => {
                failed += 1;
                println!("FAIL {name}: {error}");
            }
        }
    }
    lab.runtime.block_on(lab.client.close());
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
