//! Contract faults: the closed set of ways in which a call can fail by the contract's own doing.
//!
//! A *contract fault* is deterministic, charged and logged. A *node fault* (disk, memory, native stack, a bug of ours) is
//! none of these: it stops the node and never becomes an outcome. Texts, paths and backtraces of the engine never reach
//! an entry; these kinds do.

use crate::codec::codec_enum;
use core::fmt;

/// Why a contract's execution was stopped. The ordinals are part of the entry format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TrapKind {
    /// The contract executed `unreachable`: an assertion of its own, or a panic.
    Unreachable,
    /// An access beyond the linear memory.
    MemoryOutOfBounds,
    /// A table index beyond the table.
    TableOutOfBounds,
    /// An indirect call of an empty table element.
    IndirectCallToNull,
    /// An indirect call of a function with another signature.
    BadSignature,
    /// `i32::MIN / -1` or its like.
    IntegerOverflow,
    /// Integer division by zero.
    DivisionByZero,
    /// The logical call stack exceeded its limit of slots.
    StackOverflow,
    /// A pointer or length handed to a host function lay outside the memory.
    BadPointer,
    /// A key, value, event, trace, result or scan exceeded its limit.
    LimitExceeded,
    /// A write was tried in a query.
    WriteInQuery,
    /// Bytes handed to a host function were not the encoding that it takes.
    BadEncoding,
    /// The entry function answered none of 0 (done), 1 (refused), 2 (arguments do not decode), or refused without a fault.
    BadAnswer,
}
codec_enum!(TrapKind {
    0 = Unreachable,
    1 = MemoryOutOfBounds,
    2 = TableOutOfBounds,
    3 = IndirectCallToNull,
    4 = BadSignature,
    5 = IntegerOverflow,
    6 = DivisionByZero,
    7 = StackOverflow,
    8 = BadPointer,
    9 = LimitExceeded,
    10 = WriteInQuery,
    11 = BadEncoding,
    12 = BadAnswer,
});

impl TrapKind {
    /// The kind in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            TrapKind::Unreachable => "the contract stopped itself (unreachable)",
            TrapKind::MemoryOutOfBounds => "memory access out of bounds",
            TrapKind::TableOutOfBounds => "table access out of bounds",
            TrapKind::IndirectCallToNull => "indirect call of an empty element",
            TrapKind::BadSignature => "indirect call with another signature",
            TrapKind::IntegerOverflow => "integer overflow",
            TrapKind::DivisionByZero => "division by zero",
            TrapKind::StackOverflow => "call stack limit exceeded",
            TrapKind::BadPointer => "pointer outside the memory",
            TrapKind::LimitExceeded => "a host limit was exceeded",
            TrapKind::WriteInQuery => "a query tried to write",
            TrapKind::BadEncoding => "bytes in no known encoding",
            TrapKind::BadAnswer => "the entry function answered out of protocol",
        }
    }
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
