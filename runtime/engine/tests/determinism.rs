//! The same call gives the same bytes: on every backend, with instances used again, on any number of threads, in other
//! environments.
//!
//! Compared is everything that an execution gives: outcome, gas, events, writes, decision trace, diagnostics and the
//! cost of each host function. The corpus:
//!
//! - the hostile calls (`corpus::HOSTILE`);
//! - the shipped contracts, by the calls of their own tests (`tests/transcripts`, written by
//!   `CHANCERY_TRANSCRIPTS=$PWD/runtime/engine/tests/transcripts cargo test --release` in the contracts' crates);
//! - modules that `wasm-smith` generates within the admitted profile, 2,000 of them. `CHANCERY_MODULES=100000` makes it
//!   more, and `CHANCERY_SEED=17` begins with another seed, so `CHANCERY_SEED=N CHANCERY_MODULES=1` is the command that
//!   replays one module.
//!
//! Debug and release builds are compared through one file, `tests/golden/corpus`, that both must reproduce.
//!
//! A generated module on which two backends differ is reduced by `wasm-shrink`, kept under the target directory, and
//! named.

mod corpus;
mod harness;

use chancery_engine::limits::EXECUTION_STACK_BYTES_MIN;
use chancery_engine::{Backend, Config, Engine, Execution, Instances, Invocation, Kind};
use chancery_state::{MemoryStore, Store};
use chancery_types::Outcome;
use corpus::Case;
use harness::{invocation, wanted};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The production's engine first, then every other way to execute.
fn engines() -> Vec<(String, Engine)> {
    let all = [
        (Backend::Cranelift, Instances::Kept),
        (Backend::Cranelift, Instances::Fresh),
        (Backend::CraneliftPlain, Instances::Kept),
        (Backend::CraneliftSinglePass, Instances::Fresh),
        (Backend::Pulley, Instances::Kept),
    ];
    assert!(Backend::ALL.iter().all(|backend| all.iter().any(|(used, _)| used == backend)));
    all.map(|(backend, instances)| {
        let name = format!("{backend:?} with instances {instances:?}");
        let engine = Engine::for_comparison(backend, instances).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        (name, engine)
    })
    .into()
}

/// Everything that an execution gives, as text.
fn shown(execution: &Execution) -> String {
    format!("{execution:?}")
}

/// Makes the calls one after the other on a fresh state, and says what each gave.
fn run(engine: &Engine, wasm: &[u8], calls: &[Invocation]) -> Vec<String> {
    let module = engine.load(wasm).unwrap_or_else(|error| panic!("{error}"));
    let store = Arc::new(MemoryStore::new());
    let make = |call: &Invocation| {
        let execution = engine.execute(&module, call.clone(), store.clone() as Arc<dyn Store>);
        let execution = execution.unwrap_or_else(|fault| panic!("a fault of the node: {fault}"));
        store.apply(&execution.writes);
        shown(&execution)
    };
    calls.iter().map(make).collect()
}

/// The first backend, and call of it, that differs from the production's.
fn difference(engines: &[(String, Engine)], wasm: &[u8], calls: &[Invocation]) -> Option<String> {
    let (_, first) = &engines[0];
    let expected = run(first, wasm, calls);
    engines[1..].iter().find_map(|(backend, engine)| {
        let found = run(engine, wasm, calls);
        let number = (0..calls.len()).find(|number| expected[*number] != found[*number])?;
        Some(format!("call {number} on {backend}:\n  expected {}\n  found    {}", expected[number], found[number]))
    })
}

#[test]
fn every_backend_gives_the_same_bytes() {
    let engines = engines();
    let mut counts = BTreeMap::new();
    for Case { name, wasm, calls } in corpus::all() {
        assert_eq!(difference(&engines, &wasm, &calls), None, "{name}");
        let (modules, made) = counts.entry(name.split(' ').next().unwrap_or_default().to_string()).or_insert((0, 0));
        (*modules, *made) = (*modules + 1, *made + calls.len());
    }
    for (source, (modules, calls)) in counts {
        println!("{source}: {modules} runs of {calls} calls, each on {} engines", engines.len());
    }
}

