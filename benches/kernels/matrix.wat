;; Product of two 48 × 48 matrices of i64: nested loops, loads, multiplications.
(module
  (memory (export "memory") 2 2)
  (func $at (param $base i32) (param $row i32) (param $column i32) (result i32)
    (i32.add (local.get $base)
             (i32.shl (i32.add (i32.mul (local.get $row) (i32.const 48)) (local.get $column)) (i32.const 3))))
  (func (export "call") (param i32 i32) (result i32)
    (local $i i32) (local $j i32) (local $k i32) (local $sum i64)
    (loop $fill
      (i64.store (i32.shl (local.get $i) (i32.const 3)) (i64.extend_i32_u (local.get $i)))
      (i64.store offset=18432 (i32.shl (local.get $i) (i32.const 3)) (i64.extend_i32_u (i32.xor (local.get $i) (i32.const 5))))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2304))))
    (local.set $i (i32.const 0))
    (loop $rows
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $k (i32.const 0))
        (local.set $sum (i64.const 0))
        (loop $dot
          (local.set $sum (i64.add (local.get $sum)
            (i64.mul (i64.load (call $at (i32.const 0) (local.get $i) (local.get $k)))
                     (i64.load (call $at (i32.const 18432) (local.get $k) (local.get $j))))))
          (br_if $dot (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 48))))
        (i64.store (call $at (i32.const 36864) (local.get $i) (local.get $j)) (local.get $sum))
        (br_if $columns (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 48))))
      (br_if $rows (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 48))))
    (i64.eqz (local.get $sum))))
