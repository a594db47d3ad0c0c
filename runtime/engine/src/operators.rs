//! Which operators are admitted, and what each costs. The list is closed: an operator that a newer parser knows has no class and is refused.
//!
//! Admitted are those of WebAssembly 1.0, sign extension, `memory.copy` and `memory.fill`. Floating point has prices here because the WASI profile
//! has it; the validator keeps it out of the standard profile.

use crate::prices;
use wasmparser::Operator;

/// What an operator is to the price list, and to the compiler. Those of a class cost the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// No instruction.
    Structure,
    Unreachable,
    Simple,
    Multiply,
    Divide,
    /// A load or store.
    Access,
    /// `memory.grow`, `memory.copy` or `memory.fill`: an appended function does it, and charges by its operand.
    Bulk,
    Float,
    FloatSlow,
    TableBranch,
    Call,
    CallIndirect,
}

/// The operator's class, or `None` where it is not admitted.
#[rustfmt::skip]
pub(crate) fn class(operator: &Operator<'_>) -> Option<Class> {
    use Operator as O;
    Some(match operator {
        O::Nop | O::Block { .. } | O::Loop { .. } | O::Else | O::End | O::Drop => Class::Structure,
        O::Unreachable => Class::Unreachable,
        O::MemoryGrow { .. } | O::MemoryCopy { .. } | O::MemoryFill { .. } => Class::Bulk,

        O::If { .. } | O::Br { .. } | O::BrIf { .. } | O::Return
        | O::LocalGet { .. } | O::LocalSet { .. } | O::LocalTee { .. }
        | O::I32Const { .. } | O::I64Const { .. } => Class::Simple,

        O::I32Eqz | O::I32Eq | O::I32Ne | O::I32LtS | O::I32LtU | O::I32GtS | O::I32GtU | O::I32LeS | O::I32LeU | O::I32GeS | O::I32GeU
        | O::I64Eqz | O::I64Eq | O::I64Ne | O::I64LtS | O::I64LtU | O::I64GtS | O::I64GtU | O::I64LeS | O::I64LeU | O::I64GeS | O::I64GeU => Class::Multiply,

        O::I32Add | O::I32Sub | O::I32And | O::I32Or | O::I32Xor | O::I32Shl | O::I32ShrS | O::I32ShrU
        | O::I64Add | O::I64Sub | O::I64And | O::I64Or | O::I64Xor | O::I64Shl | O::I64ShrS | O::I64ShrU
        | O::I32WrapI64 | O::I64ExtendI32S | O::I64ExtendI32U
        | O::I32Extend8S | O::I32Extend16S | O::I64Extend8S | O::I64Extend16S | O::I64Extend32S => Class::Simple,

        O::I32Mul | O::I64Mul | O::I32Rotl | O::I32Rotr | O::I64Rotl | O::I64Rotr | O::I32Clz | O::I32Ctz | O::I32Popcnt | O::I64Clz | O::I64Ctz | O::I64Popcnt
        | O::Select | O::GlobalGet { .. } | O::GlobalSet { .. } | O::MemorySize { .. } => Class::Multiply,

        O::I32DivS | O::I32DivU | O::I32RemS | O::I32RemU | O::I64DivS | O::I64DivU | O::I64RemS | O::I64RemU => Class::Divide,

        O::I32Load { .. } | O::I64Load { .. } | O::I32Load8S { .. } | O::I32Load8U { .. } | O::I32Load16S { .. } | O::I32Load16U { .. }
        | O::I64Load8S { .. } | O::I64Load8U { .. } | O::I64Load16S { .. } | O::I64Load16U { .. } | O::I64Load32S { .. } | O::I64Load32U { .. }
        | O::I32Store { .. } | O::I64Store { .. } | O::I32Store8 { .. } | O::I32Store16 { .. }
        | O::I64Store8 { .. } | O::I64Store16 { .. } | O::I64Store32 { .. } => Class::Access,

        O::F32Const { .. } | O::F64Const { .. } => Class::Simple,
        O::F32Load { .. } | O::F64Load { .. } | O::F32Store { .. } | O::F64Store { .. } => Class::Access,
        O::F32Eq | O::F32Ne | O::F32Lt | O::F32Gt | O::F32Le | O::F32Ge | O::F64Eq | O::F64Ne | O::F64Lt | O::F64Gt | O::F64Le | O::F64Ge
        | O::F32Abs | O::F32Neg | O::F32Ceil | O::F32Floor | O::F32Trunc | O::F32Nearest | O::F32Copysign
        | O::F64Abs | O::F64Neg | O::F64Ceil | O::F64Floor | O::F64Trunc | O::F64Nearest | O::F64Copysign
        | O::F32Add | O::F32Sub | O::F32Mul | O::F32Min | O::F32Max | O::F64Add | O::F64Sub | O::F64Mul | O::F64Min | O::F64Max
        | O::F32ConvertI32S | O::F32ConvertI32U | O::F32ConvertI64S | O::F32ConvertI64U | O::F32DemoteF64
        | O::F64ConvertI32S | O::F64ConvertI32U | O::F64ConvertI64S | O::F64ConvertI64U | O::F64PromoteF32
        | O::I32ReinterpretF32 | O::I64ReinterpretF64 | O::F32ReinterpretI32 | O::F64ReinterpretI64 => Class::Float,
        O::F32Div | O::F64Div | O::F32Sqrt | O::F64Sqrt
        | O::I32TruncF32S | O::I32TruncF32U | O::I32TruncF64S | O::I32TruncF64U
        | O::I64TruncF32S | O::I64TruncF32U | O::I64TruncF64S | O::I64TruncF64U
        | O::I32TruncSatF32S | O::I32TruncSatF32U | O::I32TruncSatF64S | O::I32TruncSatF64U
        | O::I64TruncSatF32S | O::I64TruncSatF32U | O::I64TruncSatF64S | O::I64TruncSatF64U => Class::FloatSlow,

        O::BrTable { .. } => Class::TableBranch,
        O::Call { .. } => Class::Call,
        O::CallIndirect { .. } => Class::CallIndirect,

        _ => return None,
    })
}

