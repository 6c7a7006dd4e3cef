//! Small pieces of the server, each done a given number of times, for a program that counts
//! instructions: unlike times, counts are the same on a busy machine.
//!
//! Without arguments it lists the benches with their rounds. `NAME N` sets up for twice the listed
//! rounds and does the piece N times, so that the difference between N and 2 N is the piece alone.
//! `cargo xtask bench-instructions` does both, and compares with `bench/instructions.txt`.

mod codec;
mod log;
mod node;
mod samples;
mod tree;
mod watch;

use std::process::ExitCode;

/// The allocator of the server: it is a part of what is counted.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One piece.
struct Bench {
    /// Its group, a slash, and what it does.
    name: &'static str,
    /// How often it is done to be counted.
    rounds: u64,
    /// Sets up, always the same, and does it so many times.
    run: fn(Times),
}

/// How often a piece is done.
#[derive(Clone, Copy)]
struct Times {
    /// What the set-up must be enough for.
    most: u64,
    /// What is done now.
    now: u64,
}

impl Times {
    /// Does the piece; it is told the number of the round.
    fn each(self, mut piece: impl FnMut(u64)) {
        for round in 0..self.now {
            piece(round);
        }
    }
}

const fn bench(name: &'static str, rounds: u64, run: fn(Times)) -> Bench {
    Bench { name, rounds, run }
}

/// All of them. A name that is new or gone is to be noted in `bench/instructions.txt`.
const BENCHES: &[Bench] = &[
    bench("codec/decode-get", 2000, codec::decode_get),
    bench("codec/decode-create", 2000, codec::decode_create),
    bench("codec/decode-multi-10", 500, codec::decode_multi),
    bench("codec/encode-stat-reply", 2000, codec::encode_stat_reply),
    bench("codec/encode-create-txn", 2000, codec::encode_create_txn),
    bench("codec/decode-create-txn", 2000, codec::decode_create_txn),
    bench("codec/encode-set-txn", 2000, codec::encode_set_txn),
    bench("codec/decode-set-txn", 2000, codec::decode_set_txn),
    bench("tree/get", 2000, tree::get),
    bench("tree/get-missing", 2000, tree::get_missing),
    bench("tree/children-1000", 20, tree::children),
    bench("tree/walk-1000", 20, tree::walk),
    bench("apply/create", 1000, tree::apply_create),
    bench("apply/set", 1000, tree::apply_set),
    bench("apply/delete", 1000, tree::apply_delete),
    bench("apply/multi-10-sets", 200, tree::apply_multi),
    bench("watch/add-and-fire", 1000, watch::exact),
    bench("watch/nobody", 2000, watch::nobody),
    bench("watch/recursive", 1000, watch::recursive),
    bench("watch/fan-out-1000", 20, watch::fan_out),
    bench("log/append", 1000, log::append),
    bench("log/append-64", 50, log::append_many),
    bench("node/get", 1000, node::get),
    bench("node/get-64", 50, node::get_many),
    bench("node/exists", 1000, node::exists),
    bench("node/children-1000", 20, node::children),
    bench("node/ping", 1000, node::ping),
    bench("node/set", 500, node::set),
    bench("node/set-64", 20, node::set_many),
    bench("node/create", 500, node::create),
    bench("node/delete", 500, node::delete),
    bench("node/multi-10-sets", 100, node::multi),
    bench("node/watched-set", 500, node::watched_set),
    bench("node/snapshot-1000", 10, node::snapshot),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            for bench in BENCHES {
                println!("{} {}", bench.name, bench.rounds);
            }
            ExitCode::SUCCESS
        }
        [name, now] => match (find(name), now.parse()) {
            (Some(bench), Ok(now)) if now <= 2 * bench.rounds => {
                let most = 2 * bench.rounds;
                (bench.run)(Times { most, now });
                ExitCode::SUCCESS
            }
            (Some(bench), _) => {
                eprintln!("{now}: not a number up to {}", 2 * bench.rounds);
                ExitCode::FAILURE
            }
            (None, _) => {
                eprintln!("{name}: no such bench");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: zooid-microbench [NAME TIMES]");
            ExitCode::FAILURE
        }
    }
}

fn find(name: &str) -> Option<&'static Bench> {
    BENCHES.iter().find(|bench| bench.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bench_does_what_it_was_set_up_for() {
        for bench in BENCHES {
            // All of them look at what they get, and panic when it is not what they asked for.
            let most = 2 * bench.rounds;
            (bench.run)(Times { most, now: most });
        }
    }

    #[test]
    fn no_two_have_one_name() {
        for bench in BENCHES {
            let same = BENCHES.iter().filter(|other| other.name == bench.name);
            assert_eq!(same.count(), 1, "{}", bench.name);
        }
    }
}
