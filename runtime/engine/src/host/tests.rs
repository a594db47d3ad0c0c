//! Every host function at its limits, without an engine.

use super::*;
use crate::fixtures::context;
use chancery_state::MemoryStore;

fn invocation(kind: Kind, gas: u64) -> Invocation {
    Invocation { kind, selector: 0, arguments: vec![7, 8], context: context(), gas: Gas(gas) }
}

fn host(kind: Kind) -> Host {
    Host::new(invocation(kind, u64::MAX), Arc::new(MemoryStore::new()))
}

fn trapped<T>(answer: Result<T, Stop>) -> Option<TrapKind> {
    match answer {
        Err(Stop::Trap(kind)) => Some(kind),
        _ => None,
    }
}

const LIMIT_EXCEEDED: Option<TrapKind> = Some(TrapKind::LimitExceeded);

fn step(finding: Finding, rule: &str) -> Vec<u8> {
    Step { rule: rule.into(), citation: "§ 1".into(), inputs: vec![], finding }.to_bytes()
}

#[test]
fn the_context_has_its_fields_in_order() {
    let bytes = host(Kind::Call).context().unwrap();
    assert_eq!((bytes[0], bytes[32], bytes[64], bytes[96], bytes[104], bytes[112]), (1, 2, 3, 4, 5, 6));
    assert_eq!(bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>(), 32 * 6 + 15);
}

#[test]
fn a_call_reads_its_own_writes() {
    let mut host = host(Kind::Call);
    assert_eq!(host.get(b"k").unwrap(), None);
    host.set(b"k", b"v").unwrap();
    assert_eq!(host.get(b"k").unwrap(), Some(b"v".to_vec()));
    host.remove(b"k").unwrap();
    assert_eq!(host.get(b"k").unwrap(), None);
}

#[test]
fn random_bytes_are_one_stream_however_they_are_asked_for() {
    let function = WASI_FUNCTIONS.iter().find(|function| function.name == "random_get").unwrap();
    let mut host = host(Kind::Call);
    let mut memory = [0; 200];
    let mut start = 0;
    for len in [5, 0, 70, 1, 124] {
        assert_eq!(host.wasi(function, &mut memory, &[start, len]).unwrap(), 0);
        start += len;
    }
    let mut expected = [0; 200];
    let context = host.context.to_bytes();
    blake3::Hasher::new_derive_key("chancery 2026 wasi random v1").update(&context).finalize_xof().fill(&mut expected);
    assert_eq!(memory, expected);
}

#[test]
fn a_key_is_neither_empty_nor_long() {
    let mut host = host(Kind::Call);
    assert_eq!(trapped(host.get(b"")), LIMIT_EXCEEDED);
    assert_eq!(trapped(host.set(b"", b"")), LIMIT_EXCEEDED);
    assert_eq!(trapped(host.remove(b"")), LIMIT_EXCEEDED);
    assert_eq!(trapped(host.set(&[1; KEY_BYTES_MAX + 1], b"")), LIMIT_EXCEEDED);
    assert!(host.set(&[1; KEY_BYTES_MAX], b"").is_ok());
}

#[test]
fn a_value_has_a_limit() {
    let mut host = host(Kind::Call);
    assert!(host.set(b"k", &[0; VALUE_BYTES_MAX]).is_ok());
    assert_eq!(trapped(host.set(b"k", &[0; VALUE_BYTES_MAX + 1])), LIMIT_EXCEEDED);
}

#[test]
fn the_writes_of_a_call_have_a_limit_together() {
    let mut host = host(Kind::Call);
    let writes = (0..).find(|_| host.set(b"k", &[0; VALUE_BYTES_MAX]).is_err());
    assert_eq!(writes, Some(WRITES_BYTES_MAX / (VALUE_BYTES_MAX + 1)));
}

#[test]
fn a_query_writes_nothing() {
    let mut host = host(Kind::Query);
    assert_eq!(trapped(host.set(b"k", b"v")), Some(TrapKind::WriteInQuery));
    assert_eq!(trapped(host.remove(b"k")), Some(TrapKind::WriteInQuery));
    assert_eq!(trapped(host.event(0, b"")), Some(TrapKind::WriteInQuery));
    assert!(host.result(b"r").is_ok());
}

