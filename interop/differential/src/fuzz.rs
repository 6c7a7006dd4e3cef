//! Random streams against two servers, and the search for the shortest stream that shows a
//! difference.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use zooid_proto::OpCode;

use crate::difference::Difference;
use crate::expiry;
use crate::generate::Generator;
use crate::item::Item;
use crate::norm::{Body, Norm};
use crate::pair::{Pair, Seen, group_len};
use crate::rng::Rng;
use crate::server::{Kind, Server};
use crate::shrink::shrink;
use crate::variant::{VARIANTS, Variant};

/// Requests of a case: short enough for the shrinker, long enough for state to build up.
const CASE_REQUESTS: u64 = 1000;

/// How long the shrinker may work on a difference.
const SHRINK_TIME: Duration = Duration::from_secs(180);

/// How often ensembles are started until both have had as many elections.
const STARTS: usize = 10;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seed of the streams; a random one if left out
    #[arg(long)]
    seed: Option<u64>,
    /// How many requests
    #[arg(long, default_value_t = 200_000)]
    requests: u64,
    /// Run on for a time, like 90s, 10m or 1h, however many requests that are
    #[arg(long = "for", value_parser = duration)]
    time: Option<Duration>,
    /// The server that is judged
    #[arg(long, default_value = "zooid")]
    left: Kind,
    /// The server that is right
    #[arg(long, default_value = "java")]
    right: Kind,
    /// Judge an ensemble in place of a server, like zjz: Zooid, Java, and Zooid, which leads. The
    /// right one has as many members, all of the right kind, and each has clients
    #[arg(long, conflicts_with = "left")]
    ensemble: Option<String>,
    /// Only this configuration
    #[arg(long)]
    variant: Option<String>,
    /// Go on until so many different kinds of differences are found
    #[arg(long, default_value_t = 1)]
    differences: usize,
    /// Show how often each operation was answered with each error
    #[arg(long)]
    coverage: bool,
    /// Leave the case as long as it was found
    #[arg(long)]
    no_shrink: bool,
}

/// Runs the streams; answers how many configurations passed and failed.
pub(crate) fn run(options: &Options) -> Result<(usize, usize)> {
    let seed = options.seed.unwrap_or_else(fresh_seed);
    println!("seed {seed}");
    let chosen = |variant: &&Variant| {
        options
            .variant
            .as_deref()
            .is_none_or(|name| name == variant.name)
            && (options.ensemble.is_none() || variant.ensembles)
    };
    let variants: Vec<&Variant> = VARIANTS.iter().filter(chosen).collect();
    anyhow::ensure!(
        !variants.is_empty(),
        "no such variant; there are {:?}",
        VARIANTS.iter().map(|v| v.name).collect::<Vec<_>>()
    );
    let shares: u64 = variants.iter().map(|variant| variant.share).sum();
    let (mut passed, mut failed) = (0, 0);
    for (i, variant) in variants.iter().enumerate() {
        let start = Instant::now();
        let mut run = Run {
            options,
            variant,
            seed: seed ^ (i as u64) << 56,
            requests: options.requests * variant.share / shares,
            until: options
                .time
                .map(|time| start + time * variant.share as u32 / shares as u32),
            done: 0,
            found: HashMap::new(),
            coverage: BTreeMap::new(),
        };
        run.run()?;
        let name = variant.name;
        for (what, counts) in &run.coverage {
            let counts: Vec<String> = counts
                .iter()
                .map(|(code, n)| format!("{code}: {n}"))
                .collect();
            println!("  {what:24} {}", counts.join(", "));
        }
        if run.found.is_empty() {
            passed += 1;
            println!(
                "ok fuzz {name} seed {seed}: {} requests in {:.0?}",
                run.done,
                start.elapsed()
            );
        } else {
            failed += 1;
            println!(
                "FAIL fuzz {name} seed {seed}: {} kinds of differences in {} requests",
                run.found.len(),
                run.done
            );
            for (signature, count) in &run.found {
                println!("  {count} x {signature}");
            }
        }
    }
    Ok((passed, failed))
}

struct Run<'o> {
    options: &'o Options,
    variant: &'o Variant,
    seed: u64,
    requests: u64,
    until: Option<Instant>,
    done: u64,
    /// Kinds of differences, and how often they were met.
    found: HashMap<String, usize>,
    /// What the reference server answered, and how often.
    coverage: BTreeMap<String, BTreeMap<i32, usize>>,
}

/// The two servers, or the members of the two ensembles, and the connections to them.
struct Stage {
    servers: [Vec<Server>; 2],
    pair: Pair,
}

impl Stage {
    fn play(&mut self, at: usize, group: &[Item]) -> Result<Result<Vec<Seen>, Difference>> {
        if group[0] != Item::Restart {
            return Ok(self.pair.play(at, group));
        }
        if let Err(difference) = self.pair.play(at, &[Item::Barrier]) {
            return Ok(Err(difference));
        }
        // A follower: without its leader the ensemble elects, in as many rounds as it happens.
        let member = at % (self.servers[0].len() - 1).max(1);
        let [left, right] = &mut self.servers;
        std::thread::scope(|scope| {
            let right = scope.spawn(|| right[member].crash_and_restart());
            left[member].crash_and_restart()?;
            right.join().expect("starting a server does not panic")
        })?;
        self.pair.reconnect(&ports(&self.servers))?;
        for members in self.servers.iter_mut().filter(|members| members.len() > 1) {
            Server::excuse_digests(members)?;
        }
        Ok(Ok(Vec::new()))
    }
}

