#!/bin/sh
# Builds the contracts of this directory into dist/. Takes Debian's clang-14, lld-14, wasi-libc and libclang-rt-14-dev-wasm32, and
# AssemblyScript 0.28.20 (npm install assemblyscript@0.28.20) as `asc` on the path; without `asc` only the C contract is built.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
attach() { cargo run --quiet --release -p chancery-polyglot --bin attach -- "$@"; }

attach --header include/chancery.h

# A reactor has no main. Without extensions beyond those that are admitted; a small stack, since each page costs, and a
# maximum of memory, since an access costs by it. clang would run a
# `wasm-opt` that it finds on the path, as AssemblyScript's is, and the module would be another.
PATH=/usr/bin:/bin clang-14 --target=wasm32-wasi -mexec-model=reactor -std=c11 -O2 -Wall -Wextra -Werror -Iinclude \
  -mno-nontrapping-fptoint -Wl,-z,stack-size=32768 -Wl,--max-memory=1048576 -Wl,--strip-all \
  c/school_transport.c -lm -o "$work/school_transport.wasm"
c=$(attach c/school_transport.json "$work/school_transport.wasm" dist/school-transport.wasm)

if command -v asc >/dev/null; then
  asc assemblyscript/notice_board.ts --runtime stub --use abort=assemblyscript/notice_board/abort -O3 --noAssert \
    --disable nontrapping-f2i --initialMemory 1 --maximumMemory 16 -o "$work/notice_board.wasm"
  board=$(attach assemblyscript/notice_board.json "$work/notice_board.wasm" dist/notice-board.wasm)
  board="$board AssemblyScript $(asc --version | cut -d' ' -f2)"
else
  echo "asc is not on the path: dist/notice-board.wasm is left as it is" >&2
  board=$(grep ' notice-board.wasm ' dist/MANIFEST)
fi
printf '# BLAKE3, bytes, module, and what built it\n%s\n%s %s\n' "$board" "$c" "$(clang-14 --version | head -1)" >"$work/MANIFEST"
mv "$work/MANIFEST" dist/MANIFEST
