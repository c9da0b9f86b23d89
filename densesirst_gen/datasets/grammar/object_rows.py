"""A line for each image with its objects, as ``metadata.jsonl`` of Hugging Face datasets has it.

``objects`` is a mapping of lists, one entry for each target: ``bbox`` xywh, ``categories``,
``area``, ``id`` and, as far as they are known, ``segmentation`` (run lengths of COCO), ``points``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = dict[str, Any]
CATEGORY = 0
"""Of a target, in ``categories``."""


def object_row(
    name: str,
    image: Mapping[str, Any],
    annotations: Sequence[Mapping[str, Any]],
    files: Mapping[str, str],
    first_id: int,
) -> Record:
    """The line of an image.

    Parameters
    ----------
    name : str
        Of the scene.
    image : mapping
        Its record of COCO, with the id that it shall have.
    annotations : sequence of mapping
        Its records of COCO, as from `coco_image` and `coco_boxes`.
    files : mapping of str to str
        ``image``, ``mask`` and ``sky``, as far as there are, -> path relative to the line's file.
    first_id : int
        Of the annotations, which are numbered from it on.
    """
    codes = [record.get("segmentation") for record in annotations]
    points = [record.get("attributes", {}).get("point") for record in annotations]
    names = {"image": "file_name", "mask": "mask_file_name", "sky": "sky_file_name"}
    return {
        **{column: files.get(kind) for kind, column in names.items()},
        "name": name,
        "image_id": image["id"],
        "width": image["width"],
        "height": image["height"],
        "objects": {
            "id": list(range(first_id, first_id + len(annotations))),
            "bbox": [record["bbox"] for record in annotations],
            "area": [float(record["area"]) for record in annotations],
            "categories": [CATEGORY] * len(annotations),
            "iscrowd": [record["iscrowd"] for record in annotations],
            "segmentation": [code["counts"] if code else None for code in codes],
            "points": points,
        },
    }


def objects_of(row: Mapping[str, Any]) -> Iterable[Record]:
    """The objects of a line, a mapping each, whether they are written as lists or one by one.

    Raises
    ------
    ValueError
        If they are written in another way, or the lists are not equally long.
    """
    objects = row.get("objects")
    if objects is None:
        return []
    if isinstance(objects, list) and all(isinstance(one, dict) for one in objects):
        return objects
    if not isinstance(objects, dict):
        raise ValueError(f"objects are {str(objects)[:40]!r}, not lists by name")
    columns = {name: values for name, values in objects.items() if isinstance(values, list)}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the lists of objects are not equally long: {lengths}")
    n = next(iter(lengths.values()), 0)
    return [{name: values[k] for name, values in columns.items()} for k in range(n)]
