//! Reads a function body into pieces, basic blocks and edges.
//!
//! WebAssembly's control flow is structured: a branch leads to the header of an enclosing loop, or to the end of any
//! other enclosing construct. So one pass with a stack of the open constructs suffices. Code that nothing reaches is
//! copied, owes nothing and leads nowhere.

use super::{BasicBlock, Bulk, Piece, Plan, Surroundings};
use crate::admission::Frame;
use crate::operators::{self, Class};
use crate::prices;
use std::ops::Range;
use wasmparser::{FunctionBody, Operator};

/// The plan of a body, in which each block owes what its own operators cost.
pub(super) fn read(body: &FunctionBody<'_>, frame: Frame, around: Surroundings<'_>) -> wasmparser::Result<Plan> {
    let mut builder = Builder {
        plan: Plan { pieces: Vec::new(), blocks: Vec::new() },
        constructs: Vec::new(),
        current: 0,
        reachable: true,
        mirrored: false,
        call_free: call_free_loops(body)?.into_iter(),
        around,
    };
    builder.open(None);
    builder.begin_block(false);
    builder.owe(u64::from(frame.locals) * prices::LOCAL);
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset()?;
        builder.operator(&operator, offset..operators.original_position());
    }
    Ok(builder.plan)
}

struct Builder<'a> {
    plan: Plan,
    /// The open constructs, the function itself first.
    constructs: Vec<Construct>,
    /// The block that the current operator belongs to.
    current: usize,
    /// Whether the current operator is reachable.
    reachable: bool,
    mirrored: bool,
    /// For each loop still to come, in the order of their headers, whether it is call-free.
    call_free: std::vec::IntoIter<bool>,
    around: Surroundings<'a>,
}

/// A block, loop or `if` that is open.
struct Construct {
    /// The block that ends with the `if`, until its `else`, where it is reachable.
    condition: Option<usize>,
    loop_header: Option<usize>,
    /// Blocks that branch to its end.
    to_end: Vec<usize>,
    /// Whether the loop is the outermost in which the balance is mirrored.
    mirrors: bool,
}

/// For each loop, in the order of their headers, whether nothing is called in it.
fn call_free_loops(body: &FunctionBody<'_>) -> wasmparser::Result<Vec<bool>> {
    let mut call_free = Vec::new();
    // Positions in `call_free` of the loops among the constructs that are open.
    let mut open: Vec<Option<usize>> = Vec::new();
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::Loop { .. } => {
                open.push(Some(call_free.len()));
                call_free.push(true);
            }
            Operator::Block { .. } | Operator::If { .. } => open.push(None),
            Operator::End => drop(open.pop()),
            operator if calls(&operator) => open.iter().flatten().for_each(|at| call_free[*at] = false),
            _ => {}
        }
    }
    Ok(call_free)
}

/// Whether the operator calls a function, one of the appended ones included.
fn calls(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::Call { .. } | Operator::CallIndirect { .. }) || bulk(operator).is_some()
}

fn bulk(operator: &Operator<'_>) -> Option<Bulk> {
    match operator {
        Operator::MemoryGrow { .. } => Some(Bulk::Grow),
        Operator::MemoryCopy { .. } => Some(Bulk::Copy),
        Operator::MemoryFill { .. } => Some(Bulk::Fill),
        _ => None,
    }
}

