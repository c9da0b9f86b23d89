"""Is a sky mask that somebody gives one, and does it lie on its image?

The outline of the sky runs along edges of the image. If it does so clearly better when the mask is
flipped or moved, then somewhere on the way the mask was flipped or moved.

The two limits were set on the 768 annotated images of the released training part: 2 of their masks
are doubted. Of the 404 masks with 2 to 98 % sky, 84 to 89 % are found when flipped; moved by 8, 16
or 32 pixels in the four directions, 18, 56 and 71 %.

Whether black and white are exchanged no edge can tell; that is judged by the predicted sky. Of the
same 768 masks none is doubted, and 747 are found when inverted.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

WORKING_SIDE = 320
REACH_PX = 32
SOFTNESS = 3.0  # an edge of so many times the mean gradient counts half
LONGEST_PX = 3000.0  # what is longer is not more certain: edges come in long pieces
FLIP_GAIN = 3.0  # below it: all masks as released but 2
SHIFT_GAIN = 4.3  # below it: all of them
AGREEMENT = 0.25  # of mask and prediction; as released all masks have 0.83 and more
SURE, SURE_ALONE = 0.75, 0.9  # least confidence to doubt a mask, and one that is all or nothing
WORTH_A_LOOK = 0.9  # confidence of a predicted sky, below which a person should see it
ALL_SKY, SURE_ALL_SKY = 0.98, 0.992  # share of sky, and what such images have that are all sky
UNSURE, DOUBTED = 0.85, 0.5  # confidence and doubt, where both are known
FLIPS = ("flipped left to right", "flipped upside down", "turned by 180 degrees")


@dataclass(frozen=True)
class SkyDoubt:
    """Something about a sky mask that a person should know.

    Parameters
    ----------
    kind : str
        "size", "values", "flipped", "shifted", "inverted", or what may well be meant: "empty",
        "full".
    text : str
        The sentence to show.
    """

    kind: str
    text: str

    @property
    def is_fault(self) -> bool:
        """Whether the mask is wrong, or likely to be."""
        return self.kind not in ("empty", "full")


def check_sky(image: np.ndarray, sky: np.ndarray) -> list[SkyDoubt]:
    """What is doubtful about a sky mask.

    Whether it is flipped or shifted is judged by how well its outline follows the edges of the
    image: in place, flipped, and moved by up to 32 pixels (a quarter of the shorter side at most).
    A short outline proves nothing, nor does a shift along a straight horizon.

    Parameters
    ----------
    image : ndarray, (H, W), uint8, uint16 or float32
    sky : ndarray, (H, W), bool, or the values of a mask file
        Sky is what is above half of the largest value.

    Returns
    -------
    list of SkyDoubt
        Empty if nothing is found; nothing else is looked at if the size is wrong.

    Raises
    ------
    ValueError
        If the image is not a gray image that has pixels.
    """
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"image must be (H, W) and not empty, got {image.shape}")
    if sky.shape != image.shape:
        return [SkyDoubt("size", f"the mask is {sky.shape}, the image {image.shape}")]
    doubts = _strange_values(sky)
    mask = sky if sky.dtype == np.bool_ else sky > sky.max() / 2
    if mask.all() or not mask.any():
        found = ("full", "all of it is sky") if mask[0, 0] else ("empty", "nothing of it is sky")
        return [*doubts, SkyDoubt(*found)]
    return doubts + _strange_place(image, mask)


def check_inverted(sky: np.ndarray, predicted: np.ndarray, confidence: float) -> list[SkyDoubt]:
    """Whether a sky mask is white where the ground is.

    Parameters
    ----------
    sky, predicted : ndarray, (H, W), bool
        The mask that is given, and what the network takes for sky.
    confidence : float
        Of the prediction, 0 to 1; one that is unsure proves nothing.

    Returns
    -------
    list of SkyDoubt
        One, of kind "inverted", or none.
    """
    uniform = sky.all() or not sky.any()
    if confidence < (SURE_ALONE if uniform else SURE) or (sky == predicted).mean() > AGREEMENT:
        return []
    shares = f"{sky.mean():.0%} of the mask is sky, of the image {predicted.mean():.0%} seems to be"
    return [SkyDoubt("inverted", f"{shares}, elsewhere: is the mask inverted (255 - x)?")]


def worth_a_look(confidence: float, share: float, doubt: float | None = None) -> bool:
    """Whether a person should look at a predicted sky.

    An image without horizon that the network has not met (a street, water, a field from above) is
    taken for nothing but sky, and surely. Its doubt finds such; where it is not known, what is all
    sky must be surer than others.

    Parameters
    ----------
    confidence : float
        Of the prediction, 0 to 1.
    share : float
        Of the image that is sky, 0 to 1.
    doubt : float, optional
        0 to 1, see `densesirst_gen.sky.doubt`.
    """
    if doubt is not None:
        return confidence < UNSURE or doubt >= DOUBTED
    return confidence < (SURE_ALL_SKY if share >= ALL_SKY else WORTH_A_LOOK)


def _strange_values(sky: np.ndarray) -> list[SkyDoubt]:
    if sky.dtype == np.bool_:
        return []
    white = sky.max() if sky.max() in (1, 255) else 255
    strange = (sky != 0) & (sky != white)
    if not strange.any():
        return []
    listed = ", ".join(f"{value:g}" for value in np.unique(sky[strange])[:5])
    text = f"values must be 0 and 255, or 0 and 1; {strange.sum()} pixels are not, such as {listed}"
    return [SkyDoubt("values", text)]


def _strange_place(image: np.ndarray, sky: np.ndarray) -> list[SkyDoubt]:
    flip, flip_gain, shift, shift_gain = place_gains(image, sky)
    if flip_gain > FLIP_GAIN and flip_gain >= shift_gain:
        return [SkyDoubt("flipped", f"the mask follows the image better {FLIPS[flip]}")]
    if shift_gain > SHIFT_GAIN:
        x, y = shift
        text = f"the mask follows the image better moved by {x:+d} px in x, {y:+d} px in y"
        return [SkyDoubt("shifted", text)]
    return []


def place_gains(image: np.ndarray, sky: np.ndarray) -> tuple[int, float, tuple[int, int], float]:
    """How much better the outline of the sky follows the image elsewhere than where it is.

    Agreement is the mean, along the outline, of the gradient of the image across it, each gradient
    pressed into the range to 1; a gain is the difference of two agreements times the square root of
    the length of the outline, as the error of such a mean falls.

    Parameters
    ----------
    image : ndarray, (H, W), any real dtype
    sky : ndarray, (H, W), bool
        Neither all nor nothing.

    Returns
    -------
    flip : int
        Place of the best in `FLIPS`.
    flip_gain : float
    shift : (int, int)
        The best way to move the mask, (x, y), pixels.
    shift_gain : float
        At least 0.
    """
    shrink = max(1.0, max(image.shape) / WORKING_SIDE)
    edges, outline = _edges(_reduced(image, shrink)), _gradient(_reduced(sky, shrink))
    length = float(np.abs(outline).sum()) + 1e-6
    flips = (-outline[:, ::-1].conj(), outline[::-1].conj(), -outline[::-1, ::-1])
    flipped = [abs(float(np.vdot(flip, edges).real)) / length for flip in flips]
    reach = min(round(REACH_PX / shrink), min(edges.shape) // 4)
    moved = np.abs(_correlation(outline, edges, reach)) / length
    here = moved[max(0, reach - 1) : reach + 2, max(0, reach - 1) : reach + 2].max()
    row, col = np.unravel_index(moved.argmax(), moved.shape)
    shift = round((int(col) - reach) * shrink), round((int(row) - reach) * shrink)
    weight = float(np.sqrt(min(length * shrink, LONGEST_PX)))
    best = int(np.argmax(flipped))
    return best, (flipped[best] - here) * weight, shift, (moved.max() - here) * weight


def _reduced(values: np.ndarray, shrink: float) -> np.ndarray:
    height, width = values.shape
    size = max(1, round(width / shrink)), max(1, round(height / shrink))
    finite = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    return cv2.resize(finite, size, interpolation=cv2.INTER_AREA)


def _gradient(values: np.ndarray) -> np.ndarray:
    """x in the real, y in the imaginary part."""
    smooth = cv2.GaussianBlur(values, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    x, y = (
        cv2.Sobel(smooth, cv2.CV_32F, *axis, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
        for axis in ((1, 0), (0, 1))
    )
    return x + np.complex64(1j) * y


def _edges(values: np.ndarray) -> np.ndarray:
    """The gradient, its strength pressed into the range from 0 to 1."""
    gradient = _gradient(values)
    strength = np.abs(gradient)
    return gradient / (strength + SOFTNESS * strength.mean() + 1e-20)


def _correlation(outline: np.ndarray, edges: np.ndarray, reach: int) -> np.ndarray:
    """(2 reach + 1) square: the products of both, outline moved by (row, col) - reach."""
    size = [cv2.getOptimalDFTSize(side + reach) for side in edges.shape]
    product = np.fft.fft2(outline, size).conj() * np.fft.fft2(edges, size)
    surface = np.roll(np.fft.ifft2(product).real, (reach, reach), (0, 1))
    return surface[: 2 * reach + 1, : 2 * reach + 1]
