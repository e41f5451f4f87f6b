"""What is changed in LiteRT's files, which come from npm as they are.

- **What.** Some bytes of three scripts and of two WebAssembly programs, listed below.
  `npm.py` makes each change where its old bytes occur exactly once, and refuses the
  file otherwise; VENDORED.txt beside the files lists what was changed.
- **Why.** The scripts are written for a page, or for a worker that is no module; ours
  is one. And XNNPACK, which multiplies in them, takes a slower way than it could on
  most x86 processors, because it checks for weights of 8 bits where ours have 7.
- **When to take it out.** `SCRIPTS`: when @litertjs/core can be imported into a module
  worker and asks for no graphics processor unasked. `SEVEN_BITS`: when XNNPACK's check
  can be told the range of the weights. Delete the entry, and let the tests of the
  browser's answers and `make bench` say whether anything is missed.
"""

import struct

Edits = dict[str, tuple[tuple[bytes, bytes], ...]]


def _sum_check(weight: int, *sums: int) -> bytes:
    """The part of XNNPACK's start, as WebAssembly, that adds products up to check sums.

    It multiplies 8-bit numbers, most of them 255, by `weight`. If the processor's
    quickest way to do so gives the right four sums, XNNPACK takes that way.
    """
    weights, nothing = struct.pack("<16b", *[weight] * 16), bytes(16)
    constant, dot = b"\xfd\x0c", b"\xfd\x93\x02"
    numbers = b"\x20\x03\xfd\x00\x04\x00"
    expected = struct.pack("<4i", *sums)
    return constant + weights + numbers + constant + nothing + dot + constant + expected


# Most x86 processors add such products up in 16 bits first, which overflows with
# weights of 8 bits; XNNPACK asks about those, and takes a slower way. Ours have 7
# (`reduce_range` in quantize.py; convert.py refuses others), so 7 bits are asked about.
SEVEN_BITS = (
    _sum_check(-128, -65536, -98048, -98048, -130560),
    _sum_check(-64, -32768, -49024, -49024, -65280),
)
# A line at the end of a script makes it work in our worker: loader.js calls what it
# leaves behind. And the engine would ask for the graphics processor as it starts.
LEFT_BEHIND = ((b"", b"self.ModuleFactory = ModuleFactory;\n"),)
SCRIPTS: Edits = {
    "litert.js": (
        (b'"@litertjs/wasm-utils"', b'"../loader.js"'),
        (b"await Environment.create()", b"new Environment({ webGpuDevice: null })"),
        (b"//# sourceMappingURL=index.js.map", b""),
    ),
    "litert_relaxed.js": LEFT_BEHIND,
    "litert_plain.js": LEFT_BEHIND,
    "litert_threads.js": LEFT_BEHIND,
}
LITERT_EDITS: Edits = SCRIPTS | {
    "litert_relaxed.wasm.gz": (SEVEN_BITS,),
    "litert_threads.wasm.gz": (SEVEN_BITS,),
}
