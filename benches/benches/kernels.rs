//! What metering costs, kernel by kernel: see [`chancery_benches::kernels`].

use chancery_benches::kernels::overheads;
use chancery_benches::measure::{decimal, geometric_mean, rounds};

fn main() {
    println!("{:10} {:>14} {:>10} {:>10}", "kernel", "plain", "fuel ×", "metered ×");
    let overheads = overheads(rounds(400));
    for kernel in &overheads {
        println!(
            "{:10} {:>14} {:>10} {:>10}",
            kernel.name,
            kernel.plain,
            decimal(kernel.fuel),
            decimal(kernel.metered)
        );
    }
    let mean = |ratios: Vec<u64>| decimal(geometric_mean(&ratios));
    let fuel = mean(overheads.iter().map(|kernel| kernel.fuel).collect());
    let own = mean(overheads.iter().map(|kernel| kernel.metered).collect());
    println!("{:10} {:>14} {fuel:>10} {own:>10}", "mean", "geometric");
}