/// What an engine executed before must not show: one engine for all, forwards and backwards, against one that has
/// executed nothing.
#[test]
fn a_used_engine_gives_what_a_fresh_one_gives() {
    let used = Engine::new(Config::default()).unwrap();
    let cases = corpus::all();
    let first: Vec<_> = cases.iter().map(|case| run(&used, &case.wasm, &case.calls)).collect();
    for (case, first) in cases.iter().zip(&first).rev() {
        assert_eq!(run(&used, &case.wasm, &case.calls), *first, "{}", case.name);
    }
    // Engines reserve much address space, so that not every case has its own.
    for (case, first) in cases.iter().zip(&first).step_by(5) {
        let fresh = Engine::new(Config::default()).unwrap();
        assert_eq!(run(&fresh, &case.wasm, &case.calls), *first, "{}", case.name);
    }
}

#[test]
fn the_number_of_threads_does_not_show() {
    let engine = Engine::new(Config::default()).unwrap();
    let cases = corpus::all();
    let expected: Vec<_> = cases.iter().map(|case| run(&engine, &case.wasm, &case.calls)).collect();
    // More threads than places in the pool, each beginning somewhere else.
    for threads in [2, 7, 40] {
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (engine, cases, expected) = (&engine, &cases, &expected);
                let work = move || {
                    for number in (0..cases.len()).map(|number| (number + thread * 3) % cases.len()).step_by(threads) {
                        let case = &cases[number];
                        assert_eq!(run(engine, &case.wasm, &case.calls), expected[number], "{}", case.name);
                    }
                };
                let thread = std::thread::Builder::new().stack_size(EXECUTION_STACK_BYTES_MIN);
                thread.spawn_scoped(scope, work).unwrap();
            }
        });
    }
}

/// What the whole corpus gives, as one digest: what the child of `the_environment_of_the_process_does_not_show` runs and prints.
#[test]
#[ignore = "it is the child process of another test"]
fn digest_of_the_corpus() {
    let engine = Engine::new(Config::default()).unwrap();
    let mut hasher = blake3::Hasher::new();
    for case in corpus::all() {
        for line in run(&engine, &case.wasm, &case.calls) {
            hasher.update(line.as_bytes());
        }
    }
    println!("digest {}", hasher.finalize());
}

/// What the hostile calls and 200 generated modules gave when the file was written, in whatever profile: the same test
/// in a debug and in a release build, on another machine or with another toolchain, holds each to the same bytes.
/// `GOLDEN=write` writes it anew, which is right only where the price list, the limits or the corpus itself have
/// changed. The shipped contracts are not in it: their modules are built anew more often.
#[test]
fn the_corpus_has_its_golden_outcomes() {
    let engine = Engine::new(Config::default()).unwrap();
    let generated = (0..200).filter_map(|seed| {
        let wasm = corpus::generated(seed)?;
        Some(Case { name: format!("generated {seed}"), wasm, calls: generated_calls() })
    });
    let mut digests = BTreeMap::<String, blake3::Hasher>::new();
    let cases = corpus::all().into_iter().filter(|case| !case.name.contains(".calls"));
    for case in cases.chain(generated) {
        let source = case.name.split(' ').next().unwrap_or_default().to_string();
        let hasher = digests.entry(source).or_default();
        for line in run(&engine, &case.wasm, &case.calls) {
            hasher.update(line.as_bytes());
        }
    }
    let lines = digests.iter().map(|(source, hasher)| format!("{source} {}\n", hasher.finalize()));
    let found: String = lines.collect();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/corpus");
    if std::env::var_os("GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &found).unwrap();
    }
    let profile = if cfg!(debug_assertions) { "a debug" } else { "a release" };
    assert_eq!(found, std::fs::read_to_string(path).unwrap(), "in {profile} build");
}

