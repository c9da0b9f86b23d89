"""Which scene each result is of: the one place where ids and names of images are resolved.

``file_name`` counts first. A text is a name, see `scene_names`. A whole number may be the id of an
image in the dataset's COCO file, or the number that a scene's name is: YOLO has ``int(stem)``.
Where both are possible and they differ, nobody but the user can tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from densesirst_gen.datasets import Dataset
from densesirst_gen.datasets.parts.names import (
    SceneNames,
    folded_parts,
    whole_number,
    without_suffixes,
)
from densesirst_gen.detection.evaluation.coco_results import image_names, read_document
from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.readers.results import Image

IDS = ("coco", "stem")
"""What a whole number is: an id of the COCO file, or the number in the scene's name."""

Readings = dict[int, str]


def scenes_of_images(
    source: Path, images: Iterable[Image], dataset: Dataset, names: SceneNames, ids: str | None
) -> tuple[dict[Image, str], list[str]]:
    """The scene of each image that has one, and notes on how numbers were read.

    Parameters
    ----------
    source : Path
        The predictions, for messages.
    images : iterable of Image
    dataset : Dataset
        Its COCO file (in other layouts ``annotations.json``, which builds have) says what ids mean.
    names : SceneNames
        Of the dataset.
    ids : "coco" or "stem", optional
        What numbers are. None: the reading that is possible.

    Raises
    ------
    PredictionError
        If numbers can be read in two ways, or mean nothing, or two images are one scene.
    """
    by_text = {image: names.find(_text(image)) if _text(image) else None for image in images}
    found = {image: name for image, name in by_text.items() if name is not None}
    left = {image: _number(image) for image in by_text if image not in found}
    numbers = {image: n for image, n in left.items() if n is not None}
    scenes, notes = _read_numbers(source, sorted(set(numbers.values())), dataset, names, ids)
    found |= {image: scenes[n] for image, n in numbers.items() if n in scenes}
    _check_one_each(source, found)
    return found, notes


def _text(image: Image) -> str:
    if image.file_name is not None:
        return image.file_name
    return image.id if isinstance(image.id, str) else ""


def _number(image: Image) -> int | None:
    if image.file_name is not None:
        return None
    return image.id if isinstance(image.id, int) else whole_number(image.id)


def _read_numbers(
    source: Path, numbers: list[int], dataset: Dataset, names: SceneNames, ids: str | None
) -> tuple[Readings, list[str]]:
    """The scene of each number that has one."""
    if not numbers:
        return {}, []
    file = dataset.annotations or dataset.root / "annotations.json"
    listed = {} if ids == "stem" else _coco_ids(file)
    stems = {n: name for n in numbers if (name := names.numbered(n)) is not None}
    coco = {n: name for n in numbers if n in listed and (name := names.find(listed[n])) is not None}
    chosen = ids or _likely(source, file, numbers, coco, stems)
    if ids is None and chosen == "coco":
        _check_shift(source, file, set(numbers), listed.keys())
    if chosen == "coco" and not file.is_file():
        raise PredictionError(
            f"{source}: image ids are numbers, and there is no COCO file {file} that says what "
            "they mean; use scene names as image_id"
        )
    readings = coco if chosen == "coco" else stems
    is_plain = ids is not None or all(
        readings.get(n) == name == coco.get(n) for n, name in stems.items()
    )
    return readings, [] if is_plain else [_note(file, numbers, coco, stems, chosen)]


def _likely(source: Path, file: Path, numbers: list[int], coco: Readings, stems: Readings) -> str:
    """The reading under which every number is a scene's, if only one is such.

    Raises
    ------
    PredictionError
        If numbers are ids of one scene and names of another, and both readings are as good.
    """
    both = [n for n in coco if n in stems and coco[n] != stems[n]]
    if not both and (coco.keys() <= stems.keys() or stems.keys() <= coco.keys()):
        return "stem" if len(stems) > len(coco) else "coco"
    if (len(coco) == len(numbers)) != (len(stems) == len(numbers)):
        return "coco" if len(coco) == len(numbers) else "stem"
    n = both[0] if both else min(stems.keys() - coco.keys())
    as_id = f"the id of {coco[n]} in {file.name}" if n in coco else f"no id in {file.name}"
    raise PredictionError(
        f"{source}: image_id {n} is {as_id}, and the number in the name of scene {stems[n]}; "
        "say --ids coco or --ids stem, or give each result its file_name"
    )


def _note(file: Path, numbers: list[int], coco: Readings, stems: Readings, chosen: str) -> str:
    """Which of two readings was taken, and why."""
    if chosen == "stem":
        other = next((n for n in numbers if n not in coco), None)
        why = "" if other is None or not file.is_file() else f"; {other} is no id in {file.name}"
        n, name = next(iter(stems.items()))
        return f"image_id is read as the number in a scene's name: {n} is {name}{why}"
    other = next(n for n in numbers if stems.get(n) != coco.get(n))
    why = f"; the name of scene {stems[other]} is {other}" if other in stems else ""
    return f"image_id is read as an id of {file.name}: {other} is {coco.get(other)}{why}"


def _coco_ids(file: Path) -> dict[int, str]:
    """File names by those ids of a COCO file that are numbers; none if there is no such file."""
    if not file.is_file():
        return {}
    document = read_document(file)
    images = image_names(file, document.get("images") if isinstance(document, dict) else None)
    numbers = {key: whole_number(str(key)) for key in images}
    return {n: images[key] for key, n in numbers.items() if n is not None}


def _check_shift(source: Path, file: Path, numbers: set[int], listed: Collection[int]) -> None:
    """PredictionError if the numbers are the ids of the file but for one, before or behind them."""
    outside = numbers - set(listed)
    if listed and outside and outside <= {min(listed) - 1, max(listed) + 1}:
        raise PredictionError(
            f"{source}: image_id goes from {min(numbers)} to {max(numbers)}, the ids in "
            f"{file.name} from {min(listed)} to {max(listed)}: are they counted from another "
            "number? say --ids coco to leave the others out, or give each result its file_name"
        )


def _check_one_each(source: Path, found: Mapping[Image, str]) -> None:
    """PredictionError if two images of the results are one scene."""
    first: dict[str, Image] = {}
    for image, name in found.items():
        other = first.setdefault(name, image)
        if _identity(other) != _identity(image):
            raise PredictionError(
                f"{source}: {other.text} and {image.text} both mean scene {name}; give the names "
                "of scenes"
            )


def _identity(image: Image) -> tuple[str, ...] | int:
    number = _number(image)
    return folded_parts(without_suffixes(_text(image))) if number is None else number
