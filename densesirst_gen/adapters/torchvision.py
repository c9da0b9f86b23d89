"""`BagCopyPaste` as a torchvision v2 transform, on samples of tv_tensors in any nesting.

    v2.Compose([BagCopyPaste("targets.npz"), v2.RandomHorizontalFlip()])(image, target)

What is what is seen by type; the rest by key. Under ``sky`` is the sky mask, a `Mask`, so that it
follows flips and crops; tensors under ``labels``, ``iscrowd`` and ``area`` have a row for each
target; where a sample has a key ``n_pasted`` or ``skip_reason``, it gets that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten_with_path, tree_unflatten

from densesirst_gen.augment.bag_copy_paste import BagCopyPaste as Core
from densesirst_gen.augment.bag_copy_paste import refuse_seed
from densesirst_gen.augment.lists import PER_IMAGE, check_held, check_label, check_rows
from densesirst_gen.augment.masks import extended_stack, on_value
from densesirst_gen.augment.pasted import Pasted, pasted
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.library import TargetLibrary

try:
    from torchvision import tv_tensors
    from torchvision.transforms import v2
except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
    raise ImportError(
        f"densesirst_gen.adapters.torchvision needs a torchvision that fits torch: {error}"
    ) from error

TYPES = {
    tv_tensors.Image: "image",
    tv_tensors.Mask: "mask",
    tv_tensors.BoundingBoxes: "bboxes",
    tv_tensors.KeyPoints: "points",
}
LISTS = ("labels", "iscrowd", "area")
PLACES = ("bboxes", "mask", "points")
"""Where a sample says which pixels its targets have."""
NOTES = ("n_pasted", "skip_reason")
XYXY = tv_tensors.BoundingBoxFormat.XYXY


class BagCopyPaste(v2.Transform):
    """Paste clusters of targets into the sky.

    A sample has one `Image` (C, H, W) of 1 or 3 channels, and as far as there are: a sky mask; one
    `Mask` of targets, (H, W) as in `densesirst_gen.augment.masks`, or (N, H, W) with one mask for
    each target, whose own value (1, 255) the new ones get; upright `BoundingBoxes`; `KeyPoints`
    (N, 2). New targets come last everywhere. A target without boxes, masks and points, as COCO
    images without objects have it, is refused: its new targets would have no labels. Chance comes
    from ``torch.manual_seed``, as for all transforms of torchvision.

    Parameters
    ----------
    library : TargetLibrary, str or Path
    config : PasteConfig, str or mapping, optional
    sky_key : str
        Key of the sky mask in the sample.
    fill : mapping, optional
        Keys of further lists with a row for each target, and what new targets have there. Any
        other list as long as the boxes and beside them is refused.
    **settings
        See `densesirst_gen.BagCopyPaste`: p, sky, sky_store, label, mask_value, span, and fields of
        `PasteConfig`.
    """

    def __init__(
        self,
        library: TargetLibrary | str | Path,
        config: PasteConfig | str | Mapping[str, Any] | None = None,
        *,
        sky_key: str = "sky",
        fill: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        refuse_seed(settings, "torch.manual_seed")
        self.core = Core(library, config, **settings)
        self.sky_key, self.fill = sky_key, dict(fill or {})

    def forward(self, *inputs: Any) -> Any:
        """Paste into one sample; its nesting stays.

        Raises
        ------
        ValueError
            If the sample has no image, or two of what there may be one of; if a list can't grow, or
            no list says where targets are; if the sky is no `Mask`.
        """
        sample = inputs if len(inputs) > 1 else inputs[0]
        found, spec = tree_flatten_with_path(sample)
        leaves = [leaf for _, leaf in found]
        places: dict[str, int] = {}
        for k, (path, leaf) in enumerate(found):
            name = self._name(path, leaf)
            if name and name in places:
                raise ValueError(f"a sample may have one of each kind, got two: {name}")
            places |= {name: k} if name else {}
        self._check(sample, found, places)
        made = self._paste({name: leaves[k] for name, k in places.items()})
        for name, value in made.items():
            leaves[places[name]] = value
        return tree_unflatten(leaves, spec)

    @property
    def _lists(self) -> tuple[str, ...]:
        return (*LISTS, *self.fill)

    def _name(self, path: tuple[Any, ...], leaf: Any) -> str:
        """Our name of a leaf; empty if it is none of our business."""
        key = getattr(path[-1], "key", None) if path else None
        if key == self.sky_key and leaf is not None and self.core.config.region != "anywhere":
            if not isinstance(leaf, tv_tensors.Mask):
                raise ValueError(
                    f"{key} must be a tv_tensors.Mask, or it would not follow flips and crops, got "
                    f"{type(leaf).__name__}"
                )
            return "sky"
        if key == self.sky_key:
            return ""
        if key in NOTES or (key in self._lists and isinstance(leaf, torch.Tensor)):
            return str(key)
        return TYPES.get(type(leaf), "")

    def _check(self, sample: Any, found: list[Any], places: dict[str, int]) -> None:
        """Whether every list of the targets grows, and there is one at all."""
        known = [name for name in PLACES if name in places]
        if not known:
            self._check_unlabelled(sample)
            return
        rows = {name: found[places[name]][1] for name in known}
        if "mask" in rows and rows["mask"].ndim != 3:
            del rows["mask"]
        lists = {name: found[places[name]][1] for name in self._lists if name in places}
        for name, value in lists.items():
            if value.ndim != 1:
                raise ValueError(f"{name} must be (N,), got {tuple(value.shape)}")
        for name in known:
            for key, value in _beside(sample, found[places[name]][0]):
                self._check_list(key, value, {len(each) for each in rows.values()})
        check_rows(rows | lists)

    def _check_list(self, key: Any, value: Any, lengths: set[int]) -> None:
        """One of what lies beside boxes, masks or points."""
        if key in self._lists:
            if value is not None and not isinstance(value, torch.Tensor):
                raise ValueError(
                    f"{key} must be a tensor with a row for each target, got {type(value).__name__}"
                )
        elif key not in (self.sky_key, *NOTES, *PER_IMAGE) and _n_rows(value) in lengths:
            raise ValueError(
                f"{key!r} has {_n_rows(value)} rows, as many as there are targets, and would not "
                f"get those of new ones: say fill={{{key!r}: ...}}, or take it out of the sample"
            )

    def _check_unlabelled(self, sample: Any) -> None:
        """Raise ValueError if there is a target that nothing of could grow."""
        for mapping in _mappings(sample):
            keys = [key for key in mapping if key not in (self.sky_key, *NOTES)]
            of_image = [key for key in keys if key in (*self._lists, "image_id")]
            if of_image if _holds_image(mapping) else keys or not mapping:
                raise ValueError(
                    "the sample has no BoundingBoxes, Mask or KeyPoints, so new targets would have "
                    f"no labels; it has {', '.join(map(str, keys)) or 'an empty target'}: give "
                    "empty ones, such as BoundingBoxes of shape (0, 4) with labels of shape (0,)"
                )

    def _paste(self, found: dict[str, Any]) -> dict[str, Any]:
        """New values of what changes."""
        if "image" not in found:
            raise ValueError("BagCopyPaste needs a tv_tensors.Image in the sample, got none")
        arrays: dict[str, Any] = {
            name: _array(name, found[name]) for name in found if name not in (*self._lists, *NOTES)
        }
        stack = arrays.get("mask", np.zeros((0, 0)))
        if stack.ndim == 3:
            on_value(stack, self.core.mask_value)
            arrays["mask"] = (stack != 0).any(axis=0)
        rng = np.random.default_rng(int(torch.randint(2**63 - 1, ())))
        out = self.core(**arrays, rng=rng, return_plan=True)
        new = pasted(out["plan"], self.core.library, arrays["image"].shape[1])
        if stack.ndim == 3:
            out["mask"] = extended_stack(stack, new, self.core.mask_value)
        out["image"] = out["image"].transpose(2, 0, 1)
        made = {name: out[name] for name in NOTES if name in found}
        for name in ("image", "mask", "points"):
            if name in found:
                made[name] = _like(name, np.ascontiguousarray(out[name]), found[name])
        if "bboxes" in found:
            made["bboxes"] = _with_boxes(found["bboxes"], new)
        rows = {"labels": self.core.label, "iscrowd": 0, "area": new.areas} | self.fill
        for name in self._lists:
            if name in found:
                if name != "area":
                    check_label(name, _numbers(found[name]), rows[name])
                column = np.broadcast_to(rows[name], len(new.areas))
                made[name] = _extended(name, found[name], column)
        return made


def _beside(sample: Any, path: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """What the container of a leaf holds beside it, with keys or places."""
    container = sample
    for step in path[:-1]:
        container = step.get(container)
    if isinstance(container, Mapping):
        items = list(container.items())
    else:
        items = list(enumerate(container)) if isinstance(container, list | tuple) else []
    own = (*TYPES, Mapping)
    return [(key, value) for key, value in items if not isinstance(value, own)]


def _n_rows(value: Any) -> int:
    """Rows of a list; -1 for what is none."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return len(value) if value.ndim else -1
    return len(value) if isinstance(value, list | tuple) else -1


