//! Every decoder against random and mutated bytes: no panic, and what decodes encodes to the same bytes (so that nothing has two spellings,
//! attack V12).
//!
//! In CI each decoder gets a bounded number of inputs; `CHANCERY_FUZZ=10000000` makes it so many, `CHANCERY_SEED` begins elsewhere.

use chancery_types::call::Sibling;
use chancery_types::codec::{Decode, Encode};
use chancery_types::date::{Date, Month};
use chancery_types::decision::{Finding, Input, Step, Value};
use chancery_types::entry::{Effects, Entry, Event, Movement, Outcome, Record, Rejection, Write};
use chancery_types::interface::{Field, Interface, Method, MethodKind, Storage, Type, Variant};
use chancery_types::{
    Action, Call, ContractId, Gas, Hash, Height, LedgerId, ModuleId, PublicKey, Ratio, RequestId, Signature,
    SignedCall, Timestamp, Trace, TrapKind,
};

/// SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn wanted(variable: &str, without: u64) -> u64 {
    std::env::var(variable).map_or(without, |text| text.parse().expect("a number"))
}

/// Random bytes, or a sample that was changed, cut, prolonged, spliced or repeated.
fn input(numbers: &mut Numbers, samples: &[Vec<u8>], out: &mut Vec<u8>) {
    out.clear();
    let sample = &samples[numbers.below(samples.len())];
    if numbers.below(8) == 0 {
        let len = numbers.below(120);
        out.extend((0..len).map(|_| numbers.next() as u8));
        return;
    }
    out.extend_from_slice(sample);
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(out.len());
        match numbers.below(7) {
            0 if !out.is_empty() => out[at] ^= 1 << numbers.below(8),
            1 if !out.is_empty() => out[at] = [0, 1, 0x7f, 0x80, 0xff][numbers.below(5)],
            2 => out.truncate(at),
            3 => out.insert(at, numbers.next() as u8),
            4 if !out.is_empty() => drop(out.remove(at)),
            // A length, perhaps: four bytes that say a great many.
            5 if out.len() >= at + 4 => {
                out[at..at + 4].copy_from_slice(&[0xff, 0xff, 0xff, [0x00, 0x7f, 0xff][numbers.below(3)]])
            }
            _ => {
                let other = &samples[numbers.below(samples.len())];
                out.truncate(at);
                out.extend_from_slice(&other[numbers.below(other.len())..]);
            }
        }
    }
}

/// Feeds a decoder. Answers how many inputs it took and how many of them decoded.
fn feed<T: Decode + Encode>(name: &str, samples: &[T]) -> (u64, u64) {
    let samples: Vec<Vec<u8>> = samples.iter().map(Encode::to_bytes).collect();
    for sample in &samples {
        let value = T::from_bytes(sample).unwrap_or_else(|error| panic!("{name}: its own bytes: {error}"));
        assert!(value.to_bytes() == *sample, "{name}: what is encoded is decoded and encoded to the same");
    }
    let mut numbers = Numbers(wanted("CHANCERY_SEED", 1));
    let count = wanted("CHANCERY_FUZZ", 20_000);
    let mut decoded = 0;
    let mut bytes = Vec::new();
    for _ in 0..count {
        input(&mut numbers, &samples, &mut bytes);
        if let Ok(value) = T::from_bytes(&bytes) {
            assert!(value.to_bytes() == bytes, "{name}: two encodings of one value: {bytes:02x?}");
            decoded += 1;
        }
    }
    println!("{name}: {count} inputs, {decoded} decoded");
    (count, decoded)
}

fn step() -> Step {
    let value = Value::Money { minor: -5, currency: *b"EUR", exponent: 2 };
    let inputs = vec![
        Input { name: "amount".into(), value: value.clone() },
        Input { name: "rate".into(), value: Value::Ratio { value: Ratio::parse("1/5").unwrap() } },
        Input { name: "day".into(), value: Value::Date { value: Date::parse("2024-02-29").unwrap() } },
        Input { name: "month".into(), value: Value::Month { value: Month::parse("2024-02").unwrap() } },
        Input { name: "who".into(), value: Value::Text { value: "Äöü".into() } },
        Input { name: "sure".into(), value: Value::Bool { value: true } },
    ];
    Step { rule: "income".into(), citation: "§ 4".into(), inputs, finding: Finding::Computed { value } }
}

