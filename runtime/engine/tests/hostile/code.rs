//! Compiled code that is kept: V5, V6, V8.

use crate::harness::{GAS, calling, invocation, module};
use chancery_engine::{Backend, Cache, Compiler, Config, Engine, Kind, limits};
use chancery_state::MemoryStore;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// That the price list's version changes the name as well, `cache::tests` shows.
#[test]
fn v5_engines_that_compile_otherwise_share_no_cache_file() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = calling("(i32.const 0)");
    let load = |backend| {
        let cache = Some(Cache::new(dir.path().into(), [1; 32]));
        Engine::with_backend(Config { cache, ..Config::default() }, backend).unwrap().load(&wasm).map(drop).unwrap();
    };
    let files = || -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
        paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    };
    for (before, backend) in Backend::ALL.into_iter().enumerate() {
        load(backend);
        assert_eq!(files().len(), before + 1, "{backend:?} makes a file of its own");
    }
    let made = files();
    Backend::ALL.into_iter().for_each(load);
    assert_eq!(files(), made, "and finds it again");
}

#[test]
fn v6_a_cache_file_that_was_touched_is_deleted_and_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = calling("(i32.const 0)");
    let load = |key| {
        let cache = Some(Cache::new(dir.path().into(), [key; 32]));
        Engine::new(Config { cache, compiler: Compiler::InProcess, ..Config::default() }).unwrap().load(&wasm).map(drop)
    };
    let file = || std::fs::read_dir(dir.path()).unwrap().next().map(|file| file.unwrap().path());
    load(1).unwrap();
    let path = file().unwrap();
    let good = std::fs::read(&path).unwrap();
    for position in [0, 31, 32, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[position] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        load(1).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), good, "byte {position}");
    }
    std::fs::write(&path, b"short").unwrap();
    load(2).unwrap();
    assert_ne!(std::fs::read(&path).unwrap(), good, "another key makes another MAC");
}

/// Once two bytes of data at the ends of the memory made code of 4 MiB from a module of 130 bytes, and 64 such modules drove all others out of the
/// caches, so that each call of theirs had to compile.
#[test]
fn v8_data_that_lies_far_apart_makes_no_large_code() {
    let code = |pages: u64, data: &str| {
        let dir = tempfile::tempdir().unwrap();
        let wasm = module(&format!(
            r#"(memory (export "memory") {pages} {pages}) {data} (func (export "call") (param i32 i32) (result i32)
                 (i32.sub (i32.load8_u (i32.const {})) (i32.const 98)))"#,
            pages * limits::PAGE_BYTES - 1
        ));
        let cache = Some(Cache::new(dir.path().into(), [1; 32]));
        let engine = Engine::new(Config { cache, ..Config::default() }).unwrap();
        let module = engine.load(&wasm).unwrap();
        for _ in 0..2 {
            let execution = engine.execute(&module, invocation(Kind::Call, GAS), Arc::new(MemoryStore::new())).unwrap();
            assert!(execution.outcome.is_done(), "the data is there");
        }
        let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap();
        file.metadata().unwrap().len()
    };
    let apart = |pages: u64| {
        let last = pages * limits::PAGE_BYTES - 1;
        code(pages, &format!(r#"(data (i32.const 0) "a") (data (i32.const {last}) "b")"#))
    };
    for pages in [1, 4, 5, limits::MEMORY_PAGES_START_MAX] {
        let bytes = apart(pages);
        assert!(bytes <= limits::DATA_IMAGE_BYTES_MAX + 32 * 1_024, "{pages} pages: {bytes} bytes");
    }
}
