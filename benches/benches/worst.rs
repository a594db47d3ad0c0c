//! The modules that take the compiler longest: shapes that have been used to exhaust compilers, each as large as admission allows. Each is compiled in a
//! process of its own, as production compiles, which says how long it took and how much memory. Before them, modules that are refused, and how long that takes.

use chancery_benches::{DISBURSE, LARGEST, kernel};
use chancery_engine::{admit, configuration, instrument};
use std::process::Command;
use std::time::Instant;

/// Nesting and locals stay a little below their limits: a function's body counts as a level, parameters as locals.
const NESTING: usize = 120;
const LOCALS: usize = 250;

/// Name and a function that gives the text of a body of about so many bytes.
type Shape = (&'static str, fn(usize) -> String);

const SHAPES: &[Shape] = &[
    ("nested loops", |bytes| {
        let nest = |index: usize| {
            let open: String = (0..NESTING)
                .map(|level| {
                    format!(
                        "(loop (local.set {0} (i64.add (local.get {0}) (local.get {1}))) ",
                        (index + level) % LOCALS,
                        (index * 7 + level * 3) % LOCALS
                    )
                })
                .collect();
            let close: String =
                (0..NESTING).map(|level| format!("(br_if 0 (i64.eqz (local.get {})))) ", level % LOCALS)).collect();
            open + &close
        };
        (0..bytes / (NESTING * 18)).map(nest).collect()
    }),
    ("ifs", |bytes| {
        (0..bytes / 17)
            .map(|at| {
                format!(
                    "(if (i64.eqz (local.get {})) (then (local.set {} (i64.add (local.get {}) (local.get {}))))) ",
                    at % LOCALS,
                    at * 3 % LOCALS,
                    at * 5 % LOCALS,
                    at * 7 % LOCALS
                )
            })
            .collect()
    }),
    ("branches out", |bytes| {
        let open = "(block ".repeat(NESTING);
        let body: String = (0..bytes / 11)
            .map(|at| {
                format!(
                    "(br_if {} (i64.eqz (local.tee {} (i64.mul (local.get {}) (local.get {}))))) ",
                    at % NESTING,
                    at % LOCALS,
                    at * 3 % LOCALS,
                    at * 5 % LOCALS
                )
            })
            .collect();
        open + &body + &")".repeat(NESTING)
    }),
    ("branch tables", |bytes| {
        let open = "(block ".repeat(NESTING);
        let targets: String = (0..1_000).map(|at| format!("{} ", at % NESTING)).collect();
        let body: String = (0..bytes / 1_030)
            .map(|at| format!("(block (br_table {targets} (i32.wrap_i64 (local.get {})))) ", at % LOCALS))
            .collect();
        open + &body + &")".repeat(NESTING)
    }),
    ("loads and stores", |bytes| {
        (0..bytes / 14)
            .map(|at| format!("(i64.store offset={at} (i32.wrap_i64 (local.get {})) (i64.load offset={at} (i32.wrap_i64 (local.get {})))) ", at % LOCALS, at * 3 % LOCALS))
            .collect()
    }),
    ("arithmetic", |bytes| {
        (0..bytes / 8)
            .map(|at| {
                format!(
                    "(local.set {} (i64.mul (local.get {}) (local.get {}))) ",
                    at % LOCALS,
                    at * 3 % LOCALS,
                    at * 5 % LOCALS
                )
            })
            .collect()
    }),
    ("divisions", |bytes| {
        (0..bytes / 8)
            .map(|at| {
                format!(
                    "(local.set {} (i64.div_s (local.get {}) (local.get {}))) ",
                    at % LOCALS,
                    at * 3 % LOCALS,
                    at * 5 % LOCALS
                )
            })
            .collect()
    }),
    ("calls", |bytes| {
        let arguments: String = (0..16).map(|at| format!("(local.get {at}) ")).collect();
        (0..bytes / 37).map(|at| format!("(local.set {} (call $wide {arguments})) ", at % LOCALS)).collect()
    }),
    ("calls through the table", |bytes| {
        let arguments: String = (0..16).map(|at| format!("(local.get {at}) ")).collect();
        (0..bytes / 42)
            .map(|at| format!("(local.set {} (call_indirect (type $wide) {arguments} (i32.const 0))) ", at % LOCALS))
            .collect()
    }),
    ("copies", |bytes| {
        (0..bytes / 14)
            .map(|at| {
                format!(
                    "(memory.copy (i32.wrap_i64 (local.get {})) (i32.const {}) (i32.const 9)) ",
                    at % LOCALS,
                    at % 60
                )
            })
            .collect()
    }),
    ("operands", |bytes| {
        let one = |at: usize| {
            let get: String = (0..240).map(|level| format!("local.get {} ", (at + level) % LOCALS)).collect();
            get + &"i64.xor ".repeat(239) + &format!("local.set {} ", at % LOCALS)
        };
        (0..bytes / 750).map(one).collect()
    }),
];

/// The largest module of a shape that is admitted.
fn module((_, body): Shape) -> Vec<u8> {
    let locals = "i64 ".repeat(LOCALS);
    let wide = "i64 ".repeat(16);
    let text = |bytes: usize| {
        let bodies: String = (0..4).map(|_| format!("(func (local {locals}) {})", body(bytes))).collect();
        format!(
            r#"(module (type $wide (func (param {wide}) (result i64))) (memory (export "memory") 1 1) (table 4 funcref)
               (func $wide (type $wide) (call $again (local.get 0))) (func $again (param i64) (result i64) (local.get 0))
               {bodies} (func (export "call") (param i32 i32) (result i32) (i32.const 0)))"#
        )
    };
    let sizes = (1..=260).rev().map(|quarters| kernel(&text(quarters * 250)));
    sizes.into_iter().find(|wasm| admit(wasm).is_ok()).expect("a small one is admitted")
}