fn call(action: Action) -> Call {
    Call {
        ledger: LedgerId([1; 32]),
        actor: PublicKey([2; 32]),
        request: RequestId(3),
        valid_until: Timestamp(4),
        action,
    }
}

fn calls() -> Vec<Call> {
    vec![
        call(Action::Invoke { contract: "notes".into(), method: "put".into(), arguments: vec![1, 2, 3] }),
        call(Action::Deploy { name: "notes".into(), module: ModuleId([9; 32]), arguments: vec![] }),
    ]
}

/// Signed alone, and with others.
fn signed() -> Vec<SignedCall> {
    let siblings = [Sibling::Left { hash: Hash([6; 32]) }, Sibling::Right { hash: Hash([7; 32]) }];
    let paths = [Vec::new(), siblings.to_vec()];
    let signed = |(call, path)| SignedCall { call, signature: Signature([5; 64]), path };
    calls().into_iter().cycle().zip(paths).map(signed).collect()
}

fn outcomes() -> Vec<Outcome> {
    vec![
        Outcome::Done { result: vec![1; 9] },
        Outcome::Refused { code: 3, detail: vec![4], reasons: vec!["a".into(), "b (§ 2)".into()] },
        Outcome::Trapped { kind: TrapKind::StackOverflow },
        Outcome::OutOfGas,
        Outcome::Rejected { rejection: Rejection::BadArguments },
    ]
}

fn entries() -> Vec<Entry> {
    let entry = |record: Record| Entry {
        version: record.version(),
        index: 7,
        previous: Hash([8; 32]),
        time: Timestamp(9),
        record,
    };
    let mut entries = vec![
        entry(Record::Genesis { origin: "ledger.example/test".into(), nonce: [1; 32] }),
        entry(Record::Seal { height: Height(3), state_root: Hash([4; 32]), entries: 5, keys: 6 }),
    ];
    let call = |(signed, outcome)| Record::Call {
        signed,
        contract: ContractId([1; 32]),
        module: ModuleId([2; 32]),
        outcome,
        gas: Gas(30_000),
        prices: 1,
        events: vec![Event { kind: 1, data: vec![2; 5] }],
        trace: Hash([3; 32]),
        movements: vec![Movement {
            transfer: 1,
            debit: Hash([1; 32]),
            credit: Hash([2; 32]),
            minor: 100,
            currency: *b"EUR",
        }],
        writes: Hash([4; 32]),
    };
    let calls = signed().into_iter().cycle();
    entries.extend(calls.zip(outcomes()).map(call).map(entry));
    entries
}

fn ty() -> Type {
    let field = |name: &str, ty| Field { name: name.into(), doc: "what".into(), ty };
    let list = |of| Type::List { of: Box::new(of) };
    let variants = vec![Variant {
        name: "A".into(),
        doc: String::new(),
        citation: "§".into(),
        fields: vec![field("m", Type::Money { currency: *b"USD", exponent: 2 })],
    }];
    let choice = Type::Enum { name: "E".into(), doc: String::new(), variants };
    let fields = vec![
        field("x", list(list(Type::U8))),
        field("y", Type::Option { of: Box::new(Type::Ratio) }),
        field("z", choice),
    ];
    Type::Struct { name: "S".into(), doc: "d".into(), fields }
}

fn interface() -> Interface {
    let field = Field { name: "f".into(), doc: String::new(), ty: ty() };
    let method = |kind| Method {
        name: "m".into(),
        doc: "does".into(),
        citation: "§ 1".into(),
        kind,
        fields: vec![field.clone()],
        returns: Type::Unit,
    };
    let variant =
        Variant { name: "V".into(), doc: String::new(), citation: String::new(), fields: vec![field.clone()] };
    Interface {
        version: 1,
        name: "n".into(),
        doc: String::new(),
        legal_basis: "Act".into(),
        methods: [MethodKind::Init, MethodKind::Call, MethodKind::Query].map(method).into(),
        events: vec![variant.clone()],
        errors: vec![variant],
        storage: vec![Storage { name: "s".into(), doc: String::new(), keys: vec![Type::Date], value: ty() }],
    }
}

