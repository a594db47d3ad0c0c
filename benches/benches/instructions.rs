//! How many instructions the hot paths take, against what is committed in `instructions.txt`: a guard that does not depend on how busy a machine is.
//!
//! ```sh
//! cargo bench --workspace --bench instructions             # counts, compares, fails where one takes over 3 % more
//! cargo bench --workspace --bench instructions -- --bless  # counts and writes the file anew
//! cargo bench --workspace --bench instructions -- --test   # runs each path once, without counting
//! ```
//! The workspace is named because `-p` may choose other features of the libraries, and so other code.
//!
//! Each path runs in a process of its own under `valgrind --tool=callgrind`, which counts what happens inside of [`measured`]. Everything that is hashed,
//! signed or drawn is fixed, so that a count is the same again, but for some instructions of the allocator.
//!
//! A count depends on the compiler, on valgrind, and on what the processor lets the libraries choose (of what valgrind passes on: AVX2 and BMI2; no SHA-NI and no
//! AVX-512, so SHA-256 takes more here than it does outside). The file's first line names them; where one is another, nothing
//! can be compared, and the guard says that it was skipped.

use chancery_benches::{DISBURSE, Disburse};
use chancery_engine::{Allocation, Config, Engine, admit, instrument};
use chancery_node::journal::{Block, FrameKind, FrameTag};
use chancery_state::{MemoryStore, Overlay, Tree, tree};
use chancery_tlog::merkle;
use chancery_types::codec::{Decode, Encode};
use chancery_types::entry::{Outcome, Record};
use chancery_types::{
    Action, Call, ContractId, Entry, Event, Gas, Hash, LedgerId, ModuleId, PublicKey, RequestId, SignedCall, Timestamp,
};
use ed25519_dalek::SigningKey;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

/// What a path may take more than the file says, in thousandths.
const TOLERANCE_PERMILLE: u64 = 30;
/// Between the two numbers of a line that holds a count.
const SEPARATOR: &str = "  ";

