//! The most memory that a contract may have: its manifest says it, the module declares it, and a call that wants more is stopped without effect.

mod support;

use serde_json::{Value, json};
use std::path::Path;
use support::{CHANCERY, Given, Home, check_failure};

/// A contract that takes as much memory as it is told to.
const GREEDY: &str = r#"//! Takes memory.

#![no_std]

#[chancery_sdk::contract]
pub mod greedy {
    //! Takes memory.

    use chancery_sdk::prelude::*;

    /// Pieces that were taken.
    #[storage]
    const TAKEN: Item<u32> = Item::new("taken");

    /// Why nothing is taken.
    #[error]
    pub enum Error {
        /// Nothing was asked for.
        #[rule("something is asked for")]
        Nothing,
    }

    /// Takes so many pieces of 1,000 bytes, and holds them all.
    #[call]
    pub fn take(
        ctx: &mut Context,
        /// How many.
        pieces: u32,
    ) -> Result<u32, Error> {
        ensure!(ctx, pieces > 0, Error::Nothing);
        TAKEN.set(ctx, &pieces);
        let piece = |number: u32| core::iter::repeat_n(number, 250).collect::<Vec<u32>>();
        let held: Vec<Vec<u32>> = (0..pieces).map(piece).collect();
        Ok(held.iter().fold(0, |sum, piece| sum ^ piece[7]))
    }
}
"#;

/// A register that is larger than the memory of its contract.
const REGISTER: &str = r#"//! Keeps records.

#![no_std]

#[chancery_sdk::contract]
pub mod register {
    //! Keeps records.

    use chancery_sdk::prelude::*;

    /// Records by office and number.
    #[storage]
    const RECORDS: Map<(String, u32), Record> = Map::new("records");

    /// A record.
    #[derive(Schema)]
    pub struct Record {
        /// What counts.
        pub weight: u64,
        /// What was said.
        pub text: String,
    }

    /// Nothing is refused.
    #[error]
    pub enum Error {}

    /// Adds records with texts of so many bytes.
    #[call]
    pub fn fill(
        ctx: &mut Context,
        /// The first number.
        from: u32,
        /// How many.
        count: u32,
        /// Bytes of the text of each.
        bytes: u32,
    ) -> Result<(), Error> {
        let text: String = core::iter::repeat_n('a', bytes as usize).collect();
        for number in from..from + count {
            let record = Record { weight: number.into(), text: text.clone() };
            RECORDS.set(ctx, &(String::from("town"), number), &record);
        }
        Ok(())
    }

    /// The weights of all records, and the bytes of their texts.
    #[query]
    pub fn total(
        ctx: &Context,
        /// Whether to begin with the last.
        descending: bool,
    ) -> Result<Vec<u64>, Error> {
        let pairs = RECORDS.beginning(ctx, &String::from("town"));
        let pairs = if descending { pairs.descending() } else { pairs };
        let (mut weight, mut bytes) = (0, 0);
        for (_, record) in pairs {
            weight += record.weight;
            bytes += record.text.len() as u64;
        }
        Ok(Vec::from([weight, bytes]))
    }
}
"#;