/// A trace takes the bytes that a list of steps takes, and no others.
#[test]
fn a_trace_is_a_list_of_steps() {
    let trace: Trace = [step(), step()].into_iter().collect();
    assert_eq!((trace.len(), trace.steps()), (2, vec![step(), step()]));
    let whole = vec![step(), step()].to_bytes();
    assert_eq!(trace.to_bytes(), whole);
    let mut numbers = Numbers(7);
    let mut taken = 0;
    for _ in 0..200_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + numbers.next() % 3 {
            if bytes.is_empty() {
                break;
            }
            let at = (numbers.next() % bytes.len() as u64) as usize;
            match numbers.next() % 4 {
                0 => bytes[at] ^= 1 << (numbers.next() % 8),
                1 => bytes[at] = (numbers.next() % 9) as u8,
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at + 1),
            }
        }
        let (list, trace) = (Vec::<Step>::from_bytes(&bytes), Trace::from_bytes(&bytes));
        assert_eq!(trace.as_ref().map(Trace::steps).ok(), list.as_ref().ok().cloned(), "{bytes:02x?}");
        if let Ok(trace) = &trace {
            assert_eq!(trace.to_bytes(), bytes);
            taken += 1;
        }
        let one = bytes.get(4..).unwrap_or_default();
        assert_eq!(Trace::default().push(one).is_ok(), Step::from_bytes(one).is_ok(), "{one:02x?}");
    }
    assert!(taken > 1_000, "{taken}");
}

#[test]
fn every_decoder_takes_only_the_one_encoding_and_never_panics() {
    let write = |value| Write { contract: ContractId([1; 32]), key: b"key".into(), value };
    let effects = Effects { writes: vec![write(None), write(Some(vec![1, 2]))], trace: [step()].into_iter().collect() };
    let totals = [
        feed("Call", &calls()),
        feed("Entry", &entries()),
        feed("Outcome", &outcomes()),
        feed("Step", &[step()]),
        feed("Trace", &[Trace::default(), [step(), step()].into_iter().collect()]),
        feed("Effects", &[effects, Effects::default()]),
        feed("Interface", &[interface(), Interface::default()]),
        feed("Type", &[ty(), Type::U8]),
        feed("TrapKind", &[TrapKind::Unreachable, TrapKind::BadAnswer]),
        feed("Ratio", &[Ratio::parse("1/5").unwrap(), Ratio::parse("0.2").unwrap()]),
        feed("Date", &[Date::parse("2024-02-29").unwrap()]),
        feed("Month", &[Month::parse("2024-02").unwrap()]),
        feed("Timestamp", &[Timestamp(0), Timestamp(1 << 40)]),
        feed("text", &[String::from("Äöü\u{10ffff}")]),
        feed("list of optional texts", &[vec![None, Some(String::from("a")), Some(String::new())]]),
    ];
    let (inputs, decoded) = totals.iter().fold((0, 0), |sum, total| (sum.0 + total.0, sum.1 + total.1));
    println!("{inputs} inputs in all, {decoded} decoded");
    assert!(decoded > inputs / 50, "too few decoded to say anything of them");
}

/// A call that was signed alone has no path, and one that was signed with others has 1 to 16 steps: each has one encoding.
#[test]
fn a_path_has_one_to_sixteen_steps() {
    let Some(Entry { record: Record::Call { signed, .. }, .. }) = entries().into_iter().nth(3) else {
        panic!("a call")
    };
    let path = signed.path.to_bytes();
    let encoded = entries()[3].to_bytes();
    let at = encoded.windows(path.len()).position(|bytes| bytes == path).expect("its path");
    for (steps, taken) in [(0, false), (1, true), (16, true), (17, false)] {
        let path = vec![Sibling::Right { hash: Hash([7; 32]) }; steps].to_bytes();
        let bytes = [&encoded[..at], &path, &encoded[at + signed.path.to_bytes().len()..]].concat();
        assert_eq!(Entry::from_bytes(&bytes).is_ok(), taken, "{steps} steps");
    }
}
