//! Every limit of a module and of a call, with its reason.
//!
//! They decide outcomes: changing one that concerns a call takes a new version of the price list. The "largest" is that
//! of seven real contracts in Rust, of 16 to 104 kB.

/// Bytes of a module. Compile time grows with it. Largest: 104 kB.
pub const MODULE_BYTES_MAX: u64 = 256 * 1024;
/// Functions of a module's own: 50,000 empty ones took 2.3 s to compile. Largest: 264.
pub const FUNCTIONS_MAX: u64 = 2_000;
/// Types: each costs a registration in the engine.
pub const TYPES_MAX: u64 = 500;
/// Imports: the host has fewer functions, and importing one twice serves nobody.
pub const IMPORTS_MAX: u64 = 32;
/// Bytes of one function body. Compile time grows faster than it. Largest: 25 kB.
pub const BODY_BYTES_MAX: u64 = 64 * 1024;
/// Locals and parameters of a function: the compiler's memory grows with locals × blocks. Largest: 56.
pub const LOCALS_MAX: u64 = 256;
/// Operands on a function's stack at once: each may take a place in the native frame. Largest: 15.
pub const OPERANDS_MAX: u64 = 256;
/// Parameters of a type. Largest: 15.
pub const PARAMETERS_MAX: u64 = 16;
/// Results of a type: frames with many results are large and cost nothing to enter.
pub const RESULTS_MAX: u64 = 1;
/// Nesting of blocks: 2,000 nested loops took 10.2 s to compile. Largest: 101.
pub const NESTING_MAX: u64 = 128;
/// Targets of one `br_table`: beyond 65,520 the compiler refuses, and which one refuses depends on its version.
/// Largest: 27.
pub const BRANCH_TARGETS_MAX: u64 = 1_024;
/// Locals × (branches, calls and divisions), summed over all functions: with all other limits kept, nested loops
/// reached 7,000,000 and took the compiler a minute and 530 MB. The bench `worst` measures it.
pub const COMPILE_WORK_MAX: u64 = 1_000_000;
/// Globals of a module's own: they are initialised in each call. Largest: 3.
pub const GLOBALS_MAX: u64 = 64;
/// Data segments: they are laid out when the module is loaded. Largest: 1.
pub const DATA_SEGMENTS_MAX: u64 = 64;
/// Element segments. Largest: 1.
pub const ELEMENT_SEGMENTS_MAX: u64 = 16;
/// Pages of 64 KiB that the memory may start with; each is paid for in each call.
pub const MEMORY_PAGES_START_MAX: u64 = 64;
/// Pages of 64 KiB that the memory may have: 16 MiB, what an instance's slot holds.
pub const MEMORY_PAGES_MAX: u64 = 256;
/// Bytes of a page of the memory.
pub const PAGE_BYTES: u64 = 64 * 1024;
/// Elements of the table. Largest: 65.
pub const TABLE_ELEMENTS_MAX: u64 = 1_024;
/// Bytes of the interface description, which is kept with the module for ever.
pub const INTERFACE_BYTES_MAX: u64 = 64 * 1024;

/// Slots of the logical call stack. A frame takes its parameters, locals, most operands at once, and [`FRAME_SLOTS`].
pub const STACK_SLOTS_MAX: u32 = 65_536;
/// Slots of a frame beyond its own, so that the native frame always fits: with 2 the worst shape took 1 MiB, with 16 a
/// quarter.
pub const FRAME_SLOTS: u32 = 16;
/// Bytes of native stack that wasmtime gives to a contract, counted from where it is entered. [`STACK_SLOTS_MAX`] slots
/// take 560 KiB at worst, so this is reached only where the optimiser keeps more in a frame than its locals and
/// operands; the call is then executed by code without it.
pub const NATIVE_STACK_BYTES: usize = 2 << 20;
/// Bytes of stack that a thread must have left to execute: [`NATIVE_STACK_BYTES`], and 1 MiB for the engine and the
/// host functions, which use what is left beyond it. The deepest calls of `tests/hostile/stack.rs` take half a MiB in all.
pub const EXECUTION_STACK_BYTES_MIN: usize = NATIVE_STACK_BYTES + (1 << 20);