/// Two thousand functions of a few operators.
fn tiny() -> Vec<u8> {
    let function = |at: usize| {
        format!(
            "(func (param i64 i64) (result i64) (if (i64.eqz (local.get 0)) (then (return (i64.const {at})))) (call {} (i64.mul (local.get 0) (local.get 1)) (i64.load (i32.wrap_i64 (local.get 1)))))",
            (at * 7 + 1) % 1_990
        )
    };
    let functions: String = (0..1_990).map(function).collect();
    kernel(&format!(
        r#"(module {functions} (memory (export "memory") 1 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0)))"#
    ))
}

/// Modules that are refused by a limit, but are read to their end first: about as large as may be.
fn refused() -> [(&'static str, Vec<u8>); 2] {
    // Once each body counted the imports anew: 1.5 s.
    let imports = r#"(import "" "" (func)) "#.repeat(32_000) + &"(func) ".repeat(32_000);
    let wide =
        format!("(func $wide (param {})) (func unreachable {})", "i32 ".repeat(1_000), "call $wide ".repeat(120_000));
    [("imports and bodies", imports), ("calls of many parameters", wide)]
        .map(|(name, text)| (name, wat::parse_str(format!("(module {text})")).expect("it is well formed")))
}

/// What the process of one shape does.
fn compile(name: &str) {
    let shape = SHAPES.iter().find(|(of, _)| *of == name);
    let wasm = shape.map_or_else(tiny, |shape| module(*shape));
    let start = Instant::now();
    let admitted = admit(&wasm).unwrap_or_else(|error| panic!("{name}: {error}"));
    let admission = start.elapsed();
    let instrumented = instrument::instrument(&wasm, &admitted).expect("it was admitted");
    let instrumentation = start.elapsed() - admission;
    let (before, cpu) = (high_water(), cpu_ms());
    let engine = wasmtime::Engine::new(&configuration()).expect("the configuration is production's");
    let code = engine.precompile_module(&instrumented).expect("it compiles");
    let (compilation, memory) = (cpu_ms() - cpu, high_water());
    println!(
        "{name:24} {:>7} B {:>8} B {:>9} B {:>6} ms {:>6} ms {:>7} ms {:>5} MB (before compiling {before})",
        wasm.len(),
        instrumented.len(),
        code.len(),
        admission.as_millis(),
        instrumentation.as_millis(),
        compilation,
        memory
    );
}

/// The most memory that this process has had, in MB.
fn high_water() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_024
}

/// The processor time that this process has used, in milliseconds.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which is in parentheses: user and system time are the 12th and 13th, in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(name) = arguments.iter().find_map(|argument| argument.strip_prefix("shape=")) {
        return compile(name);
    }
    for (name, wasm) in refused() {
        let start = Instant::now();
        let refusal = admit(&wasm).expect_err("a limit refuses it");
        println!("refused in {} ms: {name}, {} B: {refusal}", start.elapsed().as_millis(), wasm.len());
    }
    println!(
        "{:24} {:>9} {:>10} {:>11} {:>9} {:>9} {:>10}",
        "shape", "module", "metered", "code", "admit", "meter", "compile"
    );
    for (name, wasm) in [("disburse-bench", DISBURSE), ("business-licence", LARGEST)] {
        let work = chancery_engine::check(wasm).into_iter().find(|check| check.name.starts_with("locals ×"));
        println!("{name}: {}", work.map_or_else(String::new, |check| check.to_string()));
    }
    let quick = arguments.iter().any(|argument| argument == "--test");
    let names = SHAPES.iter().map(|(name, _)| *name).chain(["tiny functions"]).take(if quick { 1 } else { usize::MAX });
    for name in names {
        let program = std::env::current_exe().expect("this program");
        let status = Command::new(program).arg(format!("shape={name}")).status().expect("it starts");
        assert!(status.success(), "{name}");
    }
}