impl Builder<'_> {
    fn operator(&mut self, operator: &Operator<'_>, bytes: Range<usize>) {
        // Admission refuses what has no class.
        let class = operators::class(operator).unwrap_or(Class::Structure);
        self.owe(class.price(self.around.access));
        if let Operator::Loop { .. } = operator {
            self.open_loop();
        }
        self.plan.blocks[self.current].may_trap |= class.may_trap();
        match bulk(operator) {
            Some(bulk) => self.plan.pieces.push(Piece::Bulk(bulk)),
            None if self.framed(operator) => self.plan.pieces.push(Piece::FramedCall(bytes)),
            None => self.code(bytes),
        }
        self.follow(operator);
    }

    fn owe(&mut self, gas: u64) {
        if self.reachable {
            self.plan.blocks[self.current].gas += gas;
        }
    }

    /// Copies bytes, together with those before where they adjoin.
    fn code(&mut self, range: Range<usize>) {
        match self.plan.pieces.last_mut() {
            Some(Piece::Code(before)) if before.end == range.start => before.end = range.end,
            _ => self.plan.pieces.push(Piece::Code(range)),
        }
    }

    /// Notes the call of a function of the module's own; whether its callee may call further functions.
    fn framed(&mut self, operator: &Operator<'_>) -> bool {
        match operator {
            Operator::Call { function_index } => {
                let Some(callee) = function_index.checked_sub(self.around.imported) else { return false };
                if self.reachable {
                    self.plan.blocks[self.current].calls.push(callee);
                }
                self.around.frames.get(callee as usize).is_some_and(|callee| !callee.leaf)
            }
            Operator::CallIndirect { .. } => true,
            _ => false,
        }
    }

    fn open(&mut self, condition: Option<usize>) {
        self.constructs.push(Construct { condition, loop_header: None, to_end: Vec::new(), mirrors: false });
    }

    /// Opens a loop, whose header is about to begin.
    fn open_loop(&mut self) {
        // There is an item for each loop.
        let call_free = self.call_free.next().unwrap_or(false);
        self.open(None);
        if call_free && !self.mirrored {
            self.mirrored = true;
            self.plan.pieces.push(Piece::Mirror);
            self.constructs.last_mut().into_iter().for_each(|construct| construct.mirrors = true);
        }
    }

    /// Begins a block: a successor of the current one, if this place is reachable.
    fn begin_block(&mut self, loop_header: bool) {
        let (before, at) = (self.current, self.plan.blocks.len());
        self.plan.blocks.push(BasicBlock {
            gas: 0,
            check: false,
            mirrored: self.mirrored,
            written: true,
            may_trap: false,
            loop_header,
            calls: Vec::new(),
            successors: Vec::new(),
        });
        self.plan.pieces.push(Piece::Pay(at));
        self.current = at;
        if at > 0 && self.reachable {
            self.edge(before, at);
        }
    }

    fn edge(&mut self, source: usize, target: usize) {
        self.plan.blocks[source].successors.push(target);
    }

    /// The current block branches to a label: to the header of a loop, or to the end of any other construct.
    fn branch(&mut self, depth: usize) {
        let index = self.constructs.len().checked_sub(1 + depth);
        let target = index.and_then(|index| self.constructs.get_mut(index));
        if let Some(target) = target.filter(|_| self.reachable) {
            match target.loop_header {
                Some(header) => self.plan.blocks[self.current].successors.push(header),
                None => target.to_end.push(self.current),
            }
        }
    }

    /// The current block ends with branches to these labels.
    fn branch_always(&mut self, depths: &[u32]) {
        depths.iter().for_each(|depth| self.branch(*depth as usize));
        self.reachable = false;
    }

    /// Follows the operator's control flow. The operator itself is charged and copied already.
    fn follow(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } => self.open(None),
            Operator::Loop { .. } => {
                self.begin_block(true);
                let header = self.current;
                self.constructs.last_mut().into_iter().for_each(|construct| construct.loop_header = Some(header));
            }
            Operator::If { .. } => {
                self.open(self.reachable.then_some(self.current));
                self.begin_block(false);
            }
            Operator::Else => self.follow_else(),
            Operator::End => self.follow_end(),
            Operator::Br { relative_depth } => self.branch_always(&[*relative_depth]),
            Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth as usize);
                self.begin_block(false);
            }
            Operator::BrTable { targets } => {
                let mut depths: Vec<u32> = targets.targets().flatten().chain([targets.default()]).collect();
                depths.sort_unstable();
                depths.dedup();
                self.branch_always(&depths);
            }
            Operator::Return => self.branch_always(&[u32::try_from(self.constructs.len()).unwrap_or(u32::MAX) - 1]),
            Operator::Unreachable => self.reachable = false,
            _ => {}
        }
    }

    /// The first arm leads to the end; the second is a successor of the block that ends with the `if`, and of no other.
    fn follow_else(&mut self) {
        self.branch_always(&[0]);
        let condition = self.constructs.last_mut().and_then(|construct| construct.condition.take());
        self.begin_block(false);
        self.reachable = condition.is_some();
        condition.into_iter().for_each(|condition| self.edge(condition, self.current));
    }

    /// What follows the end of a loop, or of a construct that nothing branches to, is reached from before it only and
    /// goes on in the same block. What follows any other end is reached from several places and begins a block.
    fn follow_end(&mut self) {
        let Some(construct) = self.constructs.pop() else { return };
        if construct.mirrors {
            self.mirrored = false;
            // What goes on behind the loop in the same block reads the counter.
            self.plan.blocks[self.current].may_trap = true;
        }
        // Without an else, the end is a successor of the block that ends with the `if` as well.
        let sources: Vec<usize> = construct.to_end.into_iter().chain(construct.condition).collect();
        if sources.is_empty() {
            return;
        }
        self.begin_block(false);
        self.reachable = true;
        sources.into_iter().for_each(|source| self.edge(source, self.current));
    }
}
