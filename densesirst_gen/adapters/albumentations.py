"""`BagCopyPaste` as a transform of Albumentations 2 (``pip install albumentations``).

    A.Compose(
        [BagCopyPaste("targets.npz"), A.HorizontalFlip()],
        bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"]),
        additional_targets={"sky": "mask"},
    )

The sky mask is the key ``sky``. It must be an additional target of kind ``mask``, as above, so that
it follows the flips and crops of the transforms before this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.augment.arrays import paste_image, to_scene
from densesirst_gen.augment.bag_copy_paste import BagCopyPaste as Core
from densesirst_gen.augment.bag_copy_paste import refuse_seed
from densesirst_gen.augment.lists import PER_IMAGE, check_label
from densesirst_gen.augment.masks import checked_mask, is_label_image, paste_mask
from densesirst_gen.augment.pasted import Pasted, pasted
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
UNPASTED = ("images", "volume", "volumes", "masks3d", "mask3d")
"""Targets of Albumentations that would come back as they were."""


class BagCopyPaste(A.DualTransform):
    """Paste clusters of targets into the sky.

    Targets: ``image``, ``mask``, ``bboxes``, ``keypoints``. New boxes and keypoints are appended
    with their label fields; any other list with a row for each of them is refused. Existing targets
    are kept free by masks, boxes and keypoints. Additional masks must be binary. Chance comes from
    Albumentations, so ``A.Compose(..., seed=...)`` rules it; DataLoader workers draw differently.
    In ``applied_transforms`` and in the replay of `A.ReplayCompose` stand the plan, ``n_pasted``
    and ``skip_reason``.

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
        It must be of the kind that the fields hold, numbers or text, and be said where there are
        any.
    mask_value, span, sky_store, **settings
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
        label: Any = None,
        mask_value: int | None = None,
        span: tuple[float, float] | None = None,
        p: float = 1.0,
        sky_store: str | Path | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(p=p)
        refuse_seed(settings, "A.Compose(..., seed=...)")
        fixed: dict[str, Any] = {"sky": sky, "sky_store": sky_store, "span": span}
        self.core = Core(library, config, mask_value=mask_value, **fixed, **settings)
        self.library = str(library) if isinstance(library, str | Path) else library
        self.sky_key, self.label = sky_key, label

    def get_transform_init_args(self) -> dict[str, Any]:
        """Arguments that make an equal transform."""
        store = self.core.sky_store
        return {
            "library": self.library,
            "config": self.core.config.to_dict(),
            "sky": self.core.sky,
            "sky_key": self.sky_key,
            "label": self.label,
            "mask_value": self.core.mask_value,
            "span": self.core.span,
            "sky_store": store and str(store),
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
        """Make the plan.

        Raises
        ------
        ValueError
            If something of the sample would not follow: the sky what came before, or a list, a
            mask or an image what is pasted.
        """
        self._check(data)
        scene = to_scene(
            self._arrays(data),
            "sample",
            self.core.config.patch_px,
            self.core.span,
            self._mask_value,
            self.core.library.counts,
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

    def _check(self, data: dict[str, Any]) -> None:
        """Whether all of a sample follows what comes before and what is pasted."""
        given = {key for key, value in data.items() if value is not None}
        self._check_images(given)
        self._check_sky(given)
        self._check_boxes(given)
        self._check_lists(data)

    def _check_images(self, given: set[str]) -> None:
        if unpasted := sorted(given.intersection(UNPASTED)) or sorted({"image"} - given):
            raise ValueError(
                f"BagCopyPaste pastes into image alone, and {', '.join(unpasted)} would stay as it "
                f"is or is missing; the sample has {', '.join(sorted(given))}"
            )

    def _check_sky(self, given: set[str]) -> None:
        is_needed = self.core.config.region != "anywhere" and self.sky_key in given
        if is_needed and self._additional_targets.get(self.sky_key) != "mask":
            raise ValueError(
                f"{self.sky_key} does not follow flips and crops: say additional_targets="
                f"{{{self.sky_key!r}: 'mask'}} in A.Compose"
            )

    def _check_boxes(self, given: set[str]) -> None:
        for kind, params in (("bboxes", "bbox_params"), ("keypoints", "keypoint_params")):
            if kind in given and not self.get_processor(kind):
                raise ValueError(f"{kind} need {params} in A.Compose, which say their format")
        places = {"bboxes", "keypoints", *self._mask_keys()}
        expected = [kind for kind in ("bboxes", "keypoints") if self.get_processor(kind)]
        if not places & given and (expected or "image_id" in given):
            raise ValueError(
                "the sample has neither mask nor boxes nor keypoints, so new targets would have no "
                f"labels: give empty {' and '.join(expected) or 'bboxes'}"
            )

    def _check_lists(self, data: dict[str, Any]) -> None:
        kinds = [kind for kind in ("bboxes", "keypoints") if data.get(kind) is not None]
        lengths = {len(data[kind]): kind for kind in kinds}
        fields = {name for names in self._label_fields().values() for name in names}
        known = {*self._key2func, *fields, self.sky_key, *PER_IMAGE}
        for key, value in data.items():
            n_rows = _n_rows(value, data["image"].shape[:2])
            if key not in known and n_rows in lengths:
                raise ValueError(
                    f"{key!r} has {n_rows} rows, as many as {lengths[n_rows]}, and would not get "
                    "those of new targets: name it in label_fields, or take it out of the sample"
                )

    def _mask_keys(self) -> list[str]:
        """Names of the masks that are pasted into."""
        further = [key for key, kind in self._additional_targets.items() if kind == "mask"]
        return ["mask", *(key for key in further if key != self.sky_key)]

    def _masks(self, data: dict[str, Any]) -> dict[str, np.ndarray]:
        """The masks of a sample; ValueError if what a further one holds is not known."""
        shape, found = data["image"].shape[:2], {}
        for key in self._mask_keys():
            if data.get(key) is not None:
                found[key] = checked_mask(data[key], shape, self._mask_value, key)
                if key != "mask" and is_label_image(found[key], self._mask_value):
                    raise ValueError(
                        f"{key} of {found[key].dtype} may hold classes or numbers of targets: of "
                        "several masks only the one called mask may be a label image"
                    )
        return found

    def _arrays(self, data: dict[str, Any]) -> dict[str, Any]:
        """A sample by our names and in pixels."""
        height, width = data["image"].shape[:2]
        masks = self._masks(data)
        arrays = {"image": data["image"], "sky": data.get(self.sky_key), "mask": data.get("mask")}
        further = [mask != 0 for key, mask in masks.items() if key != "mask"]
        if further:
            arrays["mask"] = self._united(masks.get("mask", further[0]), np.any(further, axis=0))
        if data.get("bboxes") is not None:
            arrays["bboxes"] = np.asarray(data["bboxes"])[:, :4] * ([width, height] * 2)
        if data.get("keypoints") is not None:
            arrays["points"] = np.asarray(data["keypoints"])[:, :2]
        return arrays

    def _united(self, mask: np.ndarray, further: np.ndarray) -> np.ndarray:
        """A mask that is on where others are, too."""
        if not is_label_image(mask, self._mask_value):
            return (mask != 0) | further
        return np.where(further & (mask == 0), max(mask.max(), 1), mask)

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
        scene = to_scene(
            {"image": img}, "sample", 1, self.core.span, counts=self.core.library.counts
        )
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


def _n_rows(value: Any, shape: tuple[int, ...]) -> int:
    """Rows of a list; -1 for what is none, such as a picture."""
    is_picture = isinstance(value, np.ndarray) and value.shape[:2] == shape
    is_list = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)
    return len(value) if is_list and not is_picture else -1
