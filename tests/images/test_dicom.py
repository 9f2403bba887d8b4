"""DICOM files written by pydicom and GDCM."""

import io
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import encaps, uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import processing

from podium.images import codec, decoders
from podium.images.decoded import ImageError

VALUES = (np.arange(120, dtype=np.int16) * 8).reshape(10, 12)
LOSSLESS = {
    "JPEG lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "JPEG-LS": gdcm.TransferSyntax.JPEGLSLossless,
    "JPEG 2000": gdcm.TransferSyntax.JPEG2000Lossless,
    "RLE": gdcm.TransferSyntax.RLELossless,
    "deflated": gdcm.TransferSyntax.DeflatedExplicitVRLittleEndian,
}


def dataset(pixels: np.ndarray = VALUES, **elements: Any) -> Dataset:
    """The data set of an image [H, W] or, if RGB, [H, W, 3]."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    made.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    made.SamplesPerPixel = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.Rows, made.Columns = pixels.shape[:2]
    made.BitsAllocated = made.BitsStored = 8 * pixels.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def written(content: Dataset, **options: Any) -> bytes:
    file = io.BytesIO()
    pydicom.dcmwrite(file, content, **{"enforce_file_format": True, **options})
    return file.getvalue()


def dicom(pixels: np.ndarray = VALUES, **elements: Any) -> bytes:
    return written(dataset(pixels, **elements))


def compressed(data: bytes, folder: Path, syntax: int) -> bytes:
    """The file as GDCM compresses it."""
    (folder / "a.dcm").write_bytes(data)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(folder / "a.dcm"))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(folder / "b.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return (folder / "b.dcm").read_bytes()


def gray(data: bytes, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """The gray values [H, W] that are stored."""
    stored, pixels = codec.reencode(
        data, max_size=None, encode="png", quality=95, value_range=value_range
    )
    assert np.array_equal(codec.decode_stored(stored), pixels)
    assert np.array_equal(codec.decode(data, value_range=value_range), pixels)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip(np.round((values - low) / (high - low) * 255), 0, 255)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_the_first_window_of_the_file_is_used(function: str) -> None:
    content = dataset(WindowCenter=[400, 0], WindowWidth=[60, 9], VOILUTFunction=function)
    content.RescaleSlope, content.RescaleIntercept = 2, -500
    expected = processing.apply_windowing(VALUES * 2 - 500, content, index=0)
    low, high = 2 * np.array([-(2**15), 2**15 - 1]) - 500.0  # of what pydicom returns
    assert np.abs(gray(written(content)) - scaled(expected, low, high)).max() <= 1


def test_a_table_of_values_is_used_like_a_window() -> None:
    entry = Dataset()
    entry.LUTDescriptor = [100, 200, 16]  # entries, first value, bits
    entry.LUTData = (np.arange(0, 200, 2) * 257).astype("<u2").tobytes()
    shown = gray(dicom(VALUES.astype(np.uint16), VOILUTSequence=[entry]))
    assert np.array_equal(shown, np.clip((VALUES - 200) * 2, 0, 198))


def test_without_a_window_the_range_of_the_values_is_used() -> None:
    assert np.array_equal(gray(dicom()), scaled(VALUES, 0, VALUES.max()))
    padded = VALUES.copy()
    padded[0] = -2000
    data = dicom(padded, PixelPaddingValue=-2000)
    assert np.array_equal(gray(data)[1:], scaled(VALUES[1:], VALUES[1].min(), VALUES.max()))
    assert not gray(data)[0].any()


def test_a_range_that_is_given_is_one_of_rescaled_values() -> None:
    data = dicom(RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=1, WindowWidth=2)
    assert np.array_equal(gray(data, (-200, 300)), scaled(VALUES * 2.0 - 1024, -200, 300))


@pytest.mark.parametrize("value_range", [None, (100.0, 500.0)])
def test_monochrome1_is_inverted(value_range: tuple[float, float] | None) -> None:
    inverted = dicom(PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(gray(inverted, value_range), 255 - gray(dicom(), value_range))
    small = (VALUES // 8).astype(np.uint8)
    assert np.array_equal(gray(dicom(small, PhotometricInterpretation="MONOCHROME1")), 255 - small)


def test_8_bit_images_are_unchanged() -> None:
    small = (VALUES // 8).astype(np.uint8)
    assert np.array_equal(gray(dicom(small)), small)
    color = np.dstack([small, small + 9, 200 - small])
    assert np.array_equal(codec.decode(dicom(color)), color)
    wide = dicom(color.astype(np.uint16) * 16, BitsStored=12, HighBit=11)
    assert np.abs(codec.decode(wide) - color.astype(int)).max() <= 1


def test_12_bits_in_16_are_scaled_from_their_range() -> None:
    data = dicom(VALUES.astype(np.uint16), BitsStored=12, HighBit=11)
    assert np.array_equal(gray(data), scaled(VALUES, 0, VALUES.max()))


def test_the_first_of_several_frames_is_used() -> None:
    frames = np.stack([VALUES, VALUES[::-1]])
    content = dataset(NumberOfFrames=2)
    content.PixelData = frames.tobytes()
    assert np.array_equal(gray(written(content)), gray(dicom()))


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_compression_changes_nothing(tmp_path: Path, syntax: str) -> None:
    plain = dicom(VALUES.astype(np.uint16), WindowCenter=300, WindowWidth=400)
    packed = compressed(plain, tmp_path, LOSSLESS[syntax])
    assert packed[128:132] == b"DICM" and packed != plain
    assert np.array_equal(gray(packed), gray(plain))


def test_jpeg_with_12_bits_is_decoded(tmp_path: Path) -> None:
    y, x = np.mgrid[:64, :48]
    smooth = ((np.sin(x / 9) + np.cos(y / 7) + 2) * 1000).astype(np.uint16)
    plain = dicom(smooth, BitsStored=12, HighBit=11)
    packed = compressed(plain, tmp_path, gdcm.TransferSyntax.JPEGExtendedProcess2_4)
    difference = gray(packed, (0, 4000)).astype(int) - gray(plain, (0, 4000))
    assert len(packed) < len(plain) / 2 and np.abs(difference).max() <= 1
    with pytest.raises(ImageError, match="DICOM file"):
        codec.decode(packed[:-900])


def test_a_jpeg_with_12_bits_of_pydicom_has_its_values() -> None:
    """As in pydicom's tests with the library libjpeg."""
    path = Path(str(get_testdata_file("JPEG-lossy.dcm")))
    pixels = gray(path.read_bytes(), (0, 255))
    assert pixels.shape == (1024, 256) and (pixels[420, 140], pixels[230, 120]) == (244, 95)


