//! One function body: its code with the payments of its [`Plan`] put in.
//!
//! Two locals are appended: what the callees of this frame have of the stack, and the balance while a call-free loop
//! runs. The plan says where the counter is written in such a loop.

use super::plan::{BasicBlock, Bulk, Piece, Plan};
use super::{Indices, gas_const};
use crate::admission::Frame;
use wasm_encoder::{BlockType, Encode, Instruction, ValType};
use wasmparser::FunctionBody;

/// The body as the code section holds it: locals and code, without the length.
pub(super) fn metered(
    wasm: &[u8],
    body: &FunctionBody<'_>,
    plan: &Plan,
    frame: Frame,
    indices: &Indices,
) -> wasmparser::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(2 * body.range().len());
    let locals = locals(wasm, body, frame, &mut out)?;
    if plan.pieces.iter().any(|piece| matches!(piece, Piece::FramedCall(_))) {
        // Slots are at most the limits of locals and operands together.
        let slots = Instruction::I32Const(i32::try_from(frame.slots).unwrap_or(i32::MAX));
        let left = [Instruction::GlobalGet(indices.stack), slots, Instruction::I32Sub];
        write(&mut out, &left);
        write(&mut out, &[Instruction::LocalSet(locals.left)]);
    }
    for piece in &plan.pieces {
        match piece {
            Piece::Code(range) => out.extend_from_slice(&wasm[range.clone()]),
            Piece::FramedCall(range) => {
                let left = Instruction::LocalGet(locals.left);
                write(&mut out, &[left.clone(), Instruction::GlobalSet(indices.stack)]);
                write(&mut out, &check(left, Instruction::I32Const(0), Instruction::I32LtS));
                out.extend_from_slice(&wasm[range.clone()]);
            }
            Piece::Pay(at) => plan.blocks.get(*at).into_iter().for_each(|block| pay(&mut out, block, &locals, indices)),
            Piece::Bulk(Bulk::Grow) => write(&mut out, &[Instruction::Call(indices.grow)]),
            Piece::Bulk(Bulk::Copy) => write(&mut out, &[Instruction::Call(indices.copy)]),
            Piece::Bulk(Bulk::Fill) => write(&mut out, &[Instruction::Call(indices.fill)]),
            Piece::Mirror => {
                write(&mut out, &[Instruction::GlobalGet(indices.gas), Instruction::LocalSet(locals.balance)]);
            }
        }
    }
    Ok(out)
}

/// Indices of the locals that are appended.
struct Locals {
    left: u32,
    balance: u32,
}

/// Writes the declarations of the body's locals and of the two that are appended.
fn locals(wasm: &[u8], body: &FunctionBody<'_>, frame: Frame, out: &mut Vec<u8>) -> wasmparser::Result<Locals> {
    let mut reader = body.get_locals_reader()?;
    (reader.get_count() + 2).encode(out);
    let start = reader.original_position();
    for _ in 0..reader.get_count() {
        reader.read()?;
    }
    out.extend_from_slice(&wasm[start..reader.original_position()]);
    for ty in [ValType::I32, ValType::I64] {
        1u32.encode(out);
        ty.encode(out);
    }
    let own = frame.parameters + frame.locals;
    Ok(Locals { left: own, balance: own + 1 })
}

fn pay(out: &mut Vec<u8>, block: &BasicBlock, locals: &Locals, indices: &Indices) {
    let (counter, mirror) = (Instruction::GlobalGet(indices.gas), Instruction::LocalGet(locals.balance));
    let set = Instruction::GlobalSet(indices.gas);
    if !block.mirrored {
        if block.gas > 0 {
            write(out, &[counter, gas_const(block.gas), Instruction::I64Sub, set]);
            check_if(out, block, &check_gas(indices));
        }
        return;
    }
    if block.gas > 0 {
        let amount = gas_const(block.gas);
        write(out, &[mirror.clone(), amount, Instruction::I64Sub, Instruction::LocalSet(locals.balance)]);
    }
    if block.written {
        write(out, &[mirror.clone(), set.clone()]);
    }
    let stop = [mirror.clone(), Instruction::I64Const(0), Instruction::I64LtS, Instruction::If(BlockType::Empty)];
    check_if(out, block, &stop);
    // Whoever stops here leaves the counter below zero.
    check_if(out, block, &[mirror, set, Instruction::Unreachable, Instruction::End]);
}

fn check_if(out: &mut Vec<u8>, block: &BasicBlock, instructions: &[Instruction<'_>]) {
    if block.check {
        write(out, instructions);
    }
}

fn write(out: &mut Vec<u8>, instructions: &[Instruction<'_>]) {
    instructions.iter().for_each(|instruction| instruction.encode(out));
}

/// Stops where the balance is below zero.
pub(super) fn check_gas(indices: &Indices) -> [Instruction<'static>; 6] {
    check(Instruction::GlobalGet(indices.gas), Instruction::I64Const(0), Instruction::I64LtS)
}

fn check(
    counter: Instruction<'static>,
    zero: Instruction<'static>,
    below: Instruction<'static>,
) -> [Instruction<'static>; 6] {
    [counter, zero, below, Instruction::If(BlockType::Empty), Instruction::Unreachable, Instruction::End]
}
