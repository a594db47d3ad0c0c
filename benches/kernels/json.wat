;; A JSON text of nested lists and objects, parsed 64 times by recursive descent: calls, byte loads, short branches.
(module
  (memory (export "memory") 1 1)
  (global $at (mut i32) (i32.const 0))
  (global $sum (mut i32) (i32.const 0))
  (data (i32.const 0) "{\22programme\22: \22food assistance\22, \22case\22: 20240117, \22household\22: [{\22name\22: \22A \5c\22B\5c\22 C\22, \22born\22: 1981, \22income\22: [120000, 98000, 101500]}, {\22name\22: \22D\22, \22born\22: 2012, \22income\22: []}, {\22name\22: \22E\22, \22born\22: 2015, \22income\22: [0, 0, 12]}], \22rent\22: 84500, \22notes\22: [\22first\22, \22second with \5c\5c in it\22, [[1, 2, [3, 4, 5]], 6]], \22totals\22: {\22gross\22: 319512, \22net\22: 250000, \22months\22: {\22jan\22: 1, \22feb\22: 2, \22mar\22: 3}}}\00")
  (func $space
    (loop $next
      (if (i32.eq (i32.load8_u (global.get $at)) (i32.const 32))
        (then (global.set $at (i32.add (global.get $at) (i32.const 1))) (br $next)))))
  (func $number
    (local $value i32) (local $digit i32)
    (block $done
      (loop $next
        (local.set $digit (i32.sub (i32.load8_u (global.get $at)) (i32.const 48)))
        (br_if $done (i32.gt_u (local.get $digit) (i32.const 9)))
        (local.set $value (i32.add (i32.mul (local.get $value) (i32.const 10)) (local.get $digit)))
        (global.set $at (i32.add (global.get $at) (i32.const 1)))
        (br $next)))
    (global.set $sum (i32.add (global.get $sum) (local.get $value))))
  (func $text
    (local $byte i32)
    (loop $next
      (global.set $at (i32.add (global.get $at) (i32.const 1)))
      (local.set $byte (i32.load8_u (global.get $at)))
      (if (i32.eq (local.get $byte) (i32.const 92))
        (then (global.set $at (i32.add (global.get $at) (i32.const 1))) (br $next)))
      (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
      (br_if $next (i32.ne (local.get $byte) (i32.const 34))))
    (global.set $at (i32.add (global.get $at) (i32.const 1))))
  ;; Items up to the closing byte; those of an object are a text, a colon and a value.
  (func $items (param $close i32) (param $object i32)
    (global.set $at (i32.add (global.get $at) (i32.const 1)))
    (block $done
      (loop $next
        (call $space)
        (br_if $done (i32.eq (i32.load8_u (global.get $at)) (local.get $close)))
        (if (i32.eq (i32.load8_u (global.get $at)) (i32.const 44))
          (then (global.set $at (i32.add (global.get $at) (i32.const 1))) (br $next)))
        (if (local.get $object)
          (then
            (call $text)
            (call $space)
            (if (i32.ne (i32.load8_u (global.get $at)) (i32.const 58)) (then unreachable))
            (global.set $at (i32.add (global.get $at) (i32.const 1)))))
        (call $value)
        (br $next)))
    (global.set $at (i32.add (global.get $at) (i32.const 1))))
  (func $value
    (local $byte i32)
    (call $space)
    (local.set $byte (i32.load8_u (global.get $at)))
    (if (i32.eq (local.get $byte) (i32.const 123)) (then (call $items (i32.const 125) (i32.const 1)) (return)))
    (if (i32.eq (local.get $byte) (i32.const 91)) (then (call $items (i32.const 93) (i32.const 0)) (return)))
    (if (i32.eq (local.get $byte) (i32.const 34)) (then (call $text) (return)))
    (if (i32.gt_u (i32.sub (local.get $byte) (i32.const 48)) (i32.const 9)) (then unreachable))
    (call $number))
  (func (export "call") (param i32 i32) (result i32)
    (local $i i32)
    (global.set $sum (i32.const 0))
    (loop $again
      (global.set $at (i32.const 0))
      (call $value)
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
    (i32.ne (global.get $sum) (i32.const 1358070400))))
