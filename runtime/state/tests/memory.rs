//! What the view takes of memory. A process of its own, since what others take would count.

use chancery_state::view::Position;
use chancery_state::{Purpose, StateView, View, ViewBatch};
use chancery_types::entry::Write;
use chancery_types::{ContractId, Hash, Height};

/// What the process takes, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}

#[test]
fn what_batches_replace_is_freed() {
    let dir = tempfile::tempdir().unwrap();
    let view = View::open(dir.path(), Purpose::Serve).unwrap();
    let batch = |number: u64| {
        let write = |place: u64| {
            let key = ((number * 7_919 + place * 104_729) % 40_000).to_be_bytes().to_vec();
            Write { contract: ContractId::default(), key, value: Some(vec![number as u8; 100]) }
        };
        let position = Position { height: Height(number), root: Hash([1; 32]), entries: number * 2 };
        view.apply(&ViewBatch { writes: (0..1_000).map(write).collect(), position: Some(position) }).unwrap();
    };
    (0..100).for_each(batch);
    let before = resident();
    (100..800).for_each(batch);
    let grown = resident().saturating_sub(before);
    assert!(grown < 20, "{grown} MiB more after 700,000 writes to 40,000 keys");
}