/// A path: its name, and what sets it up and gives the work that is counted.
type PathOf = (&'static str, fn() -> Box<dyn FnMut()>);

const PATHS: [PathOf; 10] = [
    ("100 calls decoded and hashed", calls),
    ("20 signatures verified", signatures),
    ("100 entries encoded", entries),
    ("1,000 leaves hashed and added to the log's tree", leaves),
    ("192 keys changed in a state tree of 10,000", state_tree),
    ("100 keys read and 100 written in an overlay", overlay),
    ("100 frames of the journal made", frames),
    ("20 inclusion proofs made and verified, 10,000 entries", proofs),
    ("a module admitted and instrumented", module),
    ("20 payments executed", payments),
];

/// The only function that is counted.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

fn signed(number: u64) -> SignedCall {
    let key = SigningKey::from_bytes(&[7; 32]);
    let call = Call {
        ledger: LedgerId([1; 32]),
        actor: PublicKey(key.verifying_key().to_bytes()),
        request: RequestId(number.into()),
        valid_until: Timestamp(u64::MAX),
        action: Action::Invoke { contract: "payments".into(), method: "disburse".into(), arguments: vec![7; 20] },
    };
    SignedCall::sign(call, &key)
}

fn entry(number: u64) -> Entry {
    let record = Record::Call {
        signed: signed(number),
        contract: ContractId([2; 32]),
        module: ModuleId([3; 32]),
        outcome: Outcome::Done { result: vec![4; 8] },
        gas: Gas(268_000),
        prices: 1,
        events: vec![Event { kind: 0, data: vec![5; 20] }],
        trace: Hash([6; 32]),
        movements: Vec::new(),
        writes: Hash([7; 32]),
    };
    Entry { version: 1, index: number, previous: Hash([8; 32]), time: Timestamp(number), record }
}

fn calls() -> Box<dyn FnMut()> {
    let encoded: Vec<Vec<u8>> = (0..100).map(|number| signed(number).call.to_bytes()).collect();
    Box::new(move || {
        for bytes in &encoded {
            black_box(Call::from_bytes(bytes).expect("it was encoded just now"));
            black_box(Hash::of(bytes));
        }
    })
}

fn signatures() -> Box<dyn FnMut()> {
    let calls: Vec<SignedCall> = (0..20).map(signed).collect();
    Box::new(move || assert!(calls.iter().all(SignedCall::is_authentic)))
}

fn entries() -> Box<dyn FnMut()> {
    let entries: Vec<Entry> = (0..100).map(entry).collect();
    Box::new(move || entries.iter().for_each(|entry| drop(black_box(entry.to_bytes()))))
}

fn leaves() -> Box<dyn FnMut()> {
    let (entry, mut tree) = (entry(1).to_bytes(), merkle::Tree::new());
    Box::new(move || (0..1_000).for_each(|_| tree.push(merkle::leaf_hash(&entry))))
}

fn state_tree() -> Box<dyn FnMut()> {
    let path = |key: u64| tree::path(&ContractId([1; 32]), &key.to_le_bytes());
    let mut state = Tree::new();
    state.update((0..10_000).map(|key| (path(key), Some(Hash([7; 32])))));
    // Half of them are new.
    let changes: Vec<_> = (0..192).map(|number| (path(number * 104), Some(Hash([8; 32])))).collect();
    Box::new(move || {
        state.update(changes.clone());
        black_box(state.root());
    })
}

fn overlay() -> Box<dyn FnMut()> {
    let (contract, key) = (ContractId([1; 32]), |number: u32| number.to_be_bytes().to_vec());
    Box::new(move || {
        let mut overlay = Overlay::new(Arc::new(MemoryStore::new()));
        for number in 0..100 {
            overlay.set(&contract, key(number * 7 % 100), vec![7; 32]);
            black_box(overlay.get(&contract, &key(number)).expect("memory does not fail"));
        }
        black_box(overlay.into_writes());
    })
}

fn frames() -> Box<dyn FnMut()> {
    let entry = entry(1).to_bytes();
    Box::new(move || {
        let (mut block, mut chain) = (Block::new(0, FrameTag::default()), Hash([0; 32]));
        (0..100).for_each(|index| block.push(FrameKind::Entry, index, &entry, &mut chain));
        black_box(block.len());
    })
}

fn proofs() -> Box<dyn FnMut()> {
    let (size, leaf) = (10_000, |index: u64| merkle::leaf_hash(&index.to_le_bytes()));
    let mut tree = merkle::Tree::new();
    (0..size).for_each(|index| tree.push(leaf(index)));
    let root = tree.root();
    Box::new(move || {
        for index in (0..20).map(|number| number * 487 % size) {
            let path = tree.prove_inclusion(index, size).expect("an entry of the log");
            assert!(merkle::check_inclusion(&leaf(index), index, size, &path, &root));
        }
    })
}

fn module() -> Box<dyn FnMut()> {
    Box::new(|| {
        let admitted = admit(DISBURSE).expect("it is admitted");
        black_box(instrument::instrument(DISBURSE, &admitted).expect("it was admitted"));
    })
}

/// Instances are kept, as in production; valgrind cannot map a pool of them.
fn payments() -> Box<dyn FnMut()> {
    let engine = Engine::new(Config { allocation: Allocation::OnDemand, ..Config::default() });
    let mut workload = Disburse::new(Arc::new(engine.expect("the machine can run the engine")));
    workload.pay();
    Box::new(move || (0..20).for_each(|_| workload.pay()))
}

/// What the counts depend on, in a line.
fn surroundings() -> Result<String, String> {
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().map_err(|error| format!("{program}: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    #[cfg(target_arch = "x86_64")]
    let processor = [("avx2", is_x86_feature_detected!("avx2")), ("bmi2", is_x86_feature_detected!("bmi2"))];
    #[cfg(not(target_arch = "x86_64"))]
    let processor = [];
    let features: String = processor.iter().filter(|(_, has)| *has).map(|(name, _)| format!(" {name}")).collect();
    Ok(format!("{}, {}, {}{features}", version("rustc")?, version("valgrind")?, std::env::consts::ARCH))
}

/// Counts a path's instructions in a process of its own.
fn count(name: &str) -> Result<u64, String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = dir.path().join("counts");
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*instructions*measured*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .args(["--path", name])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")));
    match total.and_then(|total| total.trim().parse().ok()) {
        Some(0) | None => Err(format!("{name}: callgrind has counted nothing")),
        Some(count) => Ok(count),
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
}

/// The committed count of each path, in the order of [`PATHS`]; `None` where it was counted elsewhere.
fn committed(surroundings: &str) -> Result<Option<Vec<u64>>, String> {
    let text = std::fs::read_to_string(file()).map_err(|error| format!("{}: {error}", file().display()))?;
    if text.lines().next() != Some(surroundings) {
        return Ok(None);
    }
    let count = |(name, _): &PathOf| {
        let line = text.lines().find_map(|line| line.trim_start().split_once(SEPARATOR).filter(|(_, of)| of == name));
        let count = line.and_then(|(count, _)| count.parse().ok());
        count.ok_or_else(|| format!("{} has no count of `{name}`: write it with --bless", file().display()))
    };
    PATHS.iter().map(count).collect::<Result<_, _>>().map(Some)
}

fn counts() -> Result<Vec<u64>, String> {
    PATHS.iter().map(|(name, _)| count(name)).collect()
}

fn bless() -> Result<(), String> {
    let (surroundings, counts) = (surroundings()?, counts()?);
    let lines = PATHS.iter().zip(counts).map(|((name, _), count)| format!("{count:>12}{SEPARATOR}{name}\n"));
    let text = format!("{surroundings}\n{}", lines.collect::<String>());
    print!("{text}");
    std::fs::write(file(), text).map_err(|error| format!("{}: {error}", file().display()))
}

fn guard() -> Result<(), String> {
    let here = surroundings()?;
    let Some(committed) = committed(&here)? else {
        println!("skipped: instructions.txt was counted elsewhere, here is\n  {here}");
        return Ok(());
    };
    println!("{:>12} {:>12} {:>8}  path", "committed", "now", "percent");
    let mut slower = 0;
    for ((name, _), (before, now)) in PATHS.iter().zip(committed.iter().zip(counts()?)) {
        let more = now.saturating_sub(*before) * 1_000 > TOLERANCE_PERMILLE * before;
        let less = before.saturating_sub(now) * 1_000 > TOLERANCE_PERMILLE * before;
        let remark = if more {
            "  MORE"
        } else if less {
            "  less: commit it with --bless"
        } else {
            ""
        };
        let permille = now.saturating_mul(1_000) / before.max(&1);
        println!("{before:>12} {now:>12} {:>8}  {name}{remark}", format!("{}.{}", permille / 10, permille % 10));
        slower += u32::from(more);
    }
    match slower {
        0 => Ok(()),
        _ => Err(format!(
            "{slower} of {} paths take over {} % more instructions than instructions.txt says: make them as fast again; or, where it is meant, commit the counts with `cargo bench --workspace --bench instructions -- --bless`",
            PATHS.len(),
            TOLERANCE_PERMILLE / 10
        )),
    }
}

/// Runs one path, for `valgrind` to count.
fn run(name: &str) -> Result<(), String> {
    let (_, path) = PATHS.iter().find(|(known, _)| *known == name).ok_or_else(|| format!("no path is `{name}`"))?;
    measured(&mut *path());
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        [] => guard(),
        ["--bless"] => bless(),
        ["--path", name] => run(name),
        ["--test"] => PATHS.iter().try_for_each(|(name, _)| run(name)),
        _ => Err("expected nothing, --bless or --test".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
