"""Stack TIFFs as sequences: the frames of an image and of its mask are scenes, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from densesirst_gen.datasets.paths import DatasetError, examples, unique
from densesirst_gen.files.images.codec import CodecError, read_head
from densesirst_gen.files.images.frames import frames_in


def in_frames(files: Mapping[str, Path]) -> dict[str, Path]:
    """Files by name, and of a stack its frames: ``clip/0000``, ``clip/0001``, ...

    Parameters
    ----------
    files : mapping of str to Path
        By the names of scenes, or what would be a scene if it were one image.

    Raises
    ------
    DatasetError
        If a frame is called like a file of a folder.
    """
    return unique(
        pair
        for name, path in files.items()
        for pair in (_named(name, frames_in(path)) or {name: path}).items()
    )


def masks_in_frames(masks: Mapping[str, Path], images: Mapping[str, Path]) -> dict[str, Path]:
    """The masks of images by the names of `in_frames`: frame by frame.

    A mask that can't be read is that of every frame of its image, so that they are set aside.

    Parameters
    ----------
    masks, images : mapping of str to Path
        By the same names; images also of others.

    Raises
    ------
    DatasetError
        If a mask has another number of frames than its image.
    """
    found: dict[str, Path] = {}
    for name, mask in masks.items():
        frames, wanted = frames_in(mask), frames_in(images[name])
        if len(frames) != len(wanted):
            _check_number(mask, frames, images[name], wanted)
        found |= _named(name, frames) or dict.fromkeys(_named(name, wanted) or [name], mask)
    return found


def stack_notes(images: Mapping[str, Path]) -> list[str]:
    """How many images are stacks, and how many scenes they are."""
    stacks = {path: n for path in images.values() if (n := len(frames_in(path)))}
    if not stacks:
        return []
    which = examples(path.name for path in stacks)
    n = len(stacks)
    words = "1 stack TIFF is" if n == 1 else f"{n} stack TIFFs are"
    return [f"{words} read frame by frame, {sum(stacks.values())} scenes: {which}"]


def _named(name: str, frames: Iterable[Path]) -> dict[str, Path]:
    return {f"{name}/{frame.stem}": frame for frame in frames}


def _check_number(
    mask: Path, frames: tuple[Path, ...], image: Path, wanted: tuple[Path, ...]
) -> None:
    """DatasetError for two numbers; a file that can't be read is told of when its scene is."""
    try:
        for path in (path for path in (mask, image) if not frames_in(path)):
            read_head(path)
    except CodecError:
        return
    raise DatasetError(
        f"{mask}: {_counted(frames)}, but its image {image.name} has {_counted(wanted)}: "
        "a stack and its masks have as many frames"
    )


def _counted(frames: tuple[Path, ...]) -> str:
    return f"{len(frames)} frames" if frames else "1 frame"
