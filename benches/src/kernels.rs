//! What metering costs: each kernel of the compute suite as it is, with the engine's own fuel, and instrumented, compiled alike by the
//! configuration that production has.

use crate::kernel;
use crate::measure::{Case, least, permille};
use chancery_engine::{admit, configuration, instrument};
use wasmtime::{Engine, Instance, Module, Store, TypedFunc};

const KERNELS: [(&str, &str); 8] = [
    ("fib", include_str!("../kernels/fib.wat")),
    ("sieve", include_str!("../kernels/sieve.wat")),
    ("sha256", include_str!("../kernels/sha256.wat")),
    ("matrix", include_str!("../kernels/matrix.wat")),
    ("json", include_str!("../kernels/json.wat")),
    ("copy", include_str!("../kernels/copy.wat")),
    ("branches", include_str!("../kernels/branches.wat")),
    ("indirect", include_str!("../kernels/indirect.wat")),
];

/// An instance of a kernel, with what fills its counters where it has some.
struct Kernel {
    store: Store<()>,
    call: TypedFunc<(i32, i32), i32>,
    begin: Option<TypedFunc<(i64, i32), ()>>,
    fuel: bool,
}

impl Kernel {
    fn new(wasm: &[u8], fuel: bool) -> Self {
        let mut configuration = configuration();
        let features = if fuel { configuration.consume_fuel(true) } else { &mut configuration };
        let engine = Engine::new(features).expect("the configuration is production's");
        let module = Module::new(&engine, wasm).expect("it compiles");
        let mut store = Store::new(&engine, ());
        if fuel {
            store.set_fuel(u64::MAX).expect("fuel is on");
        }
        let instance = Instance::new(&mut store, &module, &[]).expect("it has no imports");
        let call = instance.get_typed_func(&mut store, "call").expect("the kernel's entry");
        let begin = instance.get_typed_func(&mut store, instrument::BEGIN_EXPORT).ok();
        Kernel { store, call, begin, fuel }
    }

    fn run(&mut self) {
        if self.fuel {
            self.store.set_fuel(u64::MAX).expect("fuel is on");
        }
        if let Some(begin) = &self.begin {
            begin.call(&mut self.store, (i64::MAX, 65_536)).expect("it only sets globals");
        }
        assert_eq!(self.call.call(&mut self.store, (0, 0)).expect("the kernel ends"), 0, "the kernel's own check");
    }
}

/// What a kernel costs.
pub struct Overhead {
    /// The kernel.
    pub name: &'static str,
    /// Its time as it is, for people.
    pub plain: String,
    /// Times with fuel and with our own metering, in thousandths of the plain one.
    pub fuel: u64,
    /// See [`Overhead::fuel`].
    pub metered: u64,
}

/// Measures every kernel, its three forms in turn.
///
/// # Panics
/// When a kernel does not do what it should.
pub fn overheads(rounds: u32) -> Vec<Overhead> {
    let overhead = |(name, text)| {
        let wasm = kernel(text);
        let admitted = admit(&wasm).unwrap_or_else(|error| panic!("{name}: {error}"));
        let instrumented = instrument::instrument(&wasm, &admitted).expect("it was admitted");
        let kernels = [(&wasm, false), (&wasm, true), (&instrumented, false)];
        let mut kernels = kernels.map(|(wasm, fuel)| Kernel::new(wasm, fuel));
        let mut cases: Vec<Case<'_>> = kernels.iter_mut().map(|kernel| Case::new(name, || kernel.run())).collect();
        least(&mut cases, rounds);
        let times: Vec<u64> = cases.iter().map(Case::picoseconds).collect();
        let (fuel, metered) = (permille(times[1], times[0]), permille(times[2], times[0]));
        Overhead { name, plain: cases[0].text(), fuel, metered }
    };
    KERNELS.into_iter().map(overhead).collect()
}
