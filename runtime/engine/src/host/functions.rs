//! The host functions by name, type and price: the one table that admission, the linker and the documents share.

/// Name of the import module.
pub const IMPORT_MODULE: &str = "chancery_v1";

/// A type of the result of a host function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
}

/// A host function.
#[derive(Clone, Copy, Debug)]
pub struct HostFunction {
    /// Its name in [`IMPORT_MODULE`].
    pub name: &'static str,
    /// Names of its parameters, each an `i32`.
    pub parameters: &'static [&'static str],
    /// Type of its result, if it has one.
    pub result: Option<Scalar>,
    /// Gas of each call.
    pub base: u64,
    /// Gas of each byte.
    pub per_byte: u64,
    /// Which bytes are counted.
    pub bytes: &'static str,
    /// What it does.
    pub doc: &'static str,
}

impl HostFunction {
    /// The function's line in the table of `docs/src/formats/abi.md`.
    pub fn abi_line(&self) -> String {
        let result = match self.result {
            None => "",
            Some(Scalar::I32) => " → i32",
            Some(Scalar::I64) => " → i64",
        };
        format!("| `{}({}){result}` | {} |", self.name, self.parameters.join(", "), self.doc)
    }

    /// The function's line in the table of `docs/src/formats/prices.md`.
    pub fn price_line(&self) -> String {
        format!("| `{}` | {} | {} | {} |", self.name, self.base, self.per_byte, self.bytes)
    }
}

macro_rules! host_functions {
    ($($variant:ident $name:ident($($parameter:ident),*) $(-> $result:ident)?,
       $base:literal + $per_byte:literal * $bytes:literal, $doc:literal;)*) => {
        /// Names a host function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Function {
            $(#[doc = $doc] $variant),*
        }

        /// Every host function, in the order of [`Function`].
        pub const HOST_FUNCTIONS: &[HostFunction] = &[$(HostFunction {
            name: stringify!($name),
            parameters: &[$(stringify!($parameter)),*],
            result: host_functions!(@result $($result)?),
            base: $base,
            per_byte: $per_byte,
            bytes: $bytes,
            doc: $doc,
        }),*];
    };
    (@result) => { None };
    (@result $result:ident) => { Some(Scalar::$result) };
}

host_functions! {
    Arguments arguments(out), 600 + 1 * "the arguments", "copies the arguments to `out`";
    Context context(out), 800 + 0 * "none", "writes 128 bytes: actor, contract and ledger (32 bytes each), time in ms and height (u64 LE), request id (u128 LE)";
    Result result(ptr, len), 500 + 20 * "the result", "sets the result, at most 8,192 bytes; the last one counts";
    Fault fault(code, ptr, len), 500 + 20 * "the fields", "sets the contract's error (u16) and its encoded fields, at most 4,096 bytes; the entry function then answers 1";
    StateGet state_get(key, key_len, out, cap) -> I64, 100_000 + 2 * "key, and the value found", "answers the value's length, or -1 where there is none; writes the value if it fits `cap`";
    StateSet state_set(key, key_len, value, value_len), 50_000 + 20 * "key and value", "sets a key of 1 to 512 bytes to a value of at most 60,000 bytes";
    StateRemove state_remove(key, key_len), 50_000 + 20 * "key", "removes a key";
    StateScan state_scan(from, from_len, to, to_len, flags, limit, out, cap) -> I64, 60_000 + 2 * "bounds, and the pairs read", "writes pairs of the half-open range [from, to) in byte order (see below)";
    Event event(kind, ptr, len), 2_000 + 20 * "the fields", "emits an event (u16) with its encoded fields; those of a call, each counted with 6 bytes more, at most 16,384 bytes";
    Trace trace(ptr, len), 3_000 + 60 * "the step", "adds an encoded step to the decision trace; those of a call together at most 65,536 bytes";
    VerifyEd25519 verify_ed25519(key, message, message_len, signature) -> I32, 600_000 + 20 * "the message", "answers 1 where the 64 bytes are the strict Ed25519 signature of the 32-byte key over the message, else 0";
    Blake3 blake3(ptr, len, out), 2_000 + 10 * "the bytes", "writes the 32 bytes of BLAKE3 of the bytes";
    Sha256 sha256(ptr, len, out), 2_000 + 40 * "the bytes", "writes the 32 bytes of SHA-256 of the bytes";
    Log log(ptr, len), 1_000 + 2 * "the text", "a diagnostic text, shown in tests and dry runs and never recorded; what is beyond 4,096 bytes of a call is dropped";
}

/// How many host functions there are.
pub(crate) const COUNT: usize = HOST_FUNCTIONS.len();

impl Function {
    /// Its line in the table.
    pub const fn entry(self) -> &'static HostFunction {
        &HOST_FUNCTIONS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_finds_its_line() {
        assert_eq!(Function::Arguments.entry().name, "arguments");
        assert_eq!(Function::VerifyEd25519.entry().name, "verify_ed25519");
        assert_eq!(Function::Log.entry().name, "log");
        assert_eq!(Function::Log as usize, COUNT - 1);
    }

    #[test]
    fn the_page_on_the_abi_shows_this_table() {
        let page = include_str!("../../../../docs/src/formats/abi.md");
        for function in HOST_FUNCTIONS {
            let line = function.abi_line();
            assert!(page.contains(&line), "missing from abi.md:\n{line}");
        }
    }
}
