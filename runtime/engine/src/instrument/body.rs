//! One function body: where its segments begin, what they cost, and the code with the charges put in.

use super::{Indices, gas_const};
use crate::admission::Frame;
use crate::{operators, prices};
use std::ops::Range;
use wasm_encoder::{BlockType, Encode, Instruction};
use wasmparser::{FunctionBody, Operator};

/// Gas that may have been run up since the last check when the next segment is not checked: bounds the work on credit to this
/// and one segment for each frame on the stack, and keeps checks out of short branches.
pub const CREDIT_MAX: u64 = 1_000;

/// A piece of the new body.
enum Piece {
    /// These bytes of the module as they are.
    Code(Range<usize>),
    /// The charge of the segment that begins here.
    Charge { gas: u64, check: bool },
    /// A call of one of the appended functions.
    Call(u32),
    /// Takes the caller's frame off the stack's slots.
    Take,
    /// Gives it back.
    Give,
}

/// What a label stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Block,
    If,
    Else,
    Loop,
}

/// A construct that is open.
struct Construct {
    label: Label,
    /// Whether its own beginning is reached.
    reached: bool,
    /// Whether its end is reached by a branch, or by the `if` arm that ended.
    joined: bool,
    /// The credit with which an `if` begins.
    credit_at_start: u64,
    /// The most credit with which a branch, or the `if` arm, reaches its end.
    credit_at_end: u64,
}

/// The walk over a body.
struct Walk {
    pieces: Vec<Piece>,
    constructs: Vec<Construct>,
    /// The piece that charges the current segment.
    segment: usize,
    /// Whether the current segment is checked in any case.
    head: bool,
    /// Whether this place is reached.
    reached: bool,
    /// The most gas that can have been charged since the last check when the current segment begins.
    credit: u64,
}

impl Walk {
    fn new(locals: u32) -> Self {
        let gas = u64::from(locals) * prices::LOCAL;
        Walk {
            pieces: vec![Piece::Charge { gas, check: false }],
            constructs: vec![Construct {
                label: Label::Block,
                reached: true,
                joined: false,
                credit_at_start: 0,
                credit_at_end: 0,
            }],
            segment: 0,
            head: true,
            reached: true,
            credit: 0,
        }
    }

    /// Closes the segment, deciding whether it is checked, and begins the next.
    fn cut(&mut self, head: bool) {
        self.close();
        self.segment = self.pieces.len();
        self.pieces.push(Piece::Charge { gas: 0, check: false });
        self.head = head;
    }

    fn close(&mut self) {
        if let Some(Piece::Charge { gas, check }) = self.pieces.get_mut(self.segment) {
            let credit = self.credit + *gas;
            *check = *gas > 0 && (self.head || credit > CREDIT_MAX);
            self.credit = if *check { 0 } else { credit };
        }
        // Closing twice changes nothing.
        self.segment = usize::MAX;
    }

    fn charge(&mut self, price: u64) {
        if let Some(Piece::Charge { gas, .. }) = self.pieces.get_mut(self.segment).filter(|_| self.reached) {
            *gas += price;
        }
    }

    /// Copies bytes, together with those before where they adjoin.
    fn code(&mut self, range: Range<usize>) {
        match self.pieces.last_mut() {
            Some(Piece::Code(before)) if before.end == range.start => before.end = range.end,
            _ => self.pieces.push(Piece::Code(range)),
        }
    }

    fn open(&mut self, label: Label) {
        self.constructs.push(Construct {
            label,
            reached: self.reached,
            joined: false,
            credit_at_start: self.credit,
            credit_at_end: 0,
        });
    }

    /// A branch of this depth joins the end of its construct. One to a loop joins its head, which is checked.
    fn join(&mut self, depth: u32) {
        if !self.reached {
            return;
        }
        let index = self.constructs.len().checked_sub(1 + depth as usize);
        if let Some(target) = index.and_then(|index| self.constructs.get_mut(index)) {
            target.joined = true;
            target.credit_at_end = target.credit_at_end.max(self.credit);
        }
    }

    /// Follows the operator's control flow. The operator itself is charged and copied already.
    fn follow(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } => self.open(Label::Block),
            Operator::Loop { .. } => {
                self.open(Label::Loop);
                self.cut(true);
            }
            Operator::If { .. } => {
                self.close();
                self.open(Label::If);
                self.cut(false);
            }
            Operator::Else => self.follow_else(),
            Operator::End => self.follow_end(),
            Operator::Br { relative_depth } => {
                self.close();
                self.join(*relative_depth);
                self.reached = false;
            }
            Operator::BrIf { relative_depth } => {
                self.close();
                self.join(*relative_depth);
                self.cut(false);
            }
            Operator::BrTable { targets } => {
                self.close();
                self.join(targets.default());
                targets.targets().flatten().for_each(|depth| self.join(depth));
                self.reached = false;
            }
            Operator::Return | Operator::Unreachable => {
                self.close();
                self.reached = false;
            }
            _ => {}
        }
    }

    /// The first arm reaches the end; the second begins where the first began.
    fn follow_else(&mut self) {
        self.close();
        self.join(0);
        if let Some(construct) = self.constructs.last_mut() {
            construct.label = Label::Else;
            (self.reached, self.credit) = (construct.reached, construct.credit_at_start);
        }
        self.cut(false);
    }

    /// What follows the end of a block that nothing branches to, or of a loop, is reached from before it only and goes on in the same
    /// segment. What follows any other is reached from several places and begins a segment.
    fn follow_end(&mut self) {
        let Some(construct) = self.constructs.pop() else { return };
        // Without an else, the end is reached from the start as well.
        let passed_by = construct.label == Label::If && construct.reached;
        let joined = (construct.joined && construct.label != Label::Loop) || passed_by;
        if !joined {
            return;
        }
        self.close();
        let fallen_through = if self.reached { self.credit } else { 0 };
        let passing_by = if passed_by { construct.credit_at_start } else { 0 };
        self.credit = fallen_through.max(passing_by).max(construct.credit_at_end);
        self.reached = true;
        self.cut(false);
    }
}

