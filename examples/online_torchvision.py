"""Paste in a torchvision v2 pipeline: image, boxes, masks, labels and sky in any nesting.

python examples/online_torchvision.py
"""

import torch

from densesirst_gen import annotate, build_library, demo_scene

try:
    from torchvision.transforms import v2
    from torchvision.tv_tensors import BoundingBoxes, Image, Mask

    from densesirst_gen.adapters.torchvision import BagCopyPaste
except (ImportError, RuntimeError) as error:
    print(f"torchvision can't be used here: {error}")
    raise SystemExit from None

library = build_library(demo_scene(index) for index in range(8))
paste = BagCopyPaste(library, n_regions=2, label=1)
pipeline = v2.Compose([v2.RandomHorizontalFlip(), paste, v2.ToDtype(torch.float32)])
scene = demo_scene(1)
boxes = torch.tensor(annotate(scene.labels).boxes, dtype=torch.float32)
target = {
    "boxes": BoundingBoxes(boxes, format="XYXY", canvas_size=scene.shape),
    "labels": torch.ones(len(boxes), dtype=torch.int64),
    "masks": Mask(torch.from_numpy(scene.labels)),
    "sky": Mask(torch.from_numpy(scene.sky)),
    "n_pasted": 0,
}
torch.manual_seed(0)
image, target = pipeline(Image(torch.from_numpy(scene.image)[None]), target)
print(f"{tuple(image.shape)} image, {target['n_pasted']} targets pasted")
print(target["boxes"][-3:].tolist(), target["labels"].tolist())
