"""Paste in an Albumentations pipeline: the new boxes come with their labels.

python examples/online_albumentations.py
"""

import os

from densesirst_gen import annotate, build_library, demo_scene

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # no look for a newer version
try:
    import albumentations as A

    from densesirst_gen.adapters.albumentations import BagCopyPaste
except ImportError as error:
    print(error)
    raise SystemExit from None

library = build_library(demo_scene(index) for index in range(8))
paste = BagCopyPaste(library, n_regions=2, label="pasted")
pipeline = A.Compose(
    [A.HorizontalFlip(p=1), paste, A.RandomBrightnessContrast()],
    bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"]),
    additional_targets={"sky": "mask"},  # flips and crops the sky too
    seed=0,
)
scene = demo_scene(1)
boxes = annotate(scene.labels).boxes
sample = pipeline(
    image=scene.image,
    sky=scene.sky.astype("uint8"),
    mask=scene.labels,
    bboxes=boxes,
    labels=["real"] * len(boxes),
)
for box, label in zip(sample["bboxes"], sample["labels"], strict=True):
    print(label, box.round().astype(int).tolist())
