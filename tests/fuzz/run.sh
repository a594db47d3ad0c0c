#!/bin/sh
# Runs fuzz targets one after the other for so many seconds each: run.sh SECONDS [TARGET...]
#
# Ends with an error at the first input that breaks a law, which is then in artifacts/TARGET. What it finds that reaches new code stays in
# corpus/TARGET for the next run.
#
# The same targets run under `cargo fuzz run TARGET -s none`. This script needs no nightly toolchain and no cargo-fuzz: coverage is an LLVM
# pass that the stable compiler has, and libFuzzer is built by its crate with the system's C++ compiler.
set -eu
cd "$(dirname "$0")"
seconds=$1
shift
[ $# -gt 0 ] || set -- note checkpoint tile_path bundle proof policy request entry receipt state_proof
target=${CARGO_TARGET_DIR:-target}
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
# With a target given, the flags are kept from build scripts and macros, which do not link libFuzzer.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo run --quiet --release --no-default-features --bin seed
for name; do
  mkdir -p "corpus/$name" "artifacts/$name"
  echo "== $name"
  RUSTFLAGS=$coverage cargo build --quiet --release --target "$host" --bin "$name"
  log=artifacts/$name.log status=0
  "$target/$host/release/$name" "corpus/$name" -max_total_time="$seconds" -max_len=70000 -timeout=10 \
    -artifact_prefix="artifacts/$name/" -print_final_stats=1 >"$log" 2>&1 || status=$?
  grep -E "^stat::number|^#.*DONE|interrupted|ERROR|panicked" "$log" || true
  if [ "$status" -ne 0 ]; then
    echo "$name ended with status $status: see $log"
    exit 1
  fi
done
