"""Copy-paste for a batch of images of several sizes, compiled and on a GPU if there is one.

python examples/gpu_batch.py
"""

import numpy as np
import torch

from densesirst_gen import build_library, demo_scene
from densesirst_gen.augment.batch import BatchBagCopyPaste
from densesirst_gen.paste.batch.plan import REASONS

scenes = [demo_scene(index) for index in range(8)]
shapes = np.array([scene.shape for scene in scenes])
device = "cuda" if torch.cuda.is_available() else "cpu"


def padded(arrays: list[np.ndarray]) -> torch.Tensor:
    batch = np.zeros((len(arrays), *shapes.max(axis=0)), arrays[0].dtype)
    for k, array in enumerate(arrays):
        batch[k, : array.shape[0], : array.shape[1]] = array
    return torch.from_numpy(batch).to(device)


images = padded([scene.image for scene in scenes])[:, None]
sky, labels = padded([scene.sky for scene in scenes]), padded([scene.labels for scene in scenes])
sizes = torch.from_numpy(shapes).to(device)

paste = BatchBagCopyPaste(build_library(scenes), p=0.9).to(device)
run = torch.compile(paste, fullgraph=True) if device == "cuda" else paste
draws = paste.draw(len(scenes), torch.Generator(device).manual_seed(0))
batch = run(images, sky, labels, sizes=sizes, draws=draws)

print(f"images {tuple(batch.images.shape)} on {batch.images.device}")
for n, reason in zip(batch.counts.tolist(), batch.plan.skip_reason.tolist(), strict=True):
    print(f"{n:3d} targets pasted {REASONS[reason]}")
print("boxes (x0, y0, x1, y1) in the second image:", batch.boxes[1, :3].tolist())
