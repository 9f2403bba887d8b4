"""Decode DICOM files with the display settings in their headers."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from podium.images.decoded import (
    Decoded,
    ImageError,
    check_pixels,
    check_sides,
    scale_to_uint8,
)

# "DICM" after 128 bytes or, without a preamble, an element of the first groups, with or without VR.
START = re.compile(rb".{128}DICM|[\x02\x08]\0[\0-\x18]\0([A-Z]{2}..|..\0\0)", re.DOTALL)
GRAYSCALE = ("MONOCHROME1", "MONOCHROME2")


def decode_dicom(data: bytes, _: int | None = None) -> Decoded:
    """Decode the first frame with pydicom: values after the modality LUT (CT: Hounsfield units).

    They are scaled to uint8 from a given range, else by the file's first window (VOI LUT), else
    from the image's minimum and maximum without padding. MONOCHROME1 is inverted. Color images
    become RGB. 8-bit images without a window or a modality LUT are unchanged.
    """
    with _reporting():
        return _decode(data)


@contextmanager
def _reporting() -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError:
        raise
    except Exception as error:  # pydicom's errors have no common base class
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"the DICOM file cannot be read: {reason}") from None


def _decode(data: bytes) -> Decoded:
    import pydicom  # takes half a second
    from pydicom import uid
    from pydicom.pixels import processing
    from pydicom.pixels.utils import pixel_array

    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:  # as it was read
        is_implicit, is_little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if is_little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = (
            uid.ImplicitVRLittleEndian if is_implicit else explicit
        )
    names = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    if not any(name in dataset for name in names):
        raise ImageError("contains no pixel data")
    sides = int(dataset.Rows), int(dataset.Columns)
    check_sides(sides)
    check_pixels(sides)
    if dataset.file_meta.TransferSyntaxUID == uid.JPEGExtended12Bit and dataset.BitsStored > 8:
        pixels = _extended_jpeg(dataset)
    else:
        pixels = pixel_array(dataset, index=0)  # YBR is converted to RGB
    interpretation = dataset.PhotometricInterpretation
    if interpretation == "PALETTE COLOR":
        pixels = processing.apply_color_lut(pixels, dataset)
    if interpretation not in GRAYSCALE:
        bits = 8 * pixels.itemsize if interpretation == "PALETTE COLOR" else dataset.BitsStored
        return Decoded(scale_to_uint8(pixels, (0, 2**bits - 1)) if bits > 8 else pixels)
    values = processing.apply_modality_lut(pixels, dataset)
    is_inverted = interpretation == "MONOCHROME1"
    has_window = any(
        _first(dataset, name) is not None for name in ("WindowCenter", "VOILUTSequence")
    )
    if pixels.dtype == np.uint8 and values is pixels and not has_window:
        return Decoded(255 - pixels if is_inverted else pixels)

    def to_uint8(value_range: Sequence[float] | None) -> np.ndarray:
        with _reporting():
            if value_range is not None:
                scaled = scale_to_uint8(values, value_range)
            else:
                scaled = _shown(values, pixels, dataset)
        return 255 - scaled if is_inverted else scaled

    return Decoded(values, to_uint8=to_uint8)


def _extended_jpeg(dataset: Any) -> np.ndarray:
    """The first frame of a JPEG with 12 bits, which pydicom leaves to libraries of other licenses,
    although GDCM decodes it.
    """
    import gdcm
    from pydicom.encaps import get_frame

    if dataset.SamplesPerPixel != 1:
        raise ImageError("JPEG with 12 bits per channel and colors is not supported")
    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    frames = int(dataset.get("NumberOfFrames") or 1)
    fragment.SetByteStringValue(get_frame(dataset.PixelData, 0, number_of_frames=frames))
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((dataset.Columns, dataset.Rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(dataset.PhotometricInterpretation)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    bits, signed = dataset.BitsStored, dataset.PixelRepresentation
    image.SetPixelFormat(gdcm.PixelFormat(1, dataset.BitsAllocated, bits, bits - 1, signed))
    data = image.GetBuffer().encode("utf-8", "surrogateescape")
    values = np.frombuffer(data, np.int16 if signed else np.uint16)
    return values.reshape(dataset.Rows, dataset.Columns)


def _shown(values: np.ndarray, stored: np.ndarray, dataset: Any) -> np.ndarray:
    """Convert values to uint8 by the file's display settings. Source: DICOM PS3.3, C.11.2.

    `stored`: the pixels before the modality LUT.
    """
    from pydicom.pixels.processing import apply_voi

    if (table := _first(dataset, "VOILUTSequence")) is not None:
        bits = int(table.LUTDescriptor[2])
        shown = apply_voi(np.round(values).astype(np.int64), dataset)
        return scale_to_uint8(shown, (0, 2**bits - 1))
    center, width = _first(dataset, "WindowCenter"), _first(dataset, "WindowWidth")
    if center is None or width is None or float(width) <= 0:
        inside = values[np.isfinite(values) & ~_padding(stored, dataset)]
        if not inside.size:
            raise ImageError("no pixel has a finite value")
        return scale_to_uint8(values, (inside.min(), inside.max()))
    center, width = float(center), float(width)
    function = str(_first(dataset, "VOILUTFunction") or "LINEAR")
    if function == "SIGMOID":
        return scale_to_uint8(1 / (1 + np.exp(-4 * (values - center) / width)), (0, 1))
    if function == "LINEAR":
        center, width = center - 0.5, max(width - 1, 1e-6)
    return scale_to_uint8(values, (center - width / 2, center + width / 2))


def _padding(pixels: np.ndarray, dataset: Any) -> np.ndarray:
    """Which stored pixels are padding: bool [H, W]."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(pixels.shape, bool)
    limit = dataset.get("PixelPaddingRangeLimit", value)
    return (pixels >= min(value, limit)) & (pixels <= max(value, limit))


def _first(dataset: Any, name: str) -> Any:
    """The first value of an element; None if it is empty or missing."""
    value = dataset.get(name)
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return value
    return value[0] if len(value) else None