def test_jpeg_is_decoded_as_pillow_does() -> None:
    color = np.zeros((32, 48, 3), np.uint8)
    color[:, 16:] = 200, 90, 30
    file = io.BytesIO()
    Image.fromarray(color).save(file, "JPEG", quality=95)
    content = dataset(color, PhotometricInterpretation="YBR_FULL_422")
    content.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    content.PixelData = encaps.encapsulate([file.getvalue()])
    decoded = codec.decode(written(content)).astype(int)
    assert np.abs(decoded - np.asarray(Image.open(file))).max() <= 2
    assert np.abs(decoded - color).mean() < 1


@pytest.mark.parametrize("order", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian])
def test_a_file_is_recognized_without_its_first_bytes(order: str) -> None:
    content = dataset()
    del content.file_meta
    file = io.BytesIO()
    is_implicit = order == uid.ImplicitVRLittleEndian
    pydicom.dcmwrite(file, content, implicit_vr=is_implicit, little_endian=True)
    data = file.getvalue()
    assert b"DICM" not in data and decoders.is_image(data[: decoders.HEAD_BYTES])
    assert np.array_equal(gray(data), gray(dicom()))


def test_a_file_may_start_as_a_tiff_file_does() -> None:
    content = dataset()
    content.preamble = b"II*\0" + bytes(124)
    assert np.array_equal(gray(written(content)), gray(dicom()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (dicom()[:-30], "number of bytes of pixel data is less than expected"),
        (dicom()[:200], "contains no pixel data"),
        (dicom(Rows=None), "cannot be read"),
        (dicom(WindowCenter=1, WindowWidth=12345).replace(b"12345", b"12x45"), "convert"),
        (dicom().replace(b"UL\x04\0", b"UL\x06\0", 1), "multiple of bytes per value"),
    ],
)
def test_a_damaged_file_is_an_error_with_the_reason(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=f"DICOM file.*{message}"):
        codec.decode(data)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_half_a_compressed_file_is_an_error(tmp_path: Path, syntax: str) -> None:
    noise = np.random.default_rng(0).integers(0, 999, (64, 64)).astype(np.uint16)
    data = compressed(dicom(noise), tmp_path, LOSSLESS[syntax])
    with pytest.raises(ImageError):
        codec.decode(data[: len(data) // 2])


def test_a_large_image_is_an_error_that_names_the_param() -> None:
    with pytest.raises(ImageError, match=r"too large: 9,000,000 pixels.*max_megapixels"):
        codec.decode(dicom(Rows=3000, Columns=3000), max_megapixels=1)
