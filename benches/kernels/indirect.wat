;; 65,536 calls through a table of four short functions.
(module
  (memory (export "memory") 1 1)
  (type $step (func (param i32) (result i32)))
  (table 4 funcref)
  (elem (i32.const 0) $add $mix $turn $times)
  (func $add (type $step) (i32.add (local.get 0) (i32.const 0x9e3779b9)))
  (func $mix (type $step) (i32.xor (local.get 0) (i32.shr_u (local.get 0) (i32.const 15))))
  (func $turn (type $step) (i32.rotl (local.get 0) (i32.const 7)))
  (func $times (type $step) (i32.mul (local.get 0) (i32.const 0x85ebca6b)))
  (func (export "call") (param i32 i32) (result i32)
    (local $i i32) (local $value i32)
    (local.set $value (i32.const 1))
    (loop $again
      (local.set $value (call_indirect (type $step) (local.get $value)
        (i32.and (i32.xor (local.get $i) (i32.shr_u (local.get $i) (i32.const 3))) (i32.const 3))))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 65536))))
    (i32.ne (local.get $value) (i32.const 0x3b1f09f7))))