#[test]
fn result_and_fault_have_limits() {
    let mut host = host(Kind::Call);
    assert!(host.result(&[0; RESULT_BYTES_MAX]).is_ok());
    assert_eq!(trapped(host.result(&[0; RESULT_BYTES_MAX + 1])), LIMIT_EXCEEDED);
    assert!(host.fault(65_535, &[0; FAULT_BYTES_MAX]).is_ok());
    assert_eq!(trapped(host.fault(65_536, b"")), LIMIT_EXCEEDED);
    assert_eq!(trapped(host.fault(0, &[0; FAULT_BYTES_MAX + 1])), LIMIT_EXCEEDED);
}

#[test]
fn events_have_a_limit_together() {
    let mut host = host(Kind::Call);
    assert!(host.event(1, &[0; EVENTS_BYTES_MAX - 2 * EVENT_OVERHEAD_BYTES]).is_ok());
    assert!(host.event(1, b"").is_ok());
    assert_eq!(trapped(host.event(1, b"")), LIMIT_EXCEEDED);
    assert_eq!(trapped(self::host(Kind::Call).event(65_536, b"")), LIMIT_EXCEEDED);
}

#[test]
fn a_trace_takes_only_steps() {
    let mut host = host(Kind::Call);
    assert!(host.trace(&step(Finding::Met, "a")).is_ok());
    let mut trailing = step(Finding::Met, "a");
    trailing.push(0);
    assert_eq!(trapped(host.trace(&trailing)), Some(TrapKind::BadEncoding));
    assert_eq!(trapped(host.trace(&[0; TRACE_BYTES_MAX])), LIMIT_EXCEEDED);
}

#[test]
fn diagnostics_beyond_their_limit_are_dropped_and_charged() {
    let mut host = host(Kind::Call);
    host.log(&[b'a'; LOG_BYTES_MAX]).unwrap();
    let before = host.gas();
    host.log(b"\xff").unwrap();
    assert!(host.gas() < before);
    assert_eq!(host.finish(Ok(0)).unwrap().diagnostics.len(), 1);
    let mut host = self::host(Kind::Call);
    (0..2 * LOG_LINES_MAX).for_each(|_| host.log(b"").unwrap());
    assert_eq!(host.finish(Ok(0)).unwrap().diagnostics.len(), LOG_LINES_MAX);
}

#[test]
fn the_diagnostics_say_which_limit_was_exceeded_whatever_the_contract_wrote() {
    type Work = fn(&mut Host) -> Result<(), Stop>;
    let cases: [(Work, &str); 12] = [
        (|host| host.get(&[1; 600]).map(drop), "bytes of a key: allowed at most 512, found 600"),
        (|host| host.remove(b""), "bytes of a key: allowed at least 1, found 0"),
        (|host| host.set(b"k", &[0; 60_001]), "bytes of a value: allowed at most 60000, found 60001"),
        (
            |host| (0..=WRITES_MAX).try_for_each(|_| host.set(b"k", b"")),
            "writes of a call: allowed at most 4096, found 4097",
        ),
        (
            |host| (0..70).try_for_each(|_| host.set(b"k", &[0; VALUE_BYTES_MAX])),
            "bytes of keys and values that a call writes: allowed at most 4194304, found 4200070",
        ),
        (|host| host.result(&[0; 8_193]), "bytes of a result: allowed at most 8192, found 8193"),
        (|host| host.fault(0, &[0; 4_097]), "bytes of an error's fields: allowed at most 4096, found 4097"),
        (|host| host.fault(65_536, b""), "position of an error: allowed at most 65535, found 65536"),
        (|host| host.event(65_536, b""), "position of an event: allowed at most 65535, found 65536"),
        (|host| host.event(0, &[0; 16_384]), "bytes of a call's events: allowed at most 16384, found 16390"),
        (|host| host.trace(&[0; 65_537]), "bytes of a call's decision trace: allowed at most 65536, found 65537"),
        (
            |host| host.scan(&[0; 514], None, false, 1, 1).map(drop),
            "bytes of a bound of a scan: allowed at most 513, found 514",
        ),
    ];
    for (work, says) in cases {
        let mut host = host(Kind::Call);
        (0..LOG_LINES_MAX).for_each(|_| host.log(&[b'a'; 100]).unwrap());
        let stopped = work(&mut host).map(|()| 0);
        let execution = host.finish(stopped).unwrap();
        assert_eq!(execution.outcome, Outcome::Trapped { kind: TrapKind::LimitExceeded });
        assert_eq!(execution.diagnostics.last().map(String::as_str), Some(says));
        assert_eq!(execution.diagnostics.len(), LOG_BYTES_MAX / 100 + 1);
    }
}

