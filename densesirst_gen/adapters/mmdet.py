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

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.augment.arrays import Pasted, check_label, pasted, target_masks
from densesirst_gen.augment.bag_copy_paste import BagCopyPaste as Core
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


@TRANSFORMS.register_module()
class BagCopyPaste(BaseTransform):
    """Paste clusters of targets into the sky.

    Reads and extends ``img``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` and
    ``gt_masks`` (bitmaps), as far as there are; adds ``n_pasted`` and ``skip_reason``. Existing
    targets are kept free by their masks, else by their boxes.

    Parameters
    ----------
    library : TargetLibrary, str or Path
    config : PasteConfig, str or mapping, optional
    sky_ids : sequence of int
        Values of ``gt_seg_map`` that are sky.
    index_key : str, optional
        Key of ``results`` that holds the sample's index, such as ``sample_idx``: then the result
        depends on (seed, epoch, index) only, and `set_epoch` must be called for each epoch, or all
        epochs will be alike. Default: a new draw with every call.
    **settings
        See `densesirst_gen.BagCopyPaste`: p, seed, sky, label, span, and fields of
        `PasteConfig`.
    """

    def __init__(
        self,
        library: TargetLibrary | str | Path,
        config: PasteConfig | str | Mapping[str, Any] | None = None,
        *,
        sky_ids: Sequence[int] = (1,),
        index_key: str | None = None,
        **settings: Any,
    ) -> None:
        self.core = Core(library, config, **settings)
        self.sky_ids, self.index_key = tuple(sky_ids), index_key

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; see `densesirst_gen.BagCopyPaste.set_epoch`."""
        self.core.set_epoch(epoch)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Paste into one sample; a new dict, in which new targets come last.

        Raises
        ------
        ValueError
            If the sky is needed and there is no ``gt_seg_map``, or masks are polygons.
        """
        arrays = {"image": results["img"], "sky": self._sky(results), "mask": _mask(results)}
        if results.get("gt_bboxes") is not None:
            arrays["bboxes"] = _box_array(results["gt_bboxes"])
        index = results[self.index_key] if self.index_key else None
        out = self.core(**arrays, index=index, return_plan=True)
        new = pasted(out["plan"], self.core.library, out["image"].shape[1])
        made = {name: out[name] for name in ("n_pasted", "skip_reason")}
        return {**results, **made, "img": out["image"], **self._lists(results, new)}

    def _sky(self, results: dict[str, Any]) -> np.ndarray | None:
        seg_map = results.get("gt_seg_map")
        return None if seg_map is None else np.isin(seg_map, self.sky_ids)

    def _lists(self, results: dict[str, Any], new: Pasted) -> dict[str, Any]:
        """What has a row for each target, with the new ones."""
        n, made = len(new.areas), {}
        if results.get("gt_bboxes") is not None:
            made["gt_bboxes"] = _with_boxes(results["gt_bboxes"], new.boxes)
        for name, value in (("gt_bboxes_labels", self.core.label), ("gt_ignore_flags", False)):
            if results.get(name) is not None:
                given = np.asarray(results[name])
                check_label(name, given, value)
                made[name] = np.concatenate([given, np.full(n, value, given.dtype)])
        if results.get("gt_masks") is not None:
            made["gt_masks"] = _with_masks(results["gt_masks"], new)
        return made


def _mask(results: dict[str, Any]) -> np.ndarray | None:
    """Where the masks of targets are, (H, W) bool."""
    masks = results.get("gt_masks")
    if masks is None:
        return None
    if not isinstance(masks, BitmapMasks):
        raise ValueError(
            "gt_masks must be BitmapMasks (LoadAnnotations with poly2mask=True), "
            f"got {type(masks).__name__}"
        )
    return (masks.masks != 0).any(axis=0)


def _box_array(boxes: Any) -> np.ndarray:
    return boxes.tensor.numpy() if isinstance(boxes, BaseBoxes) else boxes


def _with_boxes(given: Any, boxes: np.ndarray) -> Any:
    if not isinstance(given, BaseBoxes):
        return np.concatenate([given, boxes.astype(given.dtype)])
    new = type(given)(boxes, dtype=given.dtype, device=given.device)
    return given.cat([given, new])


def _with_masks(given: Any, new: Pasted) -> Any:
    masks = target_masks(new, (given.height, given.width), given.masks.dtype)
    return BitmapMasks(np.concatenate([given.masks, masks]), given.height, given.width)
