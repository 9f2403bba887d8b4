"""Verify that one image is a copy of another: re-encoded, cropped, mirrored or recolored.

A copy has the same details at the same positions; different photos of a scene do not. First,
thumbnails are matched at several scales. If that succeeds, larger versions are aligned, and their
details (high frequencies, normalized by local contrast, so that outlines do not dominate) must
correlate.
"""

import itertools
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F

SCALES = (1.0, 0.93, 0.86, 0.79)  # of each axis of a crop
EVEN = [(scale, scale) for scale in SCALES]
MAX_STRETCH = 0.1  # maximum difference between the scales of both axes
STRETCHED = [
    (tall, wide)
    for tall, wide in itertools.product(SCALES, SCALES)
    if 0 < abs(tall - wide) <= MAX_STRETCH
]
ROUGH = 0.78  # correlation of thumbnails
HOPELESS = 0.55  # below it, stretched crops are not tried
ROUNDING = 0.01  # of correlations
SURE = 0.87  # correlation of details
TINY = 24  # pixels: images with a shorter side have too few details
WHOLE = 0.97  # share of the area
SIDE = 128  # pixels of the longer side when aligned
STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
NOISE = 4.0  # gray levels; weaker details count less
MIN_OVERLAP = 0.55  # of the aligned images


Box = tuple[float, float, float, float]  # left, top, width and height, as fractions


class Match(NamedTuple):
    """How well images a and b match after alignment."""

    correlation: float  # of details in the overlap
    mirrored: bool
    share: float  # of the area of one image that the other one covers


class Rough(NamedTuple):
    """Position of one image's thumbnail within the other's."""

    correlation: float
    mirrored: bool
    swapped: bool  # a is within b
    box: Box


def rough(a: np.ndarray, b: np.ndarray) -> Rough:
    """The best match of b within a, or of a within b: uint8 [S, S] each."""
    best = Rough(-1.0, False, False, (0, 0, 1, 1))
    for scales in (EVEN, STRETCHED):
        for mirrored, swapped in itertools.product((False, True), (False, True)):
            inner = b[:, ::-1] if mirrored else b
            whole, part = (inner, a) if swapped else (a, inner)
            for tall, wide in scales:
                if swapped and tall == wide == 1.0:
                    continue
                correlation, box = _find(whole, part, tall, wide)
                if correlation > best.correlation:
                    best = Rough(correlation, mirrored, swapped, box)
        if best.correlation < HOPELESS:
            break
    return best


@torch.inference_mode()
def plausible(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether `rough` may find a match, for pairs of thumbnails at once: uint8 [P, S, S] each,
    bool [P]. It is False only where `rough` would find all even scales hopeless.
    """
    first, second = (torch.from_numpy(pixels).float() for pixels in (a, b))
    first -= first.mean(dim=(1, 2), keepdim=True)  # else little contrast is lost in rounding
    second -= second.mean(dim=(1, 2), keepdim=True)
    best = torch.full([len(a)], -1.0)
    for scale in SCALES:
        side = round(a.shape[1] * scale)
        eye = np.eye(a.shape[1], dtype=np.float32)
        shrink = torch.from_numpy(cv2.resize(eye, (len(eye), side), interpolation=cv2.INTER_AREA))
        window = torch.ones(1, 1, side).div(side)  # the mean at each position
        window = F.conv1d(torch.from_numpy(eye)[:, None], window)[:, 0].T
        for whole, part in ((first, second), (second, first)):
            small = shrink @ part @ shrink.T
            small -= small.mean(dim=(1, 2), keepdim=True)
            small /= small.norm(dim=(1, 2), keepdim=True).clamp(min=1e-6)
            mean, squares = (window @ each @ window.T for each in (whole, whole**2))
            length = side * (squares - mean**2).clamp(min=1e-9).sqrt()
            for turned in (small, small.flip(2)):
                found = F.conv2d(whole[None], turned[:, None], groups=len(a))[0]
                best = torch.maximum(best, (found / length).amax(dim=(1, 2)))
    return (best >= HOPELESS - ROUNDING).numpy()


def _find(whole: np.ndarray, part: np.ndarray, tall: float, wide: float) -> tuple[float, Box]:
    """Correlation and position of the best match of the part, scaled to these fractions of the
    sides, in the whole.
    """
    side = len(whole)
    height, width = round(side * tall), round(side * wide)
    small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    found = cv2.matchTemplate(whole, small, cv2.TM_CCOEFF_NORMED)
    _, correlation, _, (left, top) = cv2.minMaxLoc(found)
    box = left / side, top / side, width / side, height / side
    return (float(correlation) if np.isfinite(correlation) else -1.0), box


def match(a: np.ndarray, b: np.ndarray, start: Rough) -> Match:
    """Align b to a from a rough match, and compare their details: uint8 [H, W, 3] each."""
    if start.mirrored:
        b = b[:, ::-1]
    whole, part = (b, a) if start.swapped else (a, b)
    whole, part = _level(whole), _level(part)
    left, top, width, height = start.box
    (rows, columns), (part_rows, part_columns) = whole.shape, part.shape
    # Maps the pixels of the part to those of the whole.
    warp = np.array(
        [
            [width * columns / part_columns, 0, left * columns],
            [0, height * rows / part_rows, top * rows],
        ],
        np.float32,
    )
    try:
        _, warp = cv2.findTransformECC(part, whole, warp, cv2.MOTION_AFFINE, STEPS, None, 3)
    except cv2.error:  # no convergence
        return Match(0.0, start.mirrored, 0.0)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = part.shape[::-1]
    moved = cv2.warpAffine(whole, warp, size, flags=flags)
    inside = cv2.warpAffine(np.ones_like(whole), warp, size, flags=flags) > 0.99
    inside = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    overlap = float(inside.mean())
    if overlap < MIN_OVERLAP or abs(warp[0, 1]) + abs(warp[1, 0]) > 0.1:
        return Match(0.0, start.mirrored, 0.0)
    share = abs(float(np.linalg.det(warp[:, :2]))) * part.size / whole.size
    correlation = _correlation(_details(part)[inside], _details(moved)[inside])
    return Match(correlation, start.mirrored, min(1.0, share))


def _level(pixels: np.ndarray) -> np.ndarray:
    """Downsized grayscale image: float32 [h, w]."""
    gray = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    scale = min(1.0, SIDE / max(gray.shape))
    size = max(8, round(gray.shape[1] * scale)), max(8, round(gray.shape[0] * scale))
    return cv2.resize(gray, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _details(level: np.ndarray) -> np.ndarray:
    band = cv2.GaussianBlur(level, (0, 0), 0.7) - cv2.GaussianBlur(level, (0, 0), 4.0)
    strength = np.sqrt(cv2.GaussianBlur(band * band, (0, 0), 4.0))
    details: np.ndarray = band / (strength + NOISE)
    return details


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / size) if size > 1e-3 else 0.0
