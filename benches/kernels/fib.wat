;; Recursive Fibonacci of 22: calls and nothing else.
(module
  (memory (export "memory") 1 1)
  (func $fib (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "call") (param i32 i32) (result i32)
    (i32.ne (call $fib (i32.const 22)) (i32.const 17711))))
