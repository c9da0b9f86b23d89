"""Paste while training: inside a PyTorch dataset, the same results whatever the workers.

python examples/online_dataloader.py
"""

import torch
from torch.utils.data import DataLoader, Dataset

from densesirst_gen import build_library, demo_scene
from densesirst_gen.augment.bag_copy_paste import BagCopyPaste


class Targets(Dataset):
    def __init__(self, scenes, aug):
        self.scenes, self.aug = scenes, aug

    def __len__(self):
        return len(self.scenes)

    def __getitem__(self, index):
        scene = self.scenes[index]
        given = {"image": scene.image, "sky": scene.sky, "mask": scene.labels > 0}
        sample = self.aug(**given, index=index)
        image, mask = torch.from_numpy(sample["image"]), torch.from_numpy(sample["mask"])
        return image, mask, sample["n_pasted"]


if __name__ == "__main__":
    scenes = [demo_scene(index) for index in (1, 2, 7, 8)]
    library = build_library(scenes)
    aug = BagCopyPaste(library, n_regions=(1, 4), p=0.9, seed=0)
    loader = DataLoader(Targets(scenes, aug), batch_size=2, num_workers=2, persistent_workers=True)
    for epoch in range(2):
        aug.set_epoch(epoch)  # the workers see it
        for images, masks, n_pasted in loader:
            n_pixels = masks.sum(dim=(1, 2)).tolist()
            print(
                f"epoch {epoch}: {tuple(images.shape)}, pasted {n_pasted.tolist()}, {n_pixels} px"
            )
