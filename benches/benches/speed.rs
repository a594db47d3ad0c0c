//! The speed of a call: the workload in memory and an empty call, on one thread and on two.

use chancery_benches::measure::{Case, chosen, decimal, least, permille, rounds};
use chancery_benches::{CALLS_TOGETHER, Disburse, Empty, engine, together};
use chancery_engine::{Config, Engine, Instances};
use std::sync::Arc;
use std::time::Duration;

fn main() {
    let fresh =
        || Arc::new(Engine::new(Config { instances: Instances::Fresh, ..Config::default() }).expect("as engine"));
    let (empty, mut workload) = (Empty::new(engine()), Disburse::new(engine()));
    let (fresh_empty, mut fresh_workload) = (Empty::new(fresh()), Disburse::new(fresh()));
    let mut cases = vec![
        Case::new("an empty call, fresh", || fresh_empty.call()),
        Case::new("an empty call, kept", || empty.call()),
        Case::new("disburse, fresh", || fresh_workload.pay()),
        Case::new("disburse, kept", || workload.pay()),
    ];
    let all = cases.len();
    chosen(&mut cases);
    let most = if cases.len() < all { 20_000 } else { 2_000 };
    least(&mut cases, rounds(most));
    cases.iter().for_each(|case| println!("{:20} {}", case.name, case.text()));
    if cases.len() < all {
        return;
    }
    let rounds = rounds(300);
    let (one, two) = (together(1, rounds), together(2, rounds));
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / u64::from(CALLS_TOGETHER);
    println!("disburse, one thread {} ns a call; two threads {} ns each", nanoseconds(one), nanoseconds(two));
    println!("two threads do {} × the work of one", decimal(2 * permille(nanoseconds(one), nanoseconds(two))));
}
