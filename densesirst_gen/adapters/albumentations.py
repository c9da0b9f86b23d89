"""`BagCopyPaste` as a transform of Albumentations 2 (``pip install albumentations``).

    A.Compose(
        [BagCopyPaste("targets.npz"), A.HorizontalFlip()],
        bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"]),
        additional_targets={"sky": "mask"},
    )

The sky mask is the key ``sky``; as an additional target of kind ``mask`` it follows the flips and
crops of the transforms before this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.augment.arrays import (
    Pasted,
    check_label,
    paste_image,
    paste_mask,
    pasted,
    to_scene,
)
from densesirst_gen.augment.bag_copy_paste import BagCopyPaste as Core
from densesirst_gen.augment.processes import process_key
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import PastePlan

try:
    import albumentations as A
    from albumentations.core.type_definitions import Targets
except ImportError as error:
    raise ImportError(
        "densesirst_gen.adapters.albumentations needs Albumentations: pip install albumentations"
    ) from error

KEYPOINT_COLUMNS = 5  # x, y, z, angle, scale


class BagCopyPaste(A.DualTransform):
    """Paste clusters of targets into the sky.

    Targets: ``image``, ``mask``, ``bboxes``, ``keypoints``. New boxes and keypoints are appended
    with their label fields. Chance comes from Albumentations, so ``A.Compose(..., seed=...)``
    rules it; DataLoader workers draw differently. In ``applied_transforms`` and in the replay of
    `A.ReplayCompose` stand the plan, ``n_pasted`` and ``skip_reason``.

    Parameters
    ----------
    library : TargetLibrary, str or Path
        Give a path to be able to write the pipeline to a file (`A.save`).
    config : PasteConfig, str or mapping, optional
    sky : str
        ``required`` or ``predict``.
    sky_key : str
        Name of the sky mask in the sample.
    label : number or str, or dict
        What new rows have in the label fields of boxes and keypoints, or for each field its own.
        It must be of the kind that the fields hold, numbers or text.
    mask_value, span, **settings
        See `densesirst_gen.BagCopyPaste`.
    p : float
        Probability to be applied.
    """

    _targets = (Targets.IMAGE, Targets.MASK, Targets.BBOXES, Targets.KEYPOINTS)

    def __init__(
        self,
        library: TargetLibrary | str | Path,
        config: PasteConfig | str | Mapping[str, Any] | None = None,
        sky: str = "required",
        sky_key: str = "sky",
        label: Any = 0,
        mask_value: int | None = None,
        span: tuple[float, float] | None = None,
        p: float = 1.0,
        **settings: Any,
    ) -> None:
        super().__init__(p=p)
        self.core = Core(library, config, sky=sky, mask_value=mask_value, span=span, **settings)
        self.library = str(library) if isinstance(library, str | Path) else library
        self.sky_key, self.label = sky_key, label

    def get_transform_init_args(self) -> dict[str, Any]:
        """Arguments that make an equal transform."""
        return {
            "library": self.library,
            "config": self.core.config.to_dict(),
            "sky": self.core.sky,
            "sky_key": self.sky_key,
            "label": self.label,
            "mask_value": self.core.mask_value,
            "span": self.core.span,
        }

    @property
    def targets(self) -> dict[str, Any]:
        """What is transformed, and by which method."""
        return {
            "image": self.apply,
            "mask": self.apply_to_mask,
            "masks": self.apply_to_masks,
            "bboxes": self.apply_to_bboxes,
            "keypoints": self.apply_to_keypoints,
        }

    def add_targets(self, additional_targets: dict[str, str]) -> None:
        """Know additional targets; the sky itself is left as it is."""
        super().add_targets(additional_targets)
        self._key2func.pop(self.sky_key, None)

    @property
    def targets_as_params(self) -> list[str]:
        """What every sample must have."""
        return ["image"]

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Make the plan."""
        scene = to_scene(
            self._arrays(data),
            "sample",
            self.core.config.patch_px,
            self.core.span,
            self._mask_value,
        )
        seed = int(self.random_generator.integers(2**63))
        plan = self.core.plan(scene, rng=np.random.default_rng([seed, process_key()]))
        fields = {
            kind: [self._label_column(kind, field, data.get(field), len(plan)) for field in names]
            for kind, names in self._label_fields().items()
        }
        return {
            "plan": plan,
            "fields": fields,
            "n_pasted": len(plan),
            "skip_reason": plan.skip_reason,
        }

    @property
    def _mask_value(self) -> int | None:
        return self.core.mask_value

    def _arrays(self, data: dict[str, Any]) -> dict[str, Any]:
        """A sample by our names and in pixels."""
        height, width = data["image"].shape[:2]
        arrays = {name: data.get(key) for name, key in (("image", "image"), ("mask", "mask"))}
        arrays["sky"] = data.get(self.sky_key)
        if data.get("bboxes") is not None:
            arrays["bboxes"] = np.asarray(data["bboxes"])[:, :4] * ([width, height] * 2)
        elif data.get("keypoints") is not None:
            arrays["points"] = np.asarray(data["keypoints"])[:, :2]
        return arrays

    def _label_fields(self) -> dict[str, list[str]]:
        kinds = {kind: self.get_processor(kind) for kind in ("bboxes", "keypoints")}
        return {
            kind: list(processor.params.label_fields or []) if processor else []
            for kind, processor in kinds.items()
        }

    def _label_column(self, kind: str, field: str, given: Any, n: int) -> Any:
        """The new rows of a label field, in the type of the given ones."""
        label = self._label_of(field)
        there = self._labels_there(kind, field)
        if there is None:
            there = () if given is None else given
        check_label(f"label field {field!r}", there, label)
        if isinstance(given, np.ndarray) and given.dtype.kind in "iuf":
            return np.full(n, label, given.dtype)
        return [label] * n

    def _labels_there(self, kind: str, field: str) -> Any:
        """Such labels as Albumentations has taken out of the sample; None where it has not."""
        known = self.get_processor(kind).label_manager.metadata[kind].get(field)
        if known is None:
            return None
        if known.dtype is not None and known.dtype != object:
            return np.zeros(0, known.dtype)
        return [0.0] if known.is_numerical else list(known.encoder.classes_)

    def _label_of(self, field: str) -> Any:
        if not isinstance(self.label, Mapping):
            return self.label
        if field not in self.label:
            raise ValueError(f"label says nothing of the label field {field!r}: {self.label!r}")
        return self.label[field]

    def _pasted(self, plan: PastePlan, params: dict[str, Any]) -> Pasted:
        return pasted(plan, self.core.library, params["shape"][1])

    def apply(self, img: np.ndarray, *, plan: PastePlan, **params: Any) -> np.ndarray:
        """The image with the plan's stamps."""
        scene = to_scene({"image": img}, "sample", 1, self.core.span)
        return paste_image(img, scene, self.core.library, plan)

    def apply_to_mask(self, mask: np.ndarray, *, plan: PastePlan, **params: Any) -> np.ndarray:
        """The mask with the new targets."""
        return paste_mask(mask, self._pasted(plan, params), self._mask_value)

    def apply_to_masks(self, masks: Any, **params: Any) -> Any:
        """Not supported: what a list of masks means is not known."""
        raise NotImplementedError("BagCopyPaste takes one mask: a binary mask or a label image")

    def apply_to_bboxes(
        self, bboxes: np.ndarray, *, plan: PastePlan, fields: dict[str, Any], **params: Any
    ) -> np.ndarray:
        """The boxes, scaled by the image's size, with new rows and their label fields."""
        height, width = params["shape"][:2]
        rows = self._pasted(plan, params).boxes / ([width, height] * 2)
        return self._appended("bboxes", bboxes, rows, fields["bboxes"])

    def apply_to_keypoints(
        self, keypoints: np.ndarray, *, plan: PastePlan, fields: dict[str, Any], **params: Any
    ) -> np.ndarray:
        """The keypoints with new rows and their label fields."""
        points = self._pasted(plan, params).points
        rows = np.pad(points, ((0, 0), (0, KEYPOINT_COLUMNS - 2)))
        return self._appended("keypoints", keypoints, rows, fields["keypoints"])

    def _appended(
        self, kind: str, given: np.ndarray, rows: np.ndarray, fields: list[Any]
    ) -> np.ndarray:
        """Rows and their encoded labels below the given ones.

        Albumentations does not look at label fields beside empty tables; they must be made known
        to it here.
        """
        names, processor = self._label_fields()[kind], self.get_processor(kind)
        for name, values in zip(names, fields, strict=True):
            if len(rows):
                column = processor.label_manager.process_field(kind, name, values)
                rows = np.hstack([rows, column])
        n_columns = given.shape[1] if len(given) else rows.shape[1]
        plain = self.label if not isinstance(self.label, Mapping) else 0
        n_plain = max(n_columns - rows.shape[1], 0)
        if n_plain:
            check_label(f"the last column of {kind}", np.zeros(0, np.float32), plain)
        rest = np.full((len(rows), n_plain), plain)
        new = np.hstack([rows, rest]).astype(np.float32)
        return np.vstack([given.reshape(-1, n_columns), new])
