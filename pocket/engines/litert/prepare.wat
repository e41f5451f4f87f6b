;; The arithmetic of prepare.js: a square of pixels is resized and scaled, in float32.
;;
;; Four numbers at a time, the red, green, blue and alpha of a pixel. Each step is one
;; product or one sum, rounded once, in ONNX Runtime's order, so that all bits are its.
;; Compile it after a change, with wat2wasm of the npm package wabt:
;;     npx --package wabt wat2wasm prepare.wat -o prepare.wasm

(module
  (memory (export "memory") 1)

  ;; Rows of pixels, RGBA of uint8 (side, side, 4), become as narrow as the result:
  ;; float32 (side, size, 4). All places are addresses; `width` counts weights.
  (func (export "narrow")
    (param $pixels i32) (param $side i32) (param $size i32)
    (param $first i32) (param $count i32) (param $weights i32) (param $width i32)
    (param $to i32)
    (local $row i32) (local $column i32) (local $pixel i32)
    (local $weight i32) (local $end i32) (local $sum v128)
    (loop $rows
      (local.set $column (i32.const 0))
      (loop $columns
        ;; the first pixel that counts, and the weights of this column
        (local.set $pixel (i32.add (local.get $pixels) (i32.shl (i32.load
          (i32.add (local.get $first) (i32.shl (local.get $column) (i32.const 2))))
          (i32.const 2))))
        (local.set $weight (i32.add (local.get $weights) (i32.shl
          (i32.mul (local.get $column) (local.get $width)) (i32.const 2))))
        (local.set $end (i32.add (local.get $weight) (i32.shl (i32.load
          (i32.add (local.get $count) (i32.shl (local.get $column) (i32.const 2))))
          (i32.const 2))))
        (local.set $sum (v128.const f32x4 0 0 0 0))
        (loop $pixels_that_count
          (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul
            (v128.load32_splat (local.get $weight))
            (f32x4.convert_i32x4_u (i32x4.extend_low_i16x8_u
              (i16x8.extend_low_i8x16_u (v128.load32_zero (local.get $pixel))))))))
          (local.set $pixel (i32.add (local.get $pixel) (i32.const 4)))
          (local.set $weight (i32.add (local.get $weight) (i32.const 4)))
          (br_if $pixels_that_count (i32.lt_u (local.get $weight) (local.get $end))))
        (v128.store (local.get $to) (local.get $sum))
        (local.set $to (i32.add (local.get $to) (i32.const 16)))
        (local.set $column (i32.add (local.get $column) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $column) (local.get $size))))
      (local.set $pixels (i32.add (local.get $pixels)
        (i32.shl (local.get $side) (i32.const 2))))
      (local.set $row (i32.add (local.get $row) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $row) (local.get $side)))))

  ;; Those rows become as few as the result has; values are kept within 0 and 255,
  ;; multiplied and shifted: float32 (size, size, 3) and one number more, of no use.
  (func (export "shorten")
    (param $rows i32) (param $size i32)
    (param $first i32) (param $count i32) (param $weights i32) (param $width i32)
    (param $scale f32) (param $shift f32) (param $to i32)
    (local $row i32) (local $column i32) (local $step i32) (local $from i32)
    (local $weight i32) (local $end i32) (local $sum v128)
    (local.set $step (i32.shl (local.get $size) (i32.const 4))) ;; bytes of a row
    (loop $results
      (local.set $end (i32.add (local.get $weights) (i32.shl
        (i32.load (local.get $count)) (i32.const 2))))
      (local.set $column (i32.const 0))
      (loop $columns
        (local.set $from (i32.add (local.get $rows) (i32.add
          (i32.mul (i32.load (local.get $first)) (local.get $step))
          (i32.shl (local.get $column) (i32.const 4)))))
        (local.set $weight (local.get $weights))
        (local.set $sum (v128.const f32x4 0 0 0 0))
        (loop $rows_that_count
          (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul
            (v128.load32_splat (local.get $weight)) (v128.load (local.get $from)))))
          (local.set $from (i32.add (local.get $from) (local.get $step)))
          (local.set $weight (i32.add (local.get $weight) (i32.const 4)))
          (br_if $rows_that_count (i32.lt_u (local.get $weight) (local.get $end))))
        ;; The fourth number is overwritten by the next pixel's first.
        (v128.store (local.get $to) (f32x4.add (f32x4.mul
          (f32x4.min (f32x4.max (local.get $sum) (v128.const f32x4 0 0 0 0))
            (v128.const f32x4 255 255 255 255))
          (f32x4.splat (local.get $scale))) (f32x4.splat (local.get $shift))))
        (local.set $to (i32.add (local.get $to) (i32.const 12)))
        (local.set $column (i32.add (local.get $column) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $column) (local.get $size))))
      (local.set $first (i32.add (local.get $first) (i32.const 4)))
      (local.set $count (i32.add (local.get $count) (i32.const 4)))
      (local.set $weights (i32.add (local.get $weights)
        (i32.shl (local.get $width) (i32.const 2))))
      (local.set $row (i32.add (local.get $row) (i32.const 1)))
      (br_if $results (i32.lt_u (local.get $row) (local.get $size))))))
