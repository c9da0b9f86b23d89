"""A folder of sky masks: predicted ones, and those made by hand, which are never overwritten.

A predicted mask says so in its own file, with the digest of its pixels and the confidence. A mask
without that remark, or with other pixels than the remark says, was made or changed by a person.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from densesirst_gen.datasets import SceneFile
from densesirst_gen.datasets.layouts.devkit import palette_png
from densesirst_gen.datasets.notes import spread
from densesirst_gen.datasets.paths import MASK_SUFFIX, list_images, pair_masks, path_to_write
from densesirst_gen.files.atomic import RefusedError, pixel_digest, write_atomically
from densesirst_gen.files.images.codec import (
    CodecError,
    encode_png,
    png_text,
    read_mask,
    with_png_text,
)
from densesirst_gen.files.images.frames import unpacked
from densesirst_gen.files.regular import read_bytes
from densesirst_gen.files.workers import Progress, workers
from densesirst_gen.scene.picture import png, scene_panel
from densesirst_gen.scene.scene import Scene, SceneError
from densesirst_gen.sky.check import SkyDoubt, check_inverted, check_sky, worth_a_look
from densesirst_gen.sky.doubt import predict_with_doubt
from densesirst_gen.sky.limits import DOUBTFUL, LITTLE_SKY
from densesirst_gen.sky.predict import predict_sky

REMARK = "densesirst-gen sky"
INDEX = "sky.json"
SCHEMA = "densesirst-gen/sky@1"
SAMPLE, PREDICTED_SAMPLE = 24, 8
"""Images looked at before a build, and those of them whose sky is predicted for comparison."""
PREDICTED, HAND = "predicted", "hand"


@dataclass(frozen=True)
class SkyRow:
    """What is known of one image's sky mask.

    Parameters
    ----------
    name : str
    origin : str
        ``predicted`` or ``hand``.
    confidence : float or None
        Of a prediction: expected intersection over union with the truth. None for a mask by hand.
    share : float
        Of the image that is sky, 0 to 1.
    error : str
        Why there is no mask; empty if there is one.
    doubt : float or None
        Of a prediction, 0 to 1: whether what was taken for sky is any. None for a mask by hand.
    reason : str
        Of the doubt, in words; empty below 0.5.
    """

    name: str
    origin: str = PREDICTED
    confidence: float | None = None
    share: float = 0.0
    error: str = ""
    doubt: float | None = None
    reason: str = ""

    @property
    def is_little_and_unsure(self) -> bool:
        """Whether there is nothing to paste on, and little to look at."""
        unsure = self.confidence is not None and self.confidence < DOUBTFUL
        return unsure and self.share <= LITTLE_SKY and not self.reason

    @property
    def is_worth_a_look(self) -> bool:
        """Whether a person should look at this mask."""
        if self.confidence is None or self.is_little_and_unsure:
            return False
        return worth_a_look(self.confidence, self.share, self.doubt)

    @property
    def trust(self) -> float:
        """The lesser of confidence and what the doubt leaves, 0 to 1; 1 for a mask by hand."""
        return 1.0 if self.confidence is None else min(self.confidence, 1 - (self.doubt or 0.0))

    def record(self) -> dict[str, Any]:
        """The row as it is told in JSON."""
        return {**asdict(self), "worth_a_look": self.is_worth_a_look}


def predict_folder(
    files: Sequence[SceneFile],
    out: Path,
    *,
    palette: bool = False,
    overlay: Path | None = None,
    store: Path | None = None,
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> list[SkyRow]:
    """Predict the sky of some images into a folder of masks, and list them in ``sky.json``.

    Parameters
    ----------
    files : sequence of SceneFile
    out : Path
        Gets ``NAME.png`` for each. Masks made by hand that it holds are left as they are.
    palette : bool
        Indices 0 and 1 with a palette, the devkit's form, instead of 0 and 255.
    overlay : Path, optional
        Folder for pictures of the images with the sky's edge drawn.
    store, jobs, progress
        See `predict_sky` and `measure`.

    Returns
    -------
    list of SkyRow
        Least sure first; masks by hand come after all predictions.

    Raises
    ------
    RefusedError
        If a folder to write to is a symbolic link, or a mask would come in the place of an image.
    """
    check_targets(files, out)
    if overlay:
        check_targets(files, overlay)
    masks = masks_in(out, [file.name for file in files])
    task = partial(
        _predict_file, masks=masks, out=out, palette=palette, overlay=overlay, store=store
    )
    with workers(jobs, [__name__]) as mapped:
        rows = list(progress(mapped(task, files), len(files)))
    rows.sort(key=lambda row: (row.confidence is None, row.confidence, row.name))
    write_index(out, rows)
    return rows


def check_targets(files: Sequence[SceneFile], out: Path) -> None:
    """RefusedError if masks in a folder would take the place of images or of masks of targets."""
    folder = cache(Path.resolve)
    sources = (unpacked(path) for file in files for path in (file.image, file.mask) if path)
    taken = {folder(path.parent) / path.stem: path for path in sources}
    for file in files:
        path = path_to_write(out, f"{file.name}.png")
        if source := taken.get(folder(path.parent) / path.stem):
            raise RefusedError(f"{path} would come in the place of {source}: choose another folder")


def masks_in(out: Path, names: Iterable[str]) -> dict[str, Path]:
    """The sky masks of some scenes that a folder has, if there is such a folder.

    Raises
    ------
    DatasetError
        See `pair_masks`; predictions are named like their images and never in doubt.
    """
    masks, known = list_images(out, nested=True), set(names)
    alike = {n for n in known if n.endswith(MASK_SUFFIX) and n.removesuffix(MASK_SUFFIX) in known}
    ours = {n: masks[n] for n in alike if n in masks and hand_made(masks[n]) is None}
    others = {stem: path for stem, path in masks.items() if stem not in ours}
    return ours | pair_masks(others, known - ours.keys())


def check_masks(
    files: Sequence[SceneFile],
    *,
    store: Path | None = None,
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> dict[str, list[str]]:
    """What is wrong, or likely to be, with the sky masks of some images.

    Parameters
    ----------
    files : sequence of SceneFile
    store, jobs, progress
        See `predict_sky` and `measure`.

    Returns
    -------
    dict of str to list of str
        Only images of which there is something to say; see `densesirst_gen.sky.check`.
    """
    with workers(jobs, [__name__]) as mapped:
        task = partial(_check_file, predict=True, store=store)
        found = dict(progress(mapped(task, files), len(files)))
    texts = {name: found[name].texts for name in sorted(found)}
    return {name: listed for name, listed in texts.items() if listed}


def mask_note(files: Sequence[SceneFile], *, store: Path | None = None) -> str:
    """A sentence if given masks do not seem to belong to their images; empty if they do.

    Looks at up to 24 images, evenly spread, and speaks when the place of a quarter of the masks,
    and of three at least, is doubtful: a single one is named wrongly now and then. The sky of up to
    8 of them is predicted (about a second): it speaks as well if a quarter of their masks seem to
    be inverted, and three, or all if there are fewer.

    Parameters
    ----------
    files : sequence of SceneFile
    store
        See `predict_sky`: what is in it takes no time.
    """
    looked = spread([file for file in files if file.sky], SAMPLE)
    compared = {file.name for file in spread(looked, PREDICTED_SAMPLE)}
    found = [_check_file(file, predict=file.name in compared, store=store) for file in looked]
    inverted = {name: doubts for name, doubts in found if doubts.has("inverted")}
    if inverted and len(inverted) >= max(min(3, len(compared)), len(compared) / 4):
        return _doubt_note(inverted, f"of {len(compared)} sky masks compared with predictions")
    doubtful = {name: doubts for name, doubts in found if doubts.texts}
    if len(doubtful) < max(3, len(looked) / 4):
        return ""
    return _doubt_note(doubtful, f"of {len(looked)} sky masks looked at")


def prediction_note(files: Sequence[SceneFile], *, store: Path | None = None) -> str:
    """A sentence if skies that will be predicted and pasted on are doubtful; empty if they are not.

    Looks at up to 24 images without a mask, evenly spread.

    Parameters
    ----------
    files : sequence of SceneFile
    store
        See `predict_sky`.
    """
    looked = spread([file for file in files if file.sky is None], SAMPLE)
    found = {file.name: _doubt_of(file, store) for file in looked}
    doubtful = {name: _Doubts([reason]) for name, reason in found.items() if reason}
    if not doubtful:
        return ""
    return _doubt_note(doubtful, f"of {len(looked)} predicted skies looked at", "sky")


def _doubt_of(file: SceneFile, store: Path | None) -> str:
    """Why a predicted sky is doubtful that is pasted on; empty if it is not, or nothing is."""
    try:
        prediction, doubt = predict_with_doubt(replace(file, mask=None).load(), store=store)
    except (CodecError, SceneError, OSError):
        return ""
    return doubt.reason if prediction.confidence >= DOUBTFUL else ""


def _doubt_note(doubtful: Mapping[str, _Doubts], of: str, command: str = "sky check") -> str:
    name, doubts = next(iter(doubtful.items()))
    return (
        f"{len(doubtful)} {of} are doubtful, such as {name}: {doubts.texts[-1]}; "
        f"densesirst-gen {command} has all"
    )


class _Doubts(NamedTuple):
    """What is doubtful about one mask."""

    texts: list[str]
    kinds: tuple[str, ...] = ()

    def has(self, kind: str) -> bool:
        return kind in self.kinds


def _check_file(
    file: SceneFile, *, predict: bool, store: Path | None = None
) -> tuple[str, _Doubts]:
    try:
        scene, notes = file.load_with_notes()
    except (CodecError, SceneError, OSError) as error:
        return file.name, _Doubts([str(error)])
    if scene.sky is None:
        return file.name, _Doubts(["no sky mask"])
    doubts = [doubt for doubt in check_sky(scene.image, scene.sky) if doubt.is_fault]
    doubts += _compared(scene, store) if predict and not doubts else []
    told = [note for note in notes if note.startswith("sky")]
    texts = [*told, *(doubt.text for doubt in doubts)]
    return file.name, _Doubts(texts, tuple(doubt.kind for doubt in doubts))


def _compared(scene: Scene, store: Path | None) -> list[SkyDoubt]:
    assert scene.sky is not None
    prediction = predict_sky(scene, store=store)
    return check_inverted(scene.sky, prediction.sky, prediction.confidence)


def write_index(out: Path, rows: Iterable[SkyRow]) -> None:
    """Write ``sky.json``: what is known of each mask, keeping what it says of other images."""
    images = _indexed(out) | {row.name: row.record() for row in rows}
    for values in images.values():
        values.pop("name", None)
    document = {"schema": SCHEMA, "images": dict(sorted(images.items()))}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path_to_write(out, INDEX), f"{text}\n".encode())


def write_mask(out: Path, name: str, sky: np.ndarray, *, palette: bool, remark: str = "") -> None:
    """Write ``NAME.png``, the remark in it."""
    data = palette_png("SkySeg", sky) if palette else encode_png(sky.astype(np.uint8) * 255)
    if remark:
        data = with_png_text(data, REMARK, remark)
    write_atomically(path_to_write(out, f"{name}.png"), data)


def hand_made(path: Path) -> np.ndarray | None:
    """The mask if a person made or changed it; None if it is a prediction as it was written.

    Raises
    ------
    CodecError
        If the file can't be read.
    """
    sky = read_mask(path, sparse=False).array
    try:
        remark = json.loads(png_text(path).get(REMARK, "{}"))
    except ValueError:
        remark = {}
    return None if remark.get("pixel_sha256") == pixel_digest(sky) else sky


def _predict_file(
    file: SceneFile,
    *,
    masks: Mapping[str, Path],
    out: Path,
    palette: bool,
    overlay: Path | None,
    store: Path | None,
) -> SkyRow:
    try:
        scene = file.load()
        there = masks.get(file.name)
        made = hand_made(there) if there else None
        if made is not None and made.shape != scene.shape:
            raise SceneError(f"{there}: mask is {made.shape}, image is {scene.shape}")
    except (CodecError, SceneError, OSError) as error:
        return SkyRow(file.name, error=str(error))
    if made is None:
        prediction, doubt = predict_with_doubt(scene, store=store)
        sky, confidence = prediction.sky, round(prediction.confidence, 4)
        remark = {"confidence": confidence, "pixel_sha256": pixel_digest(sky)}
        write_mask(out, file.name, sky, palette=palette, remark=json.dumps(remark))
        share = round(float(sky.mean()), 4)
        row = SkyRow(
            file.name, PREDICTED, confidence, share, doubt=doubt.value, reason=doubt.reason
        )
    else:
        sky, row = made, SkyRow(file.name, HAND, None, round(float(made.mean()), 4))
    if overlay:
        picture = png(scene_panel(replace(scene, sky=sky)))
        write_atomically(path_to_write(overlay, f"{file.name}.png"), picture)
    return row


def _indexed(out: Path) -> dict[str, dict[str, Any]]:
    try:
        return dict(json.loads(read_bytes(out / INDEX))["images"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
