//! The smallest contract that does something: a note that anyone may leave.

#![no_std]

#[chancery_sdk::contract]
pub mod minimal {
    //! A note that anyone may leave.

    use chancery_sdk::prelude::*;

    /// The note.
    #[storage]
    const NOTE: Item<String> = Item::new("note");

    /// Why a note is not taken.
    #[error]
    #[derive(Debug)]
    pub enum Error {
        /// The note is empty.
        #[rule("a note has a text")]
        Empty,
    }

    /// Leaves a note.
    #[call]
    pub fn write(
        ctx: &mut Context,
        /// The text.
        text: String,
    ) -> Result<(), Error> {
        ensure!(ctx, !text.is_empty(), Error::Empty);
        NOTE.set(ctx, &text);
        Ok(())
    }

    /// The note that was left last.
    #[query]
    pub fn read(ctx: &Context) -> Result<Option<String>, Error> {
        Ok(NOTE.get(ctx))
    }
}
