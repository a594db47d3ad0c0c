;; 256 copies of 16 KiB by memory.copy: bulk bytes.
(module
  (memory (export "memory") 2 2)
  (func (export "call") (param i32 i32) (result i32)
    (local $i i32)
    (loop $again
      (memory.copy (i32.const 65536) (i32.const 0) (i32.const 16384))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256))))
    (i32.const 0)))
