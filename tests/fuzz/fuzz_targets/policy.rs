#![no_main]

#[path = "../../../runtime/tlog/tests/laws/mod.rs"]
#[allow(dead_code)]
mod laws;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::policy(bytes));