impl Class {
    /// The gas of one execution, in a module in which an access costs so much.
    pub(crate) const fn price(self, access: u64) -> u64 {
        match self {
            Class::Structure | Class::Unreachable | Class::Bulk => 0,
            Class::Simple => prices::SIMPLE,
            Class::Multiply => prices::MULTIPLY,
            Class::Divide => prices::DIVIDE,
            Class::Access => access,
            Class::Float => prices::FLOAT,
            Class::FloatSlow => prices::FLOAT_SLOW,
            Class::TableBranch => prices::TABLE_BRANCH,
            Class::Call => prices::FUNCTION,
            Class::CallIndirect => prices::INDIRECT,
        }
    }

    /// Whether one of the class may trap by itself; an appended function may, for want of gas.
    pub(crate) const fn may_trap(self) -> bool {
        match self {
            Class::Structure | Class::Simple | Class::Multiply | Class::Float | Class::TableBranch => false,
            Class::Unreachable | Class::Divide | Class::Access | Class::Bulk => true,
            Class::FloatSlow | Class::Call | Class::CallIndirect => true,
        }
    }
}

/// Whether the compiler merges the values of locals here, or moves them out of the way: what its time and memory grow with, times locals.
pub(crate) fn merges_values(operator: &Operator<'_>) -> bool {
    use Operator as O;
    let control = matches!(operator, O::Loop { .. } | O::If { .. } | O::Else | O::BrIf { .. } | O::BrTable { .. });
    control || matches!(class(operator), Some(Class::Call | Class::CallIndirect | Class::Divide))
}

/// The operator's name and the proposal that brought it.
macro_rules! name_operators {
    ($(@$proposal:ident $operator:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
        /// An operator's name, with the proposal that it comes from.
        pub(crate) fn name(operator: &Operator<'_>) -> &'static str {
            match operator {
                $(Operator::$operator { .. } => concat!(stringify!($operator), " (", stringify!($proposal), ")"),)*
                _ => "of a later proposal",
            }
        }
    };
}
wasmparser::for_each_operator!(name_operators);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::MemArg;

    #[test]
    fn an_operator_that_is_not_listed_is_not_admitted() {
        for operator in [
            Operator::RefIsNull,
            Operator::TableSize { table: 0 },
            Operator::I64Add128,
            Operator::MemoryDiscard { mem: 0 },
        ] {
            assert_eq!(class(&operator), None, "{}", name(&operator));
        }
        assert_eq!(name(&Operator::F32Add), "F32Add (mvp)");
    }

    #[test]
    fn an_operator_costs_what_its_line_says() {
        let price = |operator| class(&operator).map(|class| class.price(99));
        assert_eq!(price(Operator::I64Add), Some(prices::SIMPLE));
        assert_eq!(price(Operator::I64Mul), Some(prices::MULTIPLY));
        assert_eq!(price(Operator::I32RemU), Some(prices::DIVIDE));
        assert_eq!(price(Operator::Call { function_index: 0 }), Some(prices::FUNCTION));
        assert_eq!(price(Operator::End), Some(0));
        let memarg = MemArg { align: 0, max_align: 0, offset: 0, memory: 0 };
        assert_eq!([Operator::I32Load8U { memarg }, Operator::F64Store { memarg }].map(price), [Some(99); 2]);
    }

    /// An operator that costs as much as a load, in whatever memory, is none.
    #[test]
    fn what_traps_is_known_by_its_class_and_not_by_its_price() {
        let traps = |operator| class(&operator).is_some_and(Class::may_trap);
        let memarg = MemArg { align: 0, max_align: 0, offset: 0, memory: 0 };
        assert!(traps(Operator::I64Load { memarg }) && traps(Operator::I32DivU) && traps(Operator::Unreachable));
        assert!(traps(Operator::I32TruncF64S) && traps(Operator::MemoryFill { mem: 0 }));
        assert!(!traps(Operator::F32Add) && !traps(Operator::I32Mul) && !traps(Operator::End));
    }
}
