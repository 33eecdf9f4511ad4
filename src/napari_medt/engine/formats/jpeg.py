"""Decoders of imagecodecs for kinds of JPEG that pydicom knows, but brings no decoder for.

Scanners and archives use them a lot: lossless JPEG above all, JPEG-LS, 12-bit JPEG, and the
high-throughput form of JPEG 2000. A plugin as pydicom asks for: see ``Decoder.add_plugin``.
"""

from __future__ import annotations

from collections.abc import Callable

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

DECODERS: dict[str, Callable[[bytes], NDArray]] = {
    uid.JPEGExtended12Bit: imagecodecs.jpeg8_decode,
    uid.JPEGLossless: imagecodecs.jpegsof3_decode,
    uid.JPEGLosslessSV1: imagecodecs.jpegsof3_decode,
    uid.JPEGLSLossless: imagecodecs.jpegls_decode,
    uid.JPEGLSNearLossless: imagecodecs.jpegls_decode,
    uid.HTJ2KLossless: imagecodecs.jpeg2k_decode,
    uid.HTJ2KLosslessRPCL: imagecodecs.jpeg2k_decode,
    uid.HTJ2K: imagecodecs.jpeg2k_decode,
}
DECODER_DEPENDENCIES = dict.fromkeys(DECODERS, ("imagecodecs",))  # pydicom reads it


def add_decoders() -> None:
    """Let pydicom use the decoders; to be called once, for it refuses a name that it has."""
    for syntax in DECODERS:
        get_decoder(syntax).add_plugin("napari-medt", (__name__, "decode_frame"))


def is_available(syntax: str) -> bool:
    """Whether there is a decoder for a transfer syntax; pydicom asks."""
    return syntax in DECODERS


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytearray:
    """Decode one frame for pydicom, and report to it how the values are laid out."""
    values = np.ascontiguousarray(DECODERS[runner.transfer_syntax](frame))
    runner.set_option("bits_allocated", 8 * values.itemsize)
    if values.ndim == 3:
        runner.set_option("planar_configuration", 0)  # colours pixel by pixel
    return bytearray(values.tobytes())
