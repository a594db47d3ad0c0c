//! What is refused before anything is compiled: V3, V13, V16.

use crate::harness::module;
use chancery_engine::{AdmissionError, Check, admit, check, limits, prices, strip};
use chancery_types::codec::Encode;

#[test]
fn v16_superfluous_exports_start_functions_and_unknown_imports_are_refused() {
    let entry = r#"(memory (export "memory") 1) (func $f (export "call") (param i32 i32) (result i32) (i32.const 0))"#;
    let refused = |text: &str| admit(&module(text)).unwrap_err().to_string();
    assert!(admit(&module(entry)).is_ok());
    assert!(refused(&format!(r#"{entry} (func $s) (start $s)"#)).contains("start function"));
    assert!(refused(&format!(r#"{entry} (global (export "g") (mut i32) (i32.const 0))"#)).contains("found g"));
    assert!(refused(&format!(r#"(import "env" "f" (func)) {entry}"#)).contains("env.f, which is not of chancery_v1"));
    assert!(
        refused(&format!(r#"(import "chancery_v1" "clock" (func)) {entry}"#)).contains("which the host does not have")
    );
    assert!(refused(&format!(r#"(import "chancery_v1" "log" (func)) {entry}"#)).contains("another type"));
    assert!(refused(r#"(memory (export "memory") 1)"#).contains("no call"));
    assert!(
        refused(r#"(memory 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#)
            .contains("no memory")
    );
    assert!(refused(&format!(r#"{entry} (func (export "query"))"#)).contains("query of another type"));
    assert!(refused(&format!(r#"{entry} (data (i32.const 65530) "0123456789")"#)).contains("place of the data"));
    assert!(refused(&format!(r#"{entry} (data "passive")"#)).contains("not an admissible WebAssembly module"));
    assert!(refused(&format!(r#"{entry} (memory 1)"#)).contains("not an admissible WebAssembly module"));
    let reexported = r#"(import "chancery_v1" "log" (func $log (param i32 i32))) (memory (export "memory") 1) (export "call" (func $log))"#;
    assert!(refused(reexported).contains("call of another type, or not the module's own"));
    assert!(refused(r#"(import "chancery_v1" "memory" (memory 1)) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#).contains("exactly 1, its own"));
}

#[test]
fn v3_every_limit_is_named_with_the_value_found() {
    let entry = r#"(memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#;
    let many = |count: usize, text: &str| text.repeat(count);
    let types =
        (0..501).map(|n| format!("(type (func {} {}))", many(n % 17, "(param i64)"), many(n / 17 % 2, "(result i32)")));
    let branches = many(4_500, "(if (local.get 0) (then))");
    let with = |text: String| format!("{entry} {text}");
    let cases = [
        ("bytes of the module", "300123", with(format!(r#"(data (i32.const 0) "{}")"#, many(300_000, "x")))),
        ("types", "502", with(types.collect())),
        ("parameters of a function", "17", with(format!("(func {})", many(17, "(param i32)")))),
        ("functions", "2002", with(many(2001, "(func)"))),
        ("bytes of a function", "90002", with(format!("(func {})", many(30_000, "(drop (i32.const 1))")))),
        ("locals and parameters of a function", "300", with(format!("(func {})", many(300, "(local i64)")))),
        (
            "operands of a function at once",
            "300",
            with(format!("(func {} {})", many(300, "i32.const 1 "), many(300, "drop "))),
        ),
        ("nesting of blocks", "131", with(format!("(func {} {})", many(130, "(block "), many(130, ")")))),
        ("targets of a br_table", "1099", with(format!("(func (br_table {} (i32.const 0)))", many(1100, "0 ")))),
        (
            "locals × (branches, calls and divisions), of all functions together",
            "1125000",
            with(format!("(func (param i32) {} {branches})", many(249, "(local i64)"))),
        ),
        ("globals", "65", with(many(65, "(global i32 (i32.const 0))"))),
        ("pages of the memory at the start", "300", entry.replace("1)", "300)")),
        ("pages of the memory, declared", "300", entry.replace("1)", "1 300)")),
        ("data segments", "65", with(many(65, r#"(data (i32.const 0) "")"#))),
        ("elements of the table", "2000", with("(table 2000 funcref)".into())),
        ("element segments", "17", with(format!("(table 1 funcref) {}", many(17, "(elem (i32.const 0))")))),
        ("imports", "33", format!("{} {entry}", many(33, r#"(import "chancery_v1" "log" (func (param i32 i32)))"#))),
        (
            "bytes of the interface description",
            "70000",
            with(format!(r#"(@custom "chancery:interface" "{}")"#, many(70_000, "x"))),
        ),
    ];
    for (name, found, text) in &cases {
        match admit(&module(text)) {
            Err(AdmissionError::Failed(check)) => assert_eq!((check.name, check.found.as_str()), (*name, *found)),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(admit(&module(&with(format!("(func (param i32) {branches})")))).is_ok(), "few locals");
    // WebAssembly without the proposals for more has one of each at most.
    let by_validation = ["results of a function", "tables"];
    for text in ["(func (result i32 i32) (i32.const 0) (i32.const 0))", "(table 1 funcref) (table 1 funcref)"] {
        assert!(matches!(admit(&module(&with(text.into()))), Err(AdmissionError::Invalid(_))), "{text}");
    }
    for (name, _) in limits_of_modules() {
        assert!(by_validation.contains(&name) || cases.iter().any(|case| case.0 == name), "{name} has no case");
    }
}

#[test]
fn v13_a_description_that_nests_too_deep_is_refused_without_recursing() {
    use chancery_types::interface::{Interface, Method, MethodKind, Type};
    let method = Method {
        name: "m".into(),
        doc: String::new(),
        citation: String::new(),
        kind: MethodKind::Call,
        fields: vec![],
        returns: Type::Bool,
    };
    let flat = Interface { version: 1, name: "deep".into(), methods: vec![method], ..Interface::default() }.to_bytes();
    // Its last bytes are the method's result, and three empty lists. A list of lists of … is a tag for each.
    const LIST: u8 = 19;
    let module_of = |depth: usize| {
        let (before, after) = flat.split_at(flat.len() - 13);
        let bytes = [before, &vec![LIST; depth], after].concat();
        let mut wasm = strip(&wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0)))"#).unwrap()).unwrap();
        let section = wasm_encoder::CustomSection { name: "chancery:interface".into(), data: bytes.into() };
        wasm_encoder::Section::append_to(&section, &mut wasm);
        wasm
    };
    assert!(admit(&module_of(15)).is_ok());
    for depth in [16, 1_000, 60_000] {
        let error = admit(&module_of(depth)).unwrap_err().to_string();
        assert!(error.contains("a damaged one: "), "{depth}: {error}");
    }
}

#[test]
fn floating_point_and_modules_without_interface_are_refused() {
    let entry = r#"(memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#;
    let float = admit(&module(&format!("{entry} (func (param f64))"))).unwrap_err();
    assert!(matches!(float, AdmissionError::Invalid(_)), "{float}");
    let inside = format!("{entry} (func (result i32) (i32.trunc_f64_s (f64.const 1.19)))");
    for (text, number) in [(inside, 1), (format!("{entry} (func) (func (local f32))"), 2)] {
        let float = admit(&module(&text)).unwrap_err();
        assert!(matches!(float, AdmissionError::Body { function, .. } if function == number), "{float}");
        for part in ["floating-point", "whole numbers", "`Amount` and `Ratio`"] {
            assert!(float.to_string().contains(part), "{float}");
        }
    }
    let bare = wat::parse_str(format!("(module {entry})")).unwrap();
    assert!(admit(&bare).unwrap_err().to_string().contains("0 descriptions"));
    assert!(matches!(admit(b"\0asm\x01\0\0\0garbage"), Err(AdmissionError::Invalid(_))));
    assert!(matches!(admit(b""), Err(AdmissionError::Invalid(_))));
}

#[test]
fn stripping_leaves_what_is_admitted() {
    let entry = r#"(memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0)) (global (export "__heap_base") i32 (i32.const 9)) (@custom "name" "x")"#;
    let wasm = module(entry);
    assert!(admit(&wasm).is_err());
    let stripped = strip(&wasm).unwrap();
    assert!(admit(&stripped).is_ok());
    assert_eq!(strip(&stripped).unwrap(), stripped, "stripping twice changes nothing");
}

/// The names and numbers of all that a module may have so much of.
fn limits_of_modules() -> Vec<(&'static str, u64)> {
    let sound =
        module(r#"(memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#);
    let number = |check: &Check| check.limit.strip_prefix("at most ").map(|limit| limit.parse().unwrap());
    check(&sound).iter().filter_map(|check| Some((check.name, number(check)?))).collect()
}

/// V3 and the limits of calls are told as they are.
#[test]
fn the_page_on_security_shows_every_limit() {
    let page = include_str!("../../../../docs/src/operations/security-model.md");
    let shown = |number: u64| {
        let digits = number.to_string();
        let grouped: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
        grouped.join(",")
    };
    let of_calls = [
        ("gas", prices::CALL_GAS_MAX.0),
        ("bytes of the arguments", chancery_types::call::ARGUMENTS_BYTES_MAX as u64),
        ("slots of the call stack", u64::from(limits::STACK_SLOTS_MAX)),
        ("bytes of a key", limits::KEY_BYTES_MAX as u64),
        ("bytes of a value", limits::VALUE_BYTES_MAX as u64),
        ("writes", limits::WRITES_MAX as u64),
        ("bytes written", limits::WRITES_BYTES_MAX as u64),
        ("pairs of a scan", u64::from(limits::SCAN_PAIRS_MAX)),
        ("bytes of a scan", limits::SCAN_BYTES_MAX as u64),
        ("bytes of the result", limits::RESULT_BYTES_MAX as u64),
        ("bytes of an error's fields", limits::FAULT_BYTES_MAX as u64),
        ("bytes of the events", limits::EVENTS_BYTES_MAX as u64),
        ("bytes of the decision trace", limits::TRACE_BYTES_MAX as u64),
        ("bytes of diagnostics that are kept", limits::LOG_BYTES_MAX as u64),
        ("lines of diagnostics that are kept", limits::LOG_LINES_MAX as u64),
    ];
    for (name, limit) in limits_of_modules().into_iter().chain(of_calls) {
        let line = format!("| {name} | {} |", shown(limit));
        assert!(page.contains(&line), "missing from security-model.md: {line}");
    }
}
