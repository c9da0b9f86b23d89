"""`BagCopyPaste` as a torchvision v2 transform, on samples of tv_tensors in any nesting.

    v2.Compose([BagCopyPaste("targets.npz"), v2.RandomHorizontalFlip()])(image, target)

What is what is seen by type; the rest by key. Under ``sky`` is the sky mask; tensors under
``labels``, ``iscrowd`` and ``area`` have a row for each target; where a sample has a key
``n_pasted`` or ``skip_reason``, it gets that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten_with_path, tree_unflatten

from densesirst_gen.augment.arrays import Pasted, check_label, pasted, target_masks
from densesirst_gen.augment.bag_copy_paste import BagCopyPaste as Core
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
NOTES = ("n_pasted", "skip_reason")
XYXY = tv_tensors.BoundingBoxFormat.XYXY


class BagCopyPaste(v2.Transform):
    """Paste clusters of targets into the sky.

    A sample has one `Image` (C, H, W) of 1 or 3 channels, and as far as there are: a sky mask; one
    `Mask` of targets, (H, W) as in `densesirst_gen.augment.arrays`, or (N, H, W) with one mask of
    0 and 1 for each target; upright `BoundingBoxes`; `KeyPoints` (N, 2). New targets come last
    everywhere. Chance comes from ``torch.manual_seed``, as for all transforms of torchvision.

    Parameters
    ----------
    library : TargetLibrary, str or Path
    config : PasteConfig, str or mapping, optional
    sky_key : str
        Key of the sky mask in the sample.
    **settings
        See `densesirst_gen.BagCopyPaste`: p, sky, label, mask_value, span, and fields of
        `PasteConfig`.
    """

    def __init__(
        self,
        library: TargetLibrary | str | Path,
        config: PasteConfig | str | Mapping[str, Any] | None = None,
        *,
        sky_key: str = "sky",
        **settings: Any,
    ) -> None:
        super().__init__()
        self.core = Core(library, config, **settings)
        self.sky_key = sky_key

    def forward(self, *inputs: Any) -> Any:
        """Paste into one sample; its nesting stays.

        Raises
        ------
        ValueError
            If the sample has no image, or two of what there may be one of; if its labels are no
            tensor, or the new ones do not fit in.
        """
        found, spec = tree_flatten_with_path(inputs if len(inputs) > 1 else inputs[0])
        leaves = [leaf for _, leaf in found]
        places: dict[str, int] = {}
        loose: dict[str, Any] = {}
        for k, (path, leaf) in enumerate(found):
            loose |= _loose(path, leaf)
            name = self._name(path, leaf)
            if name and name in places:
                raise ValueError(f"a sample may have one of each kind, got two: {name}")
            places |= {name: k} if name else {}
        if loose and places.keys() & {"bboxes", "mask", "points"}:
            name, leaf = next(iter(loose.items()))
            raise ValueError(
                f"{name} must be a tensor with a row for each target, got {type(leaf).__name__}"
            )
        made = self._paste({name: leaves[k] for name, k in places.items()})
        for name, value in made.items():
            leaves[places[name]] = value
        return tree_unflatten(leaves, spec)

    def _name(self, path: tuple[Any, ...], leaf: Any) -> str:
        """Our name of a leaf; empty if it is none of our business."""
        key = getattr(path[-1], "key", None) if path else None
        if key == self.sky_key and isinstance(leaf, torch.Tensor):
            return "sky"
        if key in NOTES or (key in LISTS and isinstance(leaf, torch.Tensor)):
            return str(key)
        return TYPES.get(type(leaf), "")

    def _paste(self, found: dict[str, Any]) -> dict[str, Any]:
        """New values of what changes."""
        if "image" not in found:
            raise ValueError("BagCopyPaste needs a tv_tensors.Image in the sample, got none")
        arrays: dict[str, Any] = {
            name: _array(name, found[name]) for name in found if name not in LISTS + NOTES
        }
        stack = arrays.get("mask", np.zeros((0, 0)))
        if stack.ndim == 3:
            arrays["mask"] = (stack != 0).any(axis=0)
        rng = np.random.default_rng(int(torch.randint(2**63 - 1, ())))
        out = self.core(**arrays, rng=rng, return_plan=True)
        new = pasted(out["plan"], self.core.library, arrays["image"].shape[1])
        if stack.ndim == 3:
            masks = target_masks(new, stack.shape[1:], stack.dtype)
            out["mask"] = np.concatenate([stack, masks])
        out["image"] = out["image"].transpose(2, 0, 1)
        made = {name: out[name] for name in NOTES if name in found}
        for name in ("image", "mask", "points"):
            if name in found:
                made[name] = _like(np.ascontiguousarray(out[name]), found[name])
        if "bboxes" in found:
            made["bboxes"] = _with_boxes(found["bboxes"], new)
        rows: dict[str, Any] = {"labels": self.core.label, "iscrowd": 0, "area": new.areas}
        for name in LISTS:
            if name in found:
                if name == "labels":
                    check_label(name, _rows(found[name]), self.core.label)
                column = np.broadcast_to(rows[name], len(new.areas))
                made[name] = _extended(found[name], torch.tensor(column))
        return made


def _loose(path: tuple[Any, ...], leaf: Any) -> dict[str, Any]:
    """A part of a list that has a row for each target and is no tensor, by the list's name."""
    keys = {getattr(step, "key", None) for step in path} & set(LISTS)
    is_loose = leaf is not None and not isinstance(leaf, torch.Tensor)
    return dict.fromkeys(map(str, keys), leaf) if is_loose else {}


def _array(name: str, value: torch.Tensor) -> np.ndarray:
    """A leaf as `densesirst_gen.augment.arrays` wants it."""
    if name == "image":
        if value.ndim != 3:
            raise ValueError(f"image must be (C, H, W), got {tuple(value.shape)}")
        value = value.permute(1, 2, 0)
    if name == "bboxes":
        value = v2.functional.convert_bounding_box_format(value, new_format=XYXY)
    if name == "sky" and value.ndim == 3:
        value = value.squeeze(0)
    return value.as_subclass(torch.Tensor).detach().cpu().numpy()


def _rows(labels: torch.Tensor) -> np.ndarray:
    """Labels as an array; bfloat16, which numpy has not, as float32."""
    if labels.ndim != 1:
        raise ValueError(f"labels must be (N,), got {tuple(labels.shape)}")
    labels = labels.detach().cpu()
    array: np.ndarray = (labels.float() if labels.is_floating_point() else labels).numpy()
    return array


def _like(value: np.ndarray, given: torch.Tensor) -> torch.Tensor:
    return tv_tensors.wrap(torch.from_numpy(value).to(given.device), like=given)


def _extended(given: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return torch.cat([given, rows.to(device=given.device, dtype=given.dtype)])


def _with_boxes(given: Any, new: Pasted) -> torch.Tensor:
    """Boxes with the new ones, in the format of the given."""
    plain = given.as_subclass(torch.Tensor).reshape(-1, 4)
    boxes = tv_tensors.BoundingBoxes(
        torch.tensor(new.boxes, dtype=plain.dtype), format=XYXY, canvas_size=given.canvas_size
    )
    boxes = v2.functional.convert_bounding_box_format(boxes, new_format=given.format)
    return tv_tensors.wrap(_extended(plain, boxes.as_subclass(torch.Tensor)), like=given)