/// The body with its charges, as the code section holds it: locals and code, without the length.
pub(super) fn metered(
    wasm: &[u8],
    body: &FunctionBody<'_>,
    frame: Frame,
    frames: &[Frame],
    indices: &Indices,
) -> wasmparser::Result<Vec<u8>> {
    let mut walk = Walk::new(frame.locals);
    let mut operators = body.get_operators_reader()?;
    let start = operators.original_position();
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset()?;
        let bytes = offset..operators.original_position();
        // Admission refuses what has no price.
        walk.charge(operators::price(&operator).unwrap_or(0));
        let framed = walk.reached && needs_frame(&operator, frames, indices);
        match &operator {
            Operator::MemoryGrow { .. } => walk.pieces.push(Piece::Call(indices.grow)),
            Operator::MemoryCopy { .. } => walk.pieces.push(Piece::Call(indices.copy)),
            Operator::MemoryFill { .. } => walk.pieces.push(Piece::Call(indices.fill)),
            _ if framed => walk.pieces.extend([Piece::Take, Piece::Code(bytes), Piece::Give]),
            _ => walk.code(bytes),
        }
        walk.follow(&operator);
    }
    walk.close();
    let locals = &wasm[body.range().start..start];
    Ok(emit(wasm, locals, &walk.pieces, frame.slots, indices))
}

/// Whether the operator calls a function that may call further ones.
fn needs_frame(operator: &Operator<'_>, frames: &[Frame], indices: &Indices) -> bool {
    match operator {
        Operator::Call { function_index } => {
            let own = function_index.checked_sub(indices.imported);
            own.and_then(|own| frames.get(own as usize)).is_some_and(|callee| !callee.leaf)
        }
        Operator::CallIndirect { .. } => true,
        _ => false,
    }
}

fn emit(wasm: &[u8], locals: &[u8], pieces: &[Piece], slots: u32, indices: &Indices) -> Vec<u8> {
    let mut out = locals.to_vec();
    for piece in pieces {
        match piece {
            Piece::Charge { gas: 0, .. } => {}
            Piece::Charge { gas, check } => {
                write(&mut out, &take_gas(indices, *gas));
                if *check {
                    write(&mut out, &check_gas(indices));
                }
            }
            Piece::Call(function) => write(&mut out, &[Instruction::Call(*function)]),
            Piece::Take => {
                write(&mut out, &move_stack(indices, slots, Instruction::I32Sub));
                write(&mut out, &check(indices.stack, Instruction::I32Const(0), Instruction::I32LtS));
            }
            Piece::Give => write(&mut out, &move_stack(indices, slots, Instruction::I32Add)),
            Piece::Code(range) => out.extend_from_slice(&wasm[range.clone()]),
        }
    }
    out
}

fn write(out: &mut Vec<u8>, instructions: &[Instruction<'_>]) {
    instructions.iter().for_each(|instruction| instruction.encode(out));
}

fn take_gas(indices: &Indices, gas: u64) -> [Instruction<'static>; 4] {
    [Instruction::GlobalGet(indices.gas), gas_const(gas), Instruction::I64Sub, Instruction::GlobalSet(indices.gas)]
}

/// Stops where the balance is below zero.
pub(super) fn check_gas(indices: &Indices) -> [Instruction<'static>; 6] {
    check(indices.gas, Instruction::I64Const(0), Instruction::I64LtS)
}

fn check(counter: u32, zero: Instruction<'static>, below: Instruction<'static>) -> [Instruction<'static>; 6] {
    [
        Instruction::GlobalGet(counter),
        zero,
        below,
        Instruction::If(BlockType::Empty),
        Instruction::Unreachable,
        Instruction::End,
    ]
}

fn move_stack(indices: &Indices, slots: u32, operation: Instruction<'static>) -> [Instruction<'static>; 4] {
    // Slots are at most the limits of locals and operands together.
    let slots = Instruction::I32Const(i32::try_from(slots).unwrap_or(i32::MAX));
    [Instruction::GlobalGet(indices.stack), slots, operation, Instruction::GlobalSet(indices.stack)]
}
