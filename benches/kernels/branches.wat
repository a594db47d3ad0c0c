;; A classifier of 64 KiB of pseudo-random bytes, as a parser does: br_table and short blocks.
(module
  (memory (export "memory") 1 1)
  (func (export "call") (param i32 i32) (result i32)
    (local $i i32) (local $random i32) (local $digits i32) (local $quotes i32) (local $other i32)
    (loop $fill
      (local.set $random (i32.add (i32.mul (local.get $random) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store8 (local.get $i) (i32.shr_u (local.get $random) (i32.const 24)))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 65536))))
    (local.set $i (i32.const 0))
    (loop $next
      (block $done
        (block $is_other
          (block $is_quote
            (block $is_digit
              (br_table $is_digit $is_digit $is_quote $is_other $is_digit $is_quote $is_other $is_other
                (i32.and (i32.load8_u (local.get $i)) (i32.const 7))))
            (local.set $digits (i32.add (local.get $digits) (i32.const 1)))
            (br $done))
          (local.set $quotes (i32.add (local.get $quotes) (i32.const 1)))
          (br $done))
        (local.set $other (i32.add (local.get $other) (i32.const 1))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 65536))))
    (i32.ne (i32.add (local.get $digits) (i32.add (local.get $quotes) (local.get $other))) (i32.const 65536))))
