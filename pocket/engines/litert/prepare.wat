;; The arithmetic of prepare.js: a square of pixels is resized and scaled, in float32,
;; four numbers at a time, the red, green, blue and alpha of a pixel. Each step is one
;; product or one sum, rounded once, in ONNX Runtime's order, so that all bits are its.
;; The table says for each place of the result, in `$entry` bytes: where the first pixel
;; lies that counts, 4 bytes for each before; 4 bytes for each that counts; the weights.
;; Compile this after a change, with wat2wasm of the npm package wabt:
;;     npx --package wabt wat2wasm prepare.wat -o prepare.wasm

(module
  (memory (export "memory") 1)

  ;; Rows of pixels, RGBA of uint8 (side, side, 4), become as narrow as the result:
  ;; float32 (side, size, 4). The first is at `$row`, and each is `$step` bytes long.
  (func (export "narrow")
    (param $row i32) (param $last i32) (param $step i32)
    (param $table i32) (param $table_end i32) (param $entry i32) (param $to i32)
    (local $place i32) (local $pixel i32) (local $weight i32) (local $end i32)
    (local $sum v128)
    (loop $rows
      (local.set $place (local.get $table))
      (loop $columns
        (local.set $pixel (i32.add (local.get $row) (i32.load (local.get $place))))
        (local.set $weight (i32.add (local.get $place) (i32.const 8)))
        (local.set $end (i32.add (local.get $weight)
          (i32.load offset=4 (local.get $place))))
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
        (local.set $place (i32.add (local.get $place) (local.get $entry)))
        (br_if $columns (i32.lt_u (local.get $place) (local.get $table_end))))
      (local.set $row (i32.add (local.get $row) (local.get $step)))
      (br_if $rows (i32.lt_u (local.get $row) (local.get $last)))))

  ;; Those rows, each `$step` bytes long, become as few as the result has; values are kept
  ;; within 0 and 255, multiplied and shifted: float32 (size, size, 3) and one of no use.
  (func (export "shorten")
    (param $row i32) (param $last i32) (param $step i32)
    (param $place i32) (param $table_end i32) (param $entry i32) (param $to i32)
    (param $scale f32) (param $shift f32)
    (local $column i32) (local $from i32) (local $weight i32) (local $end i32)
    (local $sum v128)
    (loop $results
      (local.set $column (local.get $row))
      (loop $columns
        (local.set $from (i32.add (local.get $column) (i32.mul
          (i32.load (local.get $place)) (i32.shr_u (local.get $step) (i32.const 2)))))
        (local.set $weight (i32.add (local.get $place) (i32.const 8)))
        (local.set $end (i32.add (local.get $weight)
          (i32.load offset=4 (local.get $place))))
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
        (local.set $column (i32.add (local.get $column) (i32.const 16)))
        (br_if $columns (i32.lt_u (local.get $column) (local.get $last))))
      (local.set $place (i32.add (local.get $place) (local.get $entry)))
      (br_if $results (i32.lt_u (local.get $place) (local.get $table_end))))))