/// Bytes of a key of the state; it has at least one.
pub const KEY_BYTES_MAX: usize = 512;
/// Bytes of a value of the state: sled wants less than 64 kB.
pub const VALUE_BYTES_MAX: usize = 60_000;
/// Writes of one call, repeated ones counted again.
pub const WRITES_MAX: usize = 4_096;
/// Bytes of keys and values that one call writes, which the journal keeps.
pub const WRITES_BYTES_MAX: usize = 4 << 20;
/// Pairs of one scan.
pub const SCAN_PAIRS_MAX: u32 = 1_024;
/// Bytes of one scan.
pub const SCAN_BYTES_MAX: usize = 256 * 1024;
/// Pairs that a scan reads before it pays for their bytes: work on credit is at most this many values.
pub const SCAN_CHUNK_PAIRS: u32 = 16;

/// Bytes of a result. Arguments (32 KiB), result and events together fit an entry of 65,535 bytes.
pub const RESULT_BYTES_MAX: usize = 8 * 1024;
/// Bytes of an error's fields.
pub const FAULT_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a call's events together, each with [`EVENT_OVERHEAD_BYTES`].
pub const EVENTS_BYTES_MAX: usize = 16 * 1024;
/// What an event takes in an entry beside its data: kind and length.
pub const EVENT_OVERHEAD_BYTES: usize = 6;
/// Bytes of a call's decision trace.
pub const TRACE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a call's diagnostics; what is beyond is dropped.
pub const LOG_BYTES_MAX: usize = 4 * 1024;
/// Lines of a call's diagnostics; what is beyond is dropped.
pub const LOG_LINES_MAX: usize = 256;
/// Reasons that a refusal keeps in its entry: the last ones.
pub const REASONS_MAX: usize = 8;
/// Bytes of a reason; a longer one is cut at a character.
pub const REASON_BYTES_MAX: usize = 512;

/// Executions at once; the next one waits. Each has a slot in the pool of instances.
pub const EXECUTIONS_MAX: u32 = 32;
/// Instances that are kept for their next call, of all modules together; each has a slot in the pool as well.
pub const KEPT_MAX: usize = 32;
/// Bytes of memory that a module's data may span to be laid out in its code as it will lie in the memory; wider spans are, where at
/// least half of them is data. Two bytes at the ends of 4 MiB made 4 MiB of code of a module of 130 bytes, and 64 such modules drove all
/// others out of the cache.
pub const DATA_IMAGE_BYTES_MAX: u64 = 256 << 10;
/// Bytes of memory of an instance that is kept. A larger one takes longer to restore than a fresh one to make. Its
/// pages are [priced](crate::prices::PAGE) accordingly.
pub const KEPT_BYTES_MAX: usize = 256 << 10;
/// Bytes of a slot's memory that stay resident between calls.
pub const RESIDENT_BYTES: usize = 2 << 20;
/// Compiled modules that are kept in memory: as many as fit into the bytes below where they are of ordinary size. To load a small one from the cache again
/// takes 0.2 ms, ten times what a call of it takes, and nobody pays for it.
pub const MODULES_LOADED_MAX: usize = 1_024;
/// Bytes of their code together: modules that are written to compile into much code do not fill the machine's memory.
pub const MODULES_LOADED_BYTES_MAX: usize = 256 << 20;
/// Bytes of the files of precompiled code together; code takes three to four times the bytes of its module.
pub const CACHE_BYTES_MAX: u64 = 256 << 20;
/// Processor seconds of the compiling child. The bench `worst` looks for the worst module within the limits above.
pub const COMPILE_CPU_SECONDS: u64 = 10;
/// Processor seconds that it has while it optimises; what takes longer is compiled without. Values that are computed twice, thousands of branches
/// apart, kept the optimiser and the allocator of registers busy for 4 to 8 s within the limits above, where the worst otherwise
/// took 0.6 s.
pub const OPTIMISE_CPU_SECONDS: u64 = 3;
/// Bytes of writable memory of its own that the compiling child may have (`RLIMIT_DATA`): heap, and mappings that nobody shares.
pub const COMPILE_MEMORY_BYTES: u64 = 1 << 30;