fn ports(servers: &[Vec<Server>; 2]) -> [Vec<u16>; 2] {
    let ports = |members: &Vec<Server>| members.iter().map(|member| member.port).collect();
    servers.each_ref().map(ports)
}

impl Run<'_> {
    fn run(&mut self) -> Result<()> {
        let mut stage = self.stage()?;
        let mut case = 0;
        while !self.is_over() && self.found.len() < self.options.differences {
            case += 1;
            let mut items = Vec::new();
            if let Err(difference) = self.case(&mut stage, case, &mut items)? {
                let count = self.found.entry(difference.signature.clone()).or_insert(0);
                *count += 1;
                let known = *count > 1;
                self.level(&mut stage)?;
                if !known {
                    self.report(&mut stage, items, difference)?;
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, at: usize, group: &[Item], answers: &[Seen]) {
        let step = match &group[0] {
            Item::Restart => Some("restart"),
            Item::Expire { .. } | Item::Outlive { .. } => Some("expiry"),
            Item::Torn { .. } => Some("torn frame"),
            _ => None,
        };
        if let Some(step) = step {
            *self
                .coverage
                .entry(step.into())
                .or_default()
                .entry(0)
                .or_default() += 1;
        }
        for seen in answers {
            let (name, code) = match (&seen.norm, seen.origin.map(|origin| &group[origin - at])) {
                (Norm::Event { kind, .. }, _) => ("event".to_string(), *kind),
                (Norm::Closed, _) => ("closed".to_string(), 0),
                (Norm::Handshake { session, .. }, _) => (format!("handshake {session:?}"), 0),
                (Norm::Reply { err, body, .. }, Some(Item::Request { req, .. })) => {
                    let name = OpCode::from_i32(req.op).map_or("unknown", OpCode::name);
                    if let Body::Multi(parts) = body {
                        for (header, _) in parts.iter().filter(|(header, _)| !header.done) {
                            let part = format!("{name} part {}", header.op);
                            *self
                                .coverage
                                .entry(part)
                                .or_default()
                                .entry(header.err)
                                .or_default() += 1;
                        }
                    }
                    (name.to_string(), *err)
                }
                _ => continue,
            };
            *self
                .coverage
                .entry(name)
                .or_default()
                .entry(code)
                .or_default() += 1;
        }
    }

    fn is_over(&self) -> bool {
        match self.until {
            Some(until) => Instant::now() >= until,
            None => self.done >= self.requests,
        }
    }

    fn stage(&self) -> Result<Stage> {
        for _ in 0..STARTS {
            let servers = std::thread::scope(|scope| {
                let right = scope.spawn(|| self.start(self.options.right));
                let left = match &self.options.ensemble {
                    Some(letters) => self.ensemble(&Kind::of_letters(letters)?),
                    None => self.start(self.options.left),
                };
                let right = right.join().expect("starting a server does not panic");
                anyhow::Ok([left?, right?])
            })?;
            if self.options.ensemble.is_some() && !are_alike(&servers)? {
                continue;
            }
            let pair = Pair::connect(&ports(&servers), self.variant.lockstep)
                .context("the super user cannot connect")?;
            return Ok(Stage { servers, pair });
        }
        anyhow::bail!(
            "no two ensembles led by their last members in the same epoch in {STARTS} starts"
        )
    }

    fn start(&self, kind: Kind) -> Result<Vec<Server>> {
        match &self.options.ensemble {
            Some(letters) => self.ensemble(&vec![kind; letters.len()]),
            None => Ok(vec![Server::start(
                kind,
                &self.variant.cfg(),
                &self.variant.flags(),
            )?]),
        }
    }

    fn ensemble(&self, kinds: &[Kind]) -> Result<Vec<Server>> {
        Server::ensemble(kinds, &self.variant.cfg(), &self.variant.flags())
    }

    /// What the two sides are called in output.
    fn names(&self) -> [String; 2] {
        let Options { left, right, .. } = self.options;
        match &self.options.ensemble {
            Some(letters) => [letters.clone(), format!("{} all", right.name())],
            None if left == right => {
                ["left", "right"].map(|side| format!("{side} ({})", left.name()))
            }
            None => [left, right].map(|kind| kind.name().to_string()),
        }
    }

    fn case(
        &mut self,
        stage: &mut Stage,
        case: u64,
        items: &mut Vec<Item>,
    ) -> Result<Result<(), Difference>> {
        stage.pair.new_case();
        let mut generator = Generator::new(
            Rng::new(self.seed, case),
            self.variant,
            self.options.ensemble.is_some(),
        );
        let mut requests = 0;
        while requests < CASE_REQUESTS {
            let at = items.len();
            items.extend(generator.next(&stage.pair));
            let group = &items[at..];
            requests += group.len() as u64;
            self.done += group.len() as u64;
            let answers = match stage.play(at, group)? {
                Ok(answers) => answers,
                Err(difference) => return Ok(Err(difference)),
            };
            generator.learn(group, at, &answers);
            if self.options.coverage {
                self.count(at, &items[at..], &answers);
            }
        }
        let members = stage.servers[0].len();
        let last = match self.options.ensemble.is_some() && self.variant.expiry {
            true => expiry::groups(members, case as usize, generator.sessions(members)),
            false => Vec::new(),
        };
        for group in last {
            let at = items.len();
            items.extend(group);
            let answers = match stage.play(at, &items[at..])? {
                Ok(answers) => answers,
                Err(difference) => return Ok(Err(difference)),
            };
            if self.options.coverage {
                self.count(at, &items[at..], &answers);
            }
        }
        if let Err(difference) = stage.pair.clean_up() {
            return Ok(Err(difference));
        }
        for members in stage.servers.iter().filter(|members| members.len() > 1) {
            if let Some(why) = Server::apart(members)? {
                return Ok(Err(Difference::apart(why)));
            }
        }
        Ok(Ok(()))
    }

    /// Makes both servers equal again: two that differ cannot go on together.
    fn level(&self, stage: &mut Stage) -> Result<()> {
        if stage.pair.recover().is_err() {
            for server in stage.servers.iter().flatten() {
                if let Some(words) = server.last_words() {
                    println!(
                        "{} has ended or gone astray; its last words:\n{words}",
                        server.kind.name()
                    );
                }
            }
            *stage = self.stage()?;
        }
        Ok(())
    }

    /// Plays a case again; the servers are equal afterwards.
    fn replay(&self, stage: &mut Stage, items: &[Item]) -> Result<Option<Difference>> {
        stage.pair.new_case();
        let mut at = 0;
        let mut result = Ok(());
        while at < items.len() && result.is_ok() {
            let end = at + group_len(&items[at..]);
            result = stage.play(at, &items[at..end])?.map(|_| ());
            at = end;
        }
        let Err(difference) = result.and_then(|()| stage.pair.clean_up()) else {
            return Ok(None);
        };
        self.level(stage)?;
        Ok(Some(difference))
    }

    fn report(
        &self,
        stage: &mut Stage,
        mut items: Vec<Item>,
        mut difference: Difference,
    ) -> Result<()> {
        println!(
            "\n=== difference: {} (variant {}, seed {})",
            difference.signature, self.variant.name, self.seed
        );
        if !self.options.no_shrink {
            let again = self.replay(stage, &items)?;
            if again
                .as_ref()
                .is_some_and(|again| again.signature == difference.signature)
            {
                let deadline = Instant::now() + SHRINK_TIME;
                shrink(&mut items, &mut difference, deadline, |items| {
                    self.replay(stage, items)
                })?;
            } else {
                println!(
                    "(played again: {})",
                    again.map_or("no difference".into(), |d| d.signature)
                );
                keep_related(&mut items, &mut difference);
            }
        }
        for (i, item) in items.iter().enumerate() {
            let mark = if difference.origin == Some(i) {
                ">"
            } else {
                " "
            };
            println!("{mark}{i:3} {item}");
        }
        let [left, right] = self.names();
        println!("at {}:", difference.place);
        println!("  {left:14} {}", difference.left);
        println!("  {right:14} {}", difference.right);
        Ok(())
    }
}

/// Whether the zxids of two ensembles can be the same, and the last members lead: an election that
/// nobody wins costs an epoch.
fn are_alike(servers: &[Vec<Server>; 2]) -> Result<bool> {
    let mut epochs = Vec::new();
    for members in servers {
        let last = members.last().context("an ensemble without members")?;
        let (epoch, leads) = last.epoch()?;
        epochs.push(leads.then_some(epoch));
    }
    Ok(epochs[0].is_some() && epochs[0] == epochs[1])
}

/// Of a case that cannot be shortened by playing it, keeps what the answer may depend on: the last
/// steps, and those that speak of the same path.
fn keep_related(items: &mut Vec<Item>, difference: &mut Difference) {
    let end = difference.origin.map_or(items.len(), |origin| origin + 1);
    items.truncate(end);
    let path = match items.last() {
        Some(Item::Request { req, .. }) => req.path(),
        _ => None,
    };
    let near = end.saturating_sub(30);
    let mut at = 0;
    items.retain(|item| {
        at += 1;
        let names = match (item, &path) {
            (Item::Request { req, .. }, Some(path)) => {
                req.body.windows(path.len()).any(|w| w == path)
            }
            (Item::Request { .. }, None) => false,
            _ => true,
        };
        at > near || names
    });
    difference.origin = difference.origin.map(|_| items.len() - 1);
}

fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Rng::new(now.map_or(0, |now| now.as_nanos() as u64), 0).next() >> 32
}

fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text}: expected a number and s, m or h"))?;
    match unit {
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(60 * number)),
        "h" => Ok(Duration::from_secs(3600 * number)),
        _ => Err(format!("{text}: expected s, m or h behind the number")),
    }
}
