//! Plans of small functions, block by block, and of a contract's functions along random paths.

use super::*;
use crate::admission::admit;
use crate::fixtures::module;
use proptest::prelude::*;
use wasmparser::{Parser, Payload};

/// The plans of a module's functions, and what each block owed before anything was paid ahead.
fn plans(wasm: &[u8]) -> Vec<(Plan, Vec<u64>)> {
    let admitted = admit(wasm).unwrap();
    let bodies = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload.unwrap() {
        Payload::CodeSectionEntry(body) => Some(body),
        _ => None,
    });
    let imported = Parser::new(0).parse_all(wasm).find_map(|payload| match payload.unwrap() {
        Payload::ImportSection(section) => Some(section.count()),
        _ => None,
    });
    let around =
        Surroundings { frames: &admitted.frames, imported: imported.unwrap_or(0), access: admitted.memory.access().0 };
    let plan = |(body, frame): (FunctionBody<'_>, &Frame)| {
        let mut plan = graph::read(&body, *frame, around).unwrap();
        let owed = plan.blocks.iter().map(|block| block.gas).collect();
        plan.pay_ahead();
        (plan, owed)
    };
    bodies.zip(&admitted.frames).map(plan).collect()
}

fn one(text: &str) -> (Plan, Vec<u64>) {
    plans(&module(text)).remove(0)
}

fn paid(plan: &Plan) -> Vec<u64> {
    plan.blocks.iter().map(|block| block.gas).collect()
}

#[test]
fn the_worked_example_of_the_header_holds() {
    let text = r"
        (func (param i32 i32)
          (loop
            (if (local.get 0)
              (then (local.set 1 (i32.const 7))))
            (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))";
    let (plan, owed) = one(text);
    let successors: Vec<&[usize]> = plan.blocks.iter().map(|block| block.successors.as_slice()).collect();
    assert_eq!(successors, [&[1][..], &[2, 3], &[3], &[1, 4], &[]]);
    assert_eq!(owed, [0, 2, 2, 5, 0]);
    assert_eq!(paid(&plan), [0, 7, 2, 0, 0]);
}

#[test]
fn what_follows_an_arm_without_another_is_paid_before_it() {
    let (plan, owed) = one(r"
         (global (mut i32) (i32.const 0))
         (func (param i32)
           (if (local.get 0)
             (then (global.set 0 (i32.div_u (i32.const 9) (i32.const 3))) (global.set 0 (i32.const 1))))
           (global.set 0 (i32.const 5))
           (loop))");
    // Before the `if`: local.get, if. The arm: 2 constants, division, global, constant, global. Behind: constant,
    // global. The loop header.
    assert_eq!(owed, [2, 39, 4, 0]);
    assert_eq!(paid(&plan), [6, 39, 0, 0]);
}

#[test]
fn two_arms_that_owe_nearly_alike_pay_alike() {
    let (plan, owed) = one(r"
         (func (param i32) (result i32)
           (if (result i32) (local.get 0) (then (i32.const 7)) (else (i32.add (i32.const 7) (local.get 0)))))");
    assert_eq!(owed, [2, 1, 3, 0]);
    assert_eq!(paid(&plan), [5, 0, 0, 0]);
}

#[test]
fn what_a_loop_header_owes_stays_there() {
    let (plan, owed) = one(r"
         (func (param i32)
           (local.set 0 (i32.const 3))
           (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))");
    assert_eq!(owed[..2], [2, 5]);
    assert_eq!(paid(&plan)[..2], [2, 5]);
    assert!(plan.blocks[1].loop_header);
}

#[test]
fn a_caller_pays_for_a_callee_that_is_only_called_by_name() {
    let (mut plan, _) = plans(&module("(func (param i32)) (func (call 0 (i32.const 1)))")).remove(1);
    plan.settle(plan.entry(), &[100, 0]);
    assert_eq!(paid(&plan)[0], 100, "its own entry is paid for by its callers, and it pays for its callee");
    assert!(plan.blocks[0].check, "the first payment of a body is checked");
}

#[test]
fn a_mirrored_counter_is_written_where_a_trap_would_show_it() {
    let (mut plan, _) = one(r"
         (func (param i32)
           (loop
             (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
             (drop (i32.load (local.get 0)))))");
    plan.settle(0, &[]);
    let written: Vec<_> = plan.blocks.iter().map(|block| (block.mirrored, block.written)).collect();
    // Before the loop, the header, and behind the branch, where a load may trap.
    assert_eq!(written, [(false, true), (true, false), (true, true)]);
    let (plan, _) = one("(func (param i32) (loop (call 1) (br_if 0 (local.get 0)))) (func)");
    assert!(plan.blocks.iter().all(|block| !block.mirrored), "a call may change the counter");
}

/// A walk through a plan: what was owed and paid up to each step is compared.
fn walk(plan: &Plan, owed: &[u64], choices: &[usize]) {
    let (mut at, mut due, mut spent, mut unchecked, mut ahead) = (0, 0, 0, CREDIT_MAX, 0);
    for (steps, choice) in (1..).zip(choices) {
        let block = &plan.blocks[at];
        (due, spent) = (due + owed[at], spent + block.gas);
        assert!(due <= spent, "work is paid for before it is done");
        unchecked = if block.check { 0 } else { unchecked + block.gas };
        assert!(unchecked <= CREDIT_MAX || block.gas == 0 && unchecked == CREDIT_MAX, "credit is bounded");
        ahead = if block.written { 0 } else { ahead + block.gas };
        assert!(!(block.may_trap && ahead > 0), "a trap finds the counter as it must be");
        let Some(next) = block.successors.get(choice % block.successors.len().max(1)) else {
            assert!(spent <= due + ROUND_UP_MAX * steps, "all is paid, and little more");
            assert_eq!(ahead, 0, "the counter is right at the end");
            return;
        };
        if !plan.blocks[*next].mirrored {
            assert_eq!(ahead, 0, "the counter is right where the loop is left");
        }
        at = *next;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn on_every_path_all_is_paid_ahead_and_little_more(choices in prop::collection::vec(any::<usize>(), 400)) {
        const LICENCE: &[u8] = include_bytes!("../../../../../contracts/dist/business-licence.wasm");
        for (mut plan, owed) in plans(LICENCE) {
            plan.settle(0, &[]);
            walk(&plan, &owed, &choices);
        }
    }
}
