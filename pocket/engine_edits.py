"""What is changed in LiteRT's published files, why, and how to take each change out.

All changes of a vendored engine stand here. npm.py makes them while it copies the
files; a change that finds nothing to change is an error. When a newer version of
@litertjs/core does without one, delete it here, and raise the version in package.json:
`tests/test_pocket_prepare.py` tries all builds.

1. litert.js imports @litertjs/wasm-utils, which loads scripts into a page or into a
   worker that is no module. Ours is one, so it imports loader.js instead, and each
   runtime's script leaves its factory behind for that. Out when upstream can load its
   runtime into a module worker: then loader.js goes, too.
2. litert.js asks for the graphics processor as it starts, which this page does not use.
   Out when upstream has an option against that.
3. litert.js names a source map that is not vendored; browsers would ask for it in vain.
4. XNNPACK tries out at its start whether the processor adds up products of 8-bit
   numbers without overflow. Most x86 processors add in 16 bits first, which overflows
   with weights of 8 bits, and XNNPACK then takes a slower way. Our weights have 7 bits
   (`reduce_range` in quantize.py; convert.py refuses others), so 7 bits are tried out.
   Out when upstream knows of 7-bit weights; without it, answers come more slowly.
"""

import struct
from collections.abc import Iterable


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


SEVEN_BITS = (
    _sum_check(-128, -65536, -98048, -98048, -130560),
    _sum_check(-64, -32768, -49024, -49024, -65280),
)


def engine_edits(builds: Iterable[str]) -> dict[str, tuple[tuple[bytes, bytes], ...]]:
    """The edits of LiteRT's files, as `npm.Package` takes them."""
    return {
        "litert.js": (
            (b'"@litertjs/wasm-utils"', b'"../loader.js"'),
            (b"await Environment.create()", b"new Environment({ webGpuDevice: null })"),
            (b"//# sourceMappingURL=index.js.map", b""),
        ),
        **{
            f"litert_{build}.js": ((b"", b"self.ModuleFactory = ModuleFactory;\n"),)
            for build in builds
        },
        "litert_relaxed.wasm.gz": (SEVEN_BITS,),
        "litert_threads.wasm.gz": (SEVEN_BITS,),
    }
