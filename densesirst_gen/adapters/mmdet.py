"""`BagCopyPaste` as a transform of MMDetection 3, under the name ``BagCopyPaste``.

    custom_imports = dict(imports=["densesirst_gen.adapters.mmdet"])
    train_pipeline = [
        dict(type="LoadImageFromFile"),
        dict(type="LoadAnnotations", with_bbox=True, with_seg=True),
        dict(type="Resize", scale=(512, 512)),
        dict(type="RandomFlip", prob=0.5),
        dict(type="BagCopyPaste", library="targets.npz"),
        dict(type="PackDetInputs"),
    ]

The sky is the pipeline's own ``gt_seg_map``, so it was resized and flipped with the image. No
second image is needed, so neither is `MultiImageMixDataset`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.augment.bag_copy_paste import BagCopyPaste as Core
from densesirst_gen.augment.lists import append, check_held, check_label, check_rows
from densesirst_gen.augment.masks import extended_stack, on_value
from densesirst_gen.augment.pasted import Pasted, pasted
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.library import TargetLibrary

try:
    from mmcv.transforms import BaseTransform
    from mmdet.registry import TRANSFORMS
    from mmdet.structures.bbox import BaseBoxes
    from mmdet.structures.mask import BitmapMasks
except ImportError as error:
    raise ImportError(
        f"densesirst_gen.adapters.mmdet needs MMDetection 3 with its mmcv: {error}"
    ) from error

PLACES = ("gt_bboxes", "gt_masks")
"""Where results say which pixels their targets have."""
SKY = "gt_seg_map"


@TRANSFORMS.register_module()
class BagCopyPaste(BaseTransform):
    """Paste clusters of targets into the sky.

    Reads and extends ``img``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` and
    ``gt_masks`` (bitmaps), as far as there are, boxes or masks at least; adds ``n_pasted`` and
    ``skip_reason``. Existing targets are kept free by masks and boxes, also those to be ignored.
    Any other ``gt_...`` with a row for each target is refused, unless `fill` names it.

    Parameters
    ----------
    library : TargetLibrary, str or Path
    config : PasteConfig, str or mapping, optional
    sky_ids : sequence of int
        Values of ``gt_seg_map`` that are sky.
    index_key : str or sequence of str, optional
        Key of ``results`` that holds the sample's index, such as ``sample_idx``, or several that do
        together: in a ConcatDataset ``("img_path", "sample_idx")``. Then the result depends on
        (seed, epoch, index) only, and `set_epoch` must be called for each epoch, or all epochs will
        be alike. A RepeatDataset gives one index several times: leave this out. A process warns
        once if an index comes again in an epoch. Default: a new draw with every call.
    fill : mapping, optional
        Further keys with a row for each target, and what new targets have there.
    **settings
        See `densesirst_gen.BagCopyPaste`: p, seed, sky, sky_store, label, mask_value, span, and
        fields of `PasteConfig`.
    """

    def __init__(
        self,
        library: TargetLibrary | str | Path,
        config: PasteConfig | str | Mapping[str, Any] | None = None,
        *,
        sky_ids: Sequence[int] = (1,),
        index_key: str | Sequence[str] | None = None,
        fill: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.core = Core(library, config, **settings)
        self.sky_ids, self.index_key = tuple(sky_ids), index_key
        self.fill = dict(fill or {})
        self._seen: set[Any] | None = set()
        self._seen_in = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; see `densesirst_gen.BagCopyPaste.set_epoch`."""
        self.core.set_epoch(epoch)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Paste into one sample; a new dict, in which new targets come last.

        Raises
        ------
        ValueError
            If the sky is needed and there is no ``gt_seg_map``, masks are polygons, or a list of
            targets can't grow.
        """
        arrays = self._arrays(results)
        self._check(results)
        out = self.core(**arrays, index=self._index(results), return_plan=True)
        new = pasted(out["plan"], self.core.library, out["image"].shape[1])
        made = {name: out[name] for name in ("n_pasted", "skip_reason")}
        return {**results, **made, "img": out["image"], **self._lists(results, new)}

    def _arrays(self, results: dict[str, Any]) -> dict[str, Any]:
        """A sample by our names."""
        return {
            "image": results["img"],
            "sky": self._sky(results),
            "mask": _mask(results, self.core.mask_value),
            "bboxes": _box_array(results.get("gt_bboxes")),
        }

    def _check(self, results: dict[str, Any]) -> None:
        """Whether every list of the targets grows, and there is one at all."""
        given = {name: results[name] for name in results if results[name] is not None}
        lists = {name: _rows_of(given[name]) for name in (*PLACES, *self._fills()) if name in given}
        if not lists.keys() & set(PLACES):
            raise ValueError(
                "results have no gt_bboxes and no gt_masks, so new targets would have no labels: "
                "load the annotations before, with_bbox=True"
            )
        check_rows(lists)
        n = len(next(iter(lists.values())))
        for name, value in given.items():
            is_other = name.startswith("gt_") and name not in lists and name != SKY
            if is_other and hasattr(value, "__len__") and len(value) == n:
                raise ValueError(
                    f"{name} has {n} rows, one for each target, and would not get those of new "
                    f"ones: say fill={{{name!r}: ...}}, or take it out of the results"
                )

    def _fills(self) -> dict[str, Any]:
        """What new targets have in lists of numbers."""
        return {"gt_bboxes_labels": self.core.label, "gt_ignore_flags": False} | self.fill

    def _index(self, results: dict[str, Any]) -> Any:
        if self.index_key is None:
            return None
        keys = self.index_key
        index = results[keys] if isinstance(keys, str) else tuple(results[key] for key in keys)
        self._look_for_repeats(index)
        return index

    def _look_for_repeats(self, index: Any) -> None:
        """Warn once if an index comes twice in an epoch."""
        if self._seen is None:
            return
        if self._seen_in != self.core.epoch:
            self._seen, self._seen_in = set(), self.core.epoch
        if index not in self._seen:
            self._seen.add(index)
            return
        self._seen = None
        warnings.warn(
            f"BagCopyPaste: index {index!r} came again in epoch {self.core.epoch}, drawing alike: "
            "call set_epoch for each epoch, and leave index_key out where data are repeated; "
            "said once",
            stacklevel=4,
        )

    def _sky(self, results: dict[str, Any]) -> np.ndarray | None:
        seg_map = results.get(SKY)
        return None if seg_map is None else np.isin(seg_map, self.sky_ids)

    def _lists(self, results: dict[str, Any], new: Pasted) -> dict[str, Any]:
        """What has a row for each target, with the new ones."""
        n, made = len(new.areas), {}
        if results.get("gt_bboxes") is not None:
            made["gt_bboxes"] = _with_boxes(results["gt_bboxes"], new.boxes)
        for name, value in self._fills().items():
            if results.get(name) is not None:
                given = np.asarray(results[name])
                check_label(name, given, value)
                made[name] = np.concatenate(
                    [given, np.full((n, *given.shape[1:]), value, given.dtype)]
                )
        if results.get("gt_masks") is not None:
            made["gt_masks"] = self._with_masks(results["gt_masks"], new)
        return made

    def _with_masks(self, given: Any, new: Pasted) -> Any:
        masks = extended_stack(given.masks, new, self.core.mask_value, "gt_masks")
        return BitmapMasks(masks, given.height, given.width)


def _mask(results: dict[str, Any], mask_value: int | None) -> np.ndarray | None:
    """Where the masks of targets are, (H, W) bool."""
    masks = results.get("gt_masks")
    if masks is None:
        return None
    if not isinstance(masks, BitmapMasks):
        raise ValueError(
            "gt_masks must be BitmapMasks (LoadAnnotations with poly2mask=True), "
            f"got {type(masks).__name__}"
        )
    on_value(masks.masks, mask_value, "gt_masks")
    return (masks.masks != 0).any(axis=0)


def _rows_of(value: Any) -> Any:
    """What has a length: of masks the array."""
    return value.masks if isinstance(value, BitmapMasks) else _box_array(value)


def _box_array(boxes: Any) -> np.ndarray:
    return boxes.tensor.numpy() if isinstance(boxes, BaseBoxes) else boxes


def _with_boxes(given: Any, boxes: np.ndarray) -> Any:
    if not isinstance(given, BaseBoxes):
        return append("gt_bboxes", given, boxes)
    new = type(given)(boxes, dtype=given.dtype, device=given.device)
    held = new.tensor.double().numpy()
    check_held("gt_bboxes", boxes.reshape(held.shape), held, given.dtype)
    return given.cat([given, new])
