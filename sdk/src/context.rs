//! What a contract knows of its call, and what it can tell.

use crate::dispatch::Event;
use crate::host;
use alloc::vec::Vec;
use chancery_types::codec::{Decode, Reader};
use chancery_types::{ContractId, Date, Hash, Height, LedgerId, PublicKey, RequestId, Signature, Timestamp};
use core::cell::OnceCell;

/// One call, as the contract sees it. Writing to the state takes it by `&mut`, so that a query, which has `&`, cannot.
#[derive(Default)]
pub struct Context {
    /// The host's 128 bytes, fetched when first asked for.
    bytes: OnceCell<[u8; host::CONTEXT_BYTES]>,
}

impl Context {
    fn part<T: Decode>(&self, at: usize) -> T {
        let bytes = self.bytes.get_or_init(host::context);
        match T::decode(&mut Reader::new(&bytes[at..])) {
            Ok(part) => part,
            // The host writes every part whole.
            Err(_) => unreachable!(),
        }
    }

    /// The key that signed the call; for a query, the one that the reader gave.
    pub fn caller(&self) -> PublicKey {
        self.part(0)
    }

    /// This contract.
    pub fn contract(&self) -> ContractId {
        self.part(32)
    }

    /// This ledger.
    pub fn ledger(&self) -> LedgerId {
        self.part(64)
    }

    /// Time of the block, the same for all its calls.
    pub fn time(&self) -> Timestamp {
        self.part(96)
    }

    /// Day of the block, in UTC.
    pub fn date(&self) -> Date {
        self.time().date()
    }

    /// Height of the block.
    pub fn height(&self) -> Height {
        self.part(104)
    }

    /// The caller's id of the call.
    pub fn request(&self) -> RequestId {
        self.part(112)
    }

    /// Emits an event: a variant of the contract's `#[event]` enum. It stands if the call is done.
    ///
    /// A refusal is returned and not emitted:
    ///
    /// ```compile_fail,E0277
    /// # #[chancery_sdk::contract]
    /// # pub mod counter {
    /// # use chancery_sdk::prelude::*;
    /// #[error]
    /// pub enum Error {
    ///     /// Not now.
    ///     #[rule("the office is open")]
    ///     Closed,
    /// }
    ///
    /// /// Counts.
    /// #[call]
    /// pub fn count(ctx: &mut Context) -> Result<(), Error> {
    ///     ctx.emit(Error::Closed);
    ///     Ok(())
    /// }
    /// # }
    /// ```
    pub fn emit(&mut self, event: impl Event) {
        let mut fields = Vec::new();
        event.encode_fields(&mut fields);
        host::event(event.ordinal(), &fields);
    }

    /// Writes a diagnostic text, for tests and dry runs; it is never recorded.
    pub fn log(&self, text: &str) {
        host::log(text.as_bytes());
    }

    /// Whether the signature is the key's over the message, by the strict rules of RFC 8032.
    pub fn verify_ed25519(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        host::verify_ed25519(&key.0, message, &signature.0)
    }

    /// BLAKE3 of the bytes.
    pub fn blake3(&self, bytes: &[u8]) -> Hash {
        Hash(host::blake3(bytes))
    }

    /// SHA-256 of the bytes.
    pub fn sha256(&self, bytes: &[u8]) -> Hash {
        Hash(host::sha256(bytes))
    }
}