def _mappings(sample: Any) -> Iterator[Mapping[Any, Any]]:
    """All mappings in a sample."""
    if isinstance(sample, Mapping):
        yield sample
    parts = sample.values() if isinstance(sample, Mapping) else sample
    if isinstance(sample, Mapping | list | tuple):
        for part in parts:
            yield from _mappings(part)


def _holds_image(sample: Any) -> bool:
    if isinstance(sample, Mapping):
        return any(map(_holds_image, sample.values()))
    if isinstance(sample, list | tuple):
        return any(map(_holds_image, sample))
    return isinstance(sample, tv_tensors.Image)


def _array(name: str, value: Any) -> np.ndarray:
    """A leaf as `densesirst_gen.augment.arrays` wants it."""
    if name == "image":
        if value.ndim != 3:
            raise ValueError(f"image must be (C, H, W), got {tuple(value.shape)}")
        value = value.permute(1, 2, 0)
    if name == "bboxes":
        plain = _computable(value.as_subclass(torch.Tensor))
        if not plain.is_floating_point():
            plain = plain.double()  # the centre of an odd box is no whole number
        value = v2.functional.convert_bounding_box_format(
            plain, old_format=value.format, new_format=XYXY
        )
    if name == "sky" and value.ndim == 3:
        value = value.squeeze(0)
    return _numbers(value if name == "image" else _computable(value))


