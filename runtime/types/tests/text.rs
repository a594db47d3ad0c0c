//! Text that people write, and what stands in the wrong column of their tables: no reader of it panics.

use chancery_types::money::parse_decimal;
use chancery_types::{Amount, Date, Hash, LedgerId, Month, PublicKey, Ratio, RequestId, Signature, Timestamp};
use proptest::prelude::*;

/// Any text at all, or nearly a date, a number or a key, with letters of two to four bytes in it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[0-9a-fTZ:./%+ü€𝄞-]{0,40}", "did:key:z[1-9A-Za-zü]{0,60}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_text_makes_a_reader_panic(text in text(), exponent: u8) {
        // What prints what it reads prints it alike.
        if let Some(date) = Date::parse(&text) {
            prop_assert_eq!(date.to_string(), text.clone());
        }
        if let Some(month) = Month::parse(&text) {
            prop_assert_eq!(month.to_string(), text.clone());
        }
        Timestamp::parse(&text);
        Ratio::parse(&text);
        Amount::<chancery_types::money::Usd>::parse(&text);
        parse_decimal(&text, exponent);
        Hash::parse(&text);
        LedgerId::parse(&text);
        PublicKey::parse(&text);
        PublicKey::from_did(&text);
        Signature::parse(&text);
        RequestId::parse(&text);
    }
}