/// The same program in another process with another locale, time zone, environment, directory and less memory.
#[test]
fn the_environment_of_the_process_does_not_show() {
    let here = std::env::current_exe().unwrap();
    let digest = |shell: &str, environment: &[(&str, &str)]| {
        let script = format!("{shell} exec \"$0\" --ignored --exact digest_of_the_corpus --nocapture --test-threads=1");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script]).arg(&here).env_clear().envs(environment.iter().copied());
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let found = text.split("digest ").nth(1).and_then(|rest| rest.get(..64).map(String::from));
        found.unwrap_or_else(|| panic!("{shell}: {text}\n{}", String::from_utf8_lossy(&output.stderr)))
    };
    let plain = digest("", &[]);
    let many: String = "x".repeat(100_000);
    for (shell, environment) in [
        ("", vec![("LANG", "tr_TR.UTF-8"), ("LC_ALL", "tr_TR.UTF-8"), ("LC_NUMERIC", "de_DE.UTF-8")]),
        ("", vec![("TZ", "Pacific/Kiritimati"), ("FAKETIME", "-50y")]),
        ("", vec![("RUST_BACKTRACE", "full"), ("WASMTIME_BACKTRACE_DETAILS", "1"), ("RUST_LOG", "trace")]),
        ("", vec![("HOME", "/nowhere"), ("MANY", many.as_str())]),
        ("cd / && umask 077 && renice -n 5 $$ >/dev/null;", vec![]),
        // The pool reserves address space, not memory: heap and locked memory are what can be short.
        ("ulimit -d 1500000; ulimit -l 64; ulimit -n 64;", vec![]),
        ("ulimit -s 16384;", vec![]),
    ] {
        assert_eq!(
            digest(shell, &environment),
            plain,
            "{shell} {:?}",
            environment.iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
    }
}

/// A generated module, or what is left of one: the calls that are made of it.
fn generated_calls() -> Vec<Invocation> {
    let call = |kind, selector, arguments: &[u8], gas| Invocation {
        selector,
        arguments: arguments.into(),
        ..invocation(kind, gas)
    };
    vec![
        call(Kind::Call, 0, b"", 1_000_000),
        call(Kind::Call, 1, &[0xa5; 300], 1_000_000),
        call(Kind::Query, u32::MAX, b"xyz", 400_000),
        call(Kind::Call, 7, b"k", 120_000),
    ]
}

#[test]
fn generated_modules_give_the_same_bytes_on_every_backend() {
    let (seed, count) = (wanted("CHANCERY_SEED", 0), wanted("CHANCERY_MODULES", 2_000));
    let calls = generated_calls();
    let (mut admitted, mut outcomes) = (0u64, BTreeMap::<&str, u64>::new());
    // An engine keeps what it compiled, so that a fresh set now and then bounds the memory.
    for start in (seed..seed + count).step_by(500) {
        let engines = engines();
        for seed in start..(start + 500).min(seed + count) {
            let Some(wasm) = corpus::generated(seed) else { continue };
            admitted += 1;
            if let Some(difference) = difference(&engines, &wasm, &calls) {
                let kept = reduced(seed, &wasm, &calls);
                panic!(
                    "seed {seed}: {difference}\nthe module, reduced: {kept}\nreplay: CHANCERY_SEED={seed} CHANCERY_MODULES=1 cargo nextest run --release -p chancery-engine -E 'test(generated_modules)' --no-capture"
                );
            }
            let module = engines[0].1.load(&wasm).unwrap();
            for call in &calls {
                let execution = engines[0].1.execute(&module, call.clone(), Arc::new(MemoryStore::new())).unwrap();
                *outcomes.entry(word(&execution.outcome)).or_default() += 1;
            }
        }
    }
    println!(
        "{count} seeds, {admitted} modules admitted, {} calls each, 5 engines: 0 differences; {outcomes:?}",
        calls.len()
    );
    // The generator would test nothing if admission refused it, or if every module ended at once.
    assert!(admitted * 10 >= count * 9, "only {admitted} of {count} modules were admitted");
    if count >= 100 {
        assert!(outcomes.len() >= 4, "{outcomes:?}");
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Trapped { kind } => kind.as_str(),
        other => other.word(),
    }
}

/// Makes a module on which backends differ smaller, and keeps it. Answers its path.
fn reduced(seed: u64, wasm: &[u8], calls: &[Invocation]) -> String {
    let engines = engines();
    let differs = |wasm: &[u8]| {
        chancery_engine::admit(wasm).is_ok()
            && std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| difference(&engines, wasm, calls).is_some()))
                .unwrap_or(false)
    };
    let shrink = wasm_shrink::WasmShrink::default().attempts(300);
    let smaller = shrink.run(wasm.to_vec(), |wasm| Ok(differs(wasm))).map_or(wasm.to_vec(), |info| info.output);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("differs-{seed}.wasm"));
    std::fs::write(&path, smaller).unwrap();
    path.display().to_string()
}