def _computable(value: torch.Tensor) -> torch.Tensor:
    """Half precision, which numpy has not or is too coarse, as float32."""
    is_half = value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if is_half else value


def _numbers(value: torch.Tensor) -> np.ndarray:
    """A tensor as an array; of bfloat16, which numpy has not, as float32."""
    value = value.as_subclass(torch.Tensor).detach().cpu()
    array: np.ndarray = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return array


def _like(name: str, value: np.ndarray, given: torch.Tensor) -> torch.Tensor:
    made = torch.from_numpy(value).to(given.device)
    if made.dtype != given.dtype:
        check_held(name, value, _numbers(made.to(given.dtype)), given.dtype)
    return tv_tensors.wrap(made.to(given.dtype), like=given)


def _extended(name: str, given: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    new = torch.tensor(rows).to(given.dtype)
    check_held(name, rows, _numbers(new), given.dtype)
    return torch.cat([given, new.to(given.device)])


def _with_boxes(given: Any, new: Pasted) -> torch.Tensor:
    """Boxes with the new ones, in the format of the given."""
    plain = given.as_subclass(torch.Tensor).reshape(-1, 4)
    boxes = v2.functional.convert_bounding_box_format(
        torch.tensor(new.boxes, dtype=torch.float64), old_format=XYXY, new_format=given.format
    )
    return tv_tensors.wrap(_extended("boxes", plain, boxes.numpy()), like=given)
