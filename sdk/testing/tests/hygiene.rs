//! Names of a contract's own that are also names of the code which the macros write: neither hides the other.

use chancery_testing::run_native;

#[chancery_sdk::contract]
mod names {
    use chancery_sdk::prelude::*;

    /// Every field is called as something in the code around it.
    #[derive(Schema, Clone, PartialEq, Debug)]
    pub enum Kind {
        /// Nothing.
        Empty,
        /// Something.
        Full { out: u8, reader: u16, r#type: String },
    }

    /// A struct of such fields.
    #[derive(Schema, Clone, PartialEq, Debug)]
    pub struct Line {
        pub out: u8,
        pub reader: Kind,
        pub r#type: String,
    }

    #[event]
    pub enum Event {
        /// It was noted.
        Noted { out: u8, r#type: String },
    }

    #[error]
    pub enum Error {
        /// It was not.
        #[rule("it is noted")]
        NotNoted { out: u8 },
    }

    /// A method whose parameter has its name.
    #[call]
    pub fn note(
        ctx: &mut Context,
        note: String,
        reader: u8,
        out: u8,
        bytes: u8,
        selector: u32,
    ) -> Result<String, Error> {
        ensure!(ctx, out > 0, Error::NotNoted { out });
        ctx.emit(Event::Noted { out, r#type: note.clone() });
        let _ = (reader, bytes, selector);
        Ok(note)
    }

    /// A method with the name of a local of the code around it, and one with a keyword's.
    #[call]
    pub fn selector(ctx: &mut Context, arguments_len: Line) -> Result<Line, Error> {
        let _ = ctx;
        Ok(arguments_len)
    }

    /// A keyword's name.
    #[query]
    pub fn r#move(ctx: &Context, r#type: Kind) -> Result<Kind, Error> {
        let _ = ctx;
        Ok(r#type)
    }
}

#[test]
fn a_contract_may_use_the_names_that_the_macros_use() {
    run_native(names::CONTRACT, |world| {
        let clerk = world.actor("clerk");
        world.deploy(&clerk, ()).done::<()>();
        let noted = world.call(&clerk, "note", ("a", (1u8, 2u8, 3u8, 4u32)));
        assert_eq!((noted.done::<String>().as_str(), noted.event_names()), ("a", vec!["Noted"]));
        // Variant 0 with its fields: 2, and the text.
        assert_eq!(noted.events[0].data, [&[2][..], &[1, 0, 0, 0], b"a"].concat());
        assert_eq!(world.call(&clerk, "note", ("a", (1u8, 0u8, 3u8, 4u32))).refused(), "NotNoted");
        let kind = names::Kind::Full { out: 7, reader: 8, r#type: "b".into() };
        let line = names::Line { out: 9, reader: kind.clone(), r#type: "c".into() };
        assert_eq!(world.call(&clerk, "selector", (line.clone(),)).done::<names::Line>(), line);
        assert_eq!(world.query("move", (kind.clone(),)).done::<names::Kind>(), kind);
    });
}

#[test]
fn a_keyword_is_shown_as_callers_write_it() {
    use chancery_sdk::types::interface::Type;
    use chancery_sdk::types::{Decode, Interface};
    let interface = Interface::from_bytes(names::CONTRACT.interface).unwrap();
    let (_, method) = interface.method("move").unwrap();
    assert_eq!(method.fields[0].name, "type");
    let Type::Enum { variants, .. } = &method.fields[0].ty else { panic!("an enum") };
    assert_eq!(
        variants[1].fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(),
        ["out", "reader", "type"]
    );
    assert_eq!(interface.events[0].fields[1].name, "type");
}

/// A contract that is just begun: nothing happens yet, and nothing is refused.
mod begun {
    #[chancery_sdk::contract]
    pub mod draft {
        use chancery_sdk::prelude::*;

        #[event]
        pub enum Event {}

        #[error]
        pub enum Error {}

        /// Does nothing yet.
        #[call]
        pub fn begin(ctx: &mut Context) -> Result<(), Error> {
            let _ = ctx;
            Ok(())
        }
    }
}

/// An enum without variants did not compile, for a match that the author had not written.
#[test]
fn events_and_errors_may_be_none_yet() {
    run_native(begun::draft::CONTRACT, |world| {
        let clerk = world.actor("clerk");
        world.deploy(&clerk, ()).done::<()>();
        world.call(&clerk, "begin", ()).done::<()>();
    });
}