#[test]
fn signatures_and_digests_are_the_published_ones() {
    use chancery_types::{Hash, ModuleId};
    let mut host = host(Kind::Call);
    // RFC 8032 §7.1, test 2.
    let key = Hash::parse("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").unwrap().0;
    let signature = Signature::parse(concat!(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    ));
    let signature = signature.unwrap().0;
    assert!(host.verify_ed25519(&key, &[0x72], &signature).unwrap());
    assert!(!host.verify_ed25519(&key, &[0x73], &signature).unwrap());
    assert!(!host.verify_ed25519(&[0xff; 32], &[0x72], &[0xff; 64]).unwrap());
    // FIPS 180-2 appendix B.1, and the empty input of BLAKE3's test vectors.
    let sha = Hash(host.sha256(b"abc").unwrap());
    assert_eq!(Hash::parse("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), Some(sha));
    let blake = ModuleId(host.blake3(b"").unwrap());
    assert_eq!(ModuleId::parse("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"), Some(blake));
}

#[test]
fn every_function_stops_without_gas_and_before_it_works() {
    let fresh = |gas| Host::new(invocation(Kind::Call, gas), Arc::new(MemoryStore::new()));
    type Stops = fn(&mut Host) -> bool;
    let all: [(Function, Stops); 14] = [
        (Function::Arguments, |host| host.arguments().is_err()),
        (Function::Context, |host| host.context().is_err()),
        (Function::Result, |host| host.result(b"").is_err()),
        (Function::Fault, |host| host.fault(0, b"").is_err()),
        (Function::StateGet, |host| host.get(b"k").is_err()),
        (Function::StateSet, |host| host.set(b"k", b"").is_err()),
        (Function::StateRemove, |host| host.remove(b"k").is_err()),
        (Function::StateScan, |host| host.scan(b"", None, false, 1, 9).is_err()),
        (Function::Event, |host| host.event(0, b"").is_err()),
        (Function::Trace, |host| host.trace(b"").is_err()),
        (Function::VerifyEd25519, |host| host.verify_ed25519(&[0; 32], b"", &[0; 64]).is_err()),
        (Function::Blake3, |host| host.blake3(b"").is_err()),
        (Function::Sha256, |host| host.sha256(b"").is_err()),
        (Function::Log, |host| host.log(b"").is_err()),
    ];
    for (function, stopped) in all {
        let gas = function.entry().base - 1;
        let mut host = fresh(gas);
        assert!(stopped(&mut host), "{function:?}");
        let execution = host.finish(Err(Stop::OutOfGas)).unwrap();
        assert_eq!((execution.outcome, execution.gas), (Outcome::OutOfGas, Gas(gas)));
        assert_eq!(execution.costs, [HostCost { function: function.entry().name, calls: 1, gas: Gas(gas) }]);
    }
}

#[test]
fn a_bad_pointer_is_charged() {
    let mut host = host(Kind::Call);
    let before = host.gas();
    assert!(matches!(host.bad_pointer(Function::StateGet), Stop::Trap(TrapKind::BadPointer)));
    assert_eq!(before - host.gas(), Function::StateGet.entry().base);
}

#[test]
fn writes_and_events_stand_only_when_done() {
    let finish = |answer| {
        let mut host = host(Kind::Call);
        host.set(b"k", b"v").unwrap();
        host.event(1, b"e").unwrap();
        host.fault(3, b"f").unwrap();
        host.result(b"first").unwrap();
        host.result(b"last").unwrap();
        host.trace(&step(Finding::Met, "met")).unwrap();
        host.trace(&step(Finding::NotMet, "enrolled")).unwrap();
        host.finish(answer).unwrap()
    };
    let done = finish(Ok(0));
    assert_eq!(
        (done.outcome, done.writes.len(), done.events.len()),
        (Outcome::Done { result: b"last".to_vec() }, 1, 1)
    );
    let reasons = vec!["enrolled (§ 1)".to_string()];
    for (answer, outcome) in [
        (Ok(1), Outcome::Refused { code: 3, detail: b"f".to_vec(), reasons }),
        (Ok(2), Outcome::Rejected { rejection: Rejection::BadArguments }),
        (Ok(3), Outcome::Trapped { kind: TrapKind::BadAnswer }),
        (Err(Stop::Trap(TrapKind::Unreachable)), Outcome::Trapped { kind: TrapKind::Unreachable }),
        (Err(Stop::OutOfGas), Outcome::OutOfGas),
    ] {
        let execution = finish(answer);
        assert_eq!(execution.outcome, outcome);
        assert_eq!((execution.writes.len(), execution.events.len(), execution.trace.len()), (0, 0, 2), "{outcome:?}");
    }
}

#[test]
fn a_refusal_without_a_fault_is_a_bad_answer() {
    let execution = host(Kind::Call).finish(Ok(1)).unwrap();
    assert_eq!(execution.outcome, Outcome::Trapped { kind: TrapKind::BadAnswer });
}

#[test]
fn a_refusal_keeps_the_last_reasons_cut_at_a_character() {
    let mut host = host(Kind::Call);
    for number in 0..REASONS_MAX + 2 {
        host.trace(&step(Finding::NotMet, &format!("{number}{}", "é".repeat(REASON_BYTES_MAX)))).unwrap();
    }
    host.fault(0, b"").unwrap();
    let Outcome::Refused { reasons, .. } = host.finish(Ok(1)).unwrap().outcome else { panic!("not refused") };
    assert_eq!(reasons.len(), REASONS_MAX);
    assert!(reasons[0].starts_with("2é"), "{}", reasons[0]);
    assert!(reasons.iter().all(|reason| reason.len() <= REASON_BYTES_MAX));
}

fn keys(page: &Scanned) -> Vec<Vec<u8>> {
    let mut rest = page.bytes.as_slice();
    let mut keys = Vec::new();
    while !rest.is_empty() {
        let len = usize::from(u16::from_le_bytes([rest[0], rest[1]]));
        keys.push(rest[2..2 + len].to_vec());
        let value = u32::from_le_bytes(rest[2 + len..6 + len].try_into().unwrap()) as usize;
        rest = &rest[6 + len + value..];
    }
    keys
}

#[test]
fn a_scan_spans_chunks_in_both_directions() {
    let mut host = host(Kind::Call);
    let all: Vec<Vec<u8>> = (0..40).map(|number| vec![number]).collect();
    all.iter().for_each(|key| host.set(key, b"v").unwrap());
    let page = host.scan(b"", None, false, 1_000, 10_000).unwrap();
    assert_eq!((keys(&page), page.answer() >> 32), (all.clone(), 40));
    let page = host.scan(&[2], Some(&[38]), true, 1_000, 10_000).unwrap();
    let reversed: Vec<Vec<u8>> = all[2..38].iter().rev().cloned().collect();
    assert_eq!(keys(&page), reversed);
    assert_eq!(keys(&host.scan(&[5], None, false, 17, 10_000).unwrap()), all[5..22]);
    assert_eq!(host.scan(&[5], Some(&[5]), false, 17, 10_000).unwrap().answer(), 0);
    assert_eq!(host.scan(b"", None, false, 0, 10_000).unwrap().answer(), 0);
}

#[test]
fn a_scan_gives_whole_pairs_or_says_what_the_first_needs() {
    let mut host = host(Kind::Call);
    host.set(b"a", b"12").unwrap();
    host.set(b"b", b"34").unwrap();
    assert_eq!(host.scan(b"", None, false, 9, 8).unwrap().answer(), -9);
    assert_eq!(host.scan(b"", None, false, 9, 17).unwrap().answer(), 1 << 32 | 9);
    assert_eq!(host.scan(b"", None, false, 9, 18).unwrap().answer(), 2 << 32 | 18);
}

/// V15: what was written and removed before the scan, and while paging, is seen in byte order.
#[test]
fn a_scan_sees_the_calls_own_writes_as_of_now() {
    let mut host = host(Kind::Call);
    (0..4u8).for_each(|key| host.set(&[key], b"").unwrap());
    let first = host.scan(b"", None, false, 2, 1_000).unwrap();
    assert_eq!(keys(&first), [[0], [1]]);
    host.remove(&[2]).unwrap();
    host.set(&[1, 0], b"").unwrap();
    host.set(&[0, 9], b"").unwrap();
    let rest = host.scan(&[1, 0], None, false, 9, 1_000).unwrap();
    assert_eq!(keys(&rest), [vec![1, 0], vec![3]]);
}

#[test]
fn a_scan_pays_for_every_pair_it_reads() {
    let mut host = host(Kind::Call);
    (0..SCAN_CHUNK_PAIRS as u8).for_each(|key| host.set(&[key], &[0; 1_000]).unwrap());
    let before = host.gas();
    let page = host.scan(b"", None, false, u32::MAX, 1_007).unwrap();
    assert_eq!(page.count, 1);
    let price = Function::StateScan.entry();
    assert_eq!(before - host.gas(), price.base + 16 * (SCAN_PAIR + price.per_byte * 1_007));
}