/// Each page of pairs took memory of its own, each pair's key more of it, and none was used again: a contract was stopped after about 1 MiB of its
/// records, however little it held.
#[test]
fn a_contract_goes_through_more_records_than_its_memory_holds() {
    let home = Home::empty();
    home.ok(&["new", "register"]);
    std::fs::write(home.dir.path().join("register/src/lib.rs"), REGISTER).unwrap();
    let target = Path::new(CHANCERY).ancestors().nth(2).unwrap();
    let build = home.command(&["build", "register", "--output", "json"]).env("CARGO_TARGET_DIR", target).output();
    let build = Given::from(build.unwrap());
    if build.code == 6 {
        return chancery_tests::skip(build.err.trim());
    }
    let built: Value = serde_json::from_str(&build.out).unwrap();
    assert_eq!(built["memory"]["pages_max"], 16, "the memory that a contract has where its manifest says nothing");

    home.ok(&["init", "--origin", "ledger.example/town"]);
    home.ok(&["key", "new", "clerk"]);
    home.ok(&["deploy", "register/dist/register.wasm", "--name", "register", "--as", "clerk"]);
    let fill = |from: u32, count: u32, bytes: u32| {
        let [from, count, bytes] = [from, count, bytes].map(|number| number.to_string());
        home.ok(&["call", "register", "fill", "--from", &from, "--count", &count, "--bytes", &bytes, "--as", "clerk"]);
    };
    // 10,000 records of 300 bytes, and some of a size that no first page holds: 4 MiB.
    for tenth in 0..10 {
        fill(tenth * 1_000, 1_000, 300);
    }
    fill(10_000, 50, 20_000);
    let (records, bytes) = (10_050u64, 10_000 * 300 + 50 * 20_000);
    for descending in ["no", "yes"] {
        let total = home.json(&["query", "register", "total", "--descending", descending]);
        let total = if total.is_array() { total } else { total["result"].clone() };
        let expected = json!([(records * (records - 1) / 2).to_string(), bytes.to_string()]);
        assert_eq!(total, expected, "descending: {descending}");
    }
}

/// The new project `greedy`, built with these lines of a manifest.
fn built(home: &Home, metadata: &str) -> Given {
    let project = home.dir.path().join("greedy");
    if !project.exists() {
        home.ok(&["new", "greedy"]);
        std::fs::write(project.join("src/lib.rs"), GREEDY).unwrap();
    }
    let path = project.join("Cargo.toml");
    let manifest = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = manifest.split_once("[package.metadata.chancery]\n").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    std::fs::write(&path, format!("{before}[package.metadata.chancery]\n{metadata}\n\n{after}")).unwrap();
    let target = Path::new(CHANCERY).ancestors().nth(2).unwrap();
    let build = home.command(&["build", "greedy", "--output", "json"]).env("CARGO_TARGET_DIR", target).output();
    build.unwrap().into()
}

#[test]
fn a_call_that_wants_more_memory_than_its_module_declares_has_no_effect() {
    let home = Home::empty();
    let usual = built(&home, "");
    if usual.code == 6 {
        return chancery_tests::skip(usual.err.trim());
    }
    let memory = |given: &Given| serde_json::from_str::<Value>(&given.out).unwrap()["memory"].clone();
    assert_eq!(memory(&usual), json!({"pages_max": 16, "declared": true, "access_gas": 40}));
    for (metadata, says) in [
        ("memory-pages = 0", "memory-pages: expected a number of pages of 64 KiB from 1 to 256, found 0"),
        ("memory-pages = \"1 MiB\"", "found \"1 MiB\""),
        ("memory = 4", "has no `memory`: expected memory-pages"),
    ] {
        check_failure(&["build", metadata], &built(&home, metadata), 2, &[says]);
    }
    let small = built(&home, "memory-pages = 4");
    assert_eq!(memory(&small), json!({"pages_max": 4, "declared": true, "access_gas": 14}), "{small:?}");

    home.ok(&["init", "--origin", "ledger.example/town"]);
    home.ok(&["key", "new", "clerk"]);
    home.ok(&["deploy", "greedy/dist/greedy.wasm", "--name", "greedy", "--as", "clerk"]);
    assert_eq!(home.json(&["inspect", "greedy"])["memory"], memory(&small), "of a deployed contract as of a file");
    let take = |pieces, more: &[&'static str]| {
        home.run(&[&["call", "greedy", "take", "--as", "clerk", "--pieces", pieces], more].concat())
    };
    assert_eq!(take("150", &[]).code, 0);
    let (_, _, state) = home.head();
    let dry = take("300", &["--dry-run"]);
    assert!(dry.out.contains("the memory is full: hold less at once, or raise memory-pages"), "{dry:?}");
    for pieces in ["300", "100000000"] {
        let taken = take(pieces, &[]);
        assert_eq!(taken.code, 3, "{taken:?}");
        assert!(taken.out.contains("outcome: trapped"), "{taken:?}");
    }
    assert_eq!(home.head().2, state, "nothing was written");
    assert_eq!(home.json(&["state", "get", "greedy", "taken"]), 150);
    home.ok(&["log", "verify"]);
    home.ok(&["audit"]);
}
