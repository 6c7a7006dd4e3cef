//! A bounded number of crash points; `examples/crash-points.rs` checks any number.

use zooid_sim::run::{Tally, run};

#[test]
fn a_server_survives_a_crash_at_each_operation() {
    let mut tally = Tally::default();
    let mut seed = 7000;
    while tally.points < 1000 {
        if let Err(failure) = run(seed, None, &mut tally) {
            panic!("{failure}");
        }
        seed += 1;
    }
    println!("seeds 7000 to {}\n{tally}", seed - 1);
    assert!(tally.acknowledged > 300 && tally.purged > 0, "{tally}");
}

#[test]
fn a_run_repeats_itself() {
    // With a point that is never reached: the run alone, without its crashes.
    let (mut first, mut second) = (Tally::default(), Tally::default());
    run(7100, Some(u64::MAX), &mut first).unwrap();
    run(7100, Some(u64::MAX), &mut second).unwrap();
    assert_eq!(first, second);
    assert!(first.boundaries > 100 && first.points == 0, "{first}");
    // One point is the same point each time, and the only one.
    let mut one = Tally::default();
    run(7100, Some(first.boundaries), &mut one).unwrap();
    assert_eq!(one.points, 1);
}
