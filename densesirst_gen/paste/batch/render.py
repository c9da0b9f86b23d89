"""`paste.render.render` and `scene.annotate.annotate` for a batch in torch, made equal to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from densesirst_gen.paste.batch.plan import BatchPlan, make_tables, pixels_of, plan_table
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.stamps import risen, scaled
from densesirst_gen.scene.scene import Scene


def paste(images: Tensor, labels: Tensor, plan: BatchPlan, grid: Tensor) -> None:
    """Write stamps and labels of a plan in place; where two stamps meet, the larger value wins.

    Parameters
    ----------
    images : Tensor, (B, C, H, W)
        Contiguous or channels_last.
    labels : Tensor, (B, H, W)
        Contiguous.
    plan : BatchPlan
    grid : Tensor, (P,)
        0, 1, ..., P - 1.
    """
    shape = (images.shape[2], images.shape[3])
    n_pixels = shape[0] * shape[1]
    index = pixels_of(plan.columns, grid, shape).flatten(1)
    rise, masks = plan.rise.flatten(1), plan.masks.flatten(1)
    black, white = plan.span[:, :1], plan.span[:, 1:]
    values = scaled(rise, black, white, not images.is_floating_point(), torch)
    pixels = images.view(*images.shape[:2], n_pixels)
    everywhere = index[:, None].expand(-1, images.shape[1], -1)
    under = pixels.gather(2, everywhere)
    new = risen(under.double(), values[:, None], white[:, None], torch).to(images.dtype)
    new = torch.where((rise > 0)[:, None], new, under)
    pixels.scatter_reduce_(2, everywhere, new, "amax")
    flat = labels.view(len(labels), n_pixels)
    numbers = plan.columns["label"][..., None].expand(*plan.valid.shape, len(grid) ** 2)
    numbers = torch.where(masks, numbers.flatten(1).to(labels.dtype), flat.gather(1, index))
    flat.scatter_reduce_(1, index, numbers, "amax")


def annotate_rows(plan: BatchPlan, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes and points of the targets of a plan.

    Parameters
    ----------
    plan : BatchPlan
    grid : Tensor, (P,)
        0, 1, ..., P - 1.

    Returns
    -------
    boxes : Tensor, (B, T, 4), int64
        Tight half-open boxes, xyxy; of no meaning in rows that are not valid.
    points : Tensor, (B, T, 2), float32
        Centroids of the masks, (x, y).
    """
    ends, sums, steps = [], [], grid.long()
    n_pixels = plan.masks.sum((-2, -1))
    for corner, axis in (("col", -2), ("row", -1)):
        at = plan.columns[corner][..., None] + steps
        extent = plan.masks.sum(axis)
        far = torch.iinfo(torch.int64).max
        ends.append(torch.where(extent > 0, at, far).amin(-1))
        ends.append(torch.where(extent > 0, at + 1, 0).amax(-1))
        sums.append((extent * at).sum(-1))
    boxes = torch.stack([ends[0], ends[2], ends[1], ends[3]], dim=-1)
    points = torch.stack(sums, dim=-1) / n_pixels.clamp(min=1)[..., None].double()
    return boxes, points.float()


def compact(boxes: Tensor, points: Tensor, keep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bring rows that are in use to the front.

    Parameters
    ----------
    boxes, points : Tensor, (B, K, 4) and (B, K, 2)
    keep : Tensor, (B, K), bool

    Returns
    -------
    boxes, points : Tensor
        The rows that are kept, in order; zeros behind them.
    counts : Tensor, (B,), int64
        How many they are.
    """
    ends = keep.cumsum(1)
    counts = keep.sum(1)
    rank = torch.arange(1, keep.shape[1] + 1, device=keep.device).expand_as(ends).contiguous()
    source = torch.searchsorted(ends, rank).clamp(max=keep.shape[1] - 1)[..., None]
    used = (rank <= counts[:, None])[..., None]
    first = (torch.where(used, rows.take_along_dim(source, 1), 0) for rows in (boxes, points))
    return next(first), next(first), counts


def render_scenes(
    scenes: Sequence[Scene],
    plans: Sequence[PastePlan],
    library: TargetLibrary,
    device: torch.device | str = "cuda",
) -> Iterator[Scene]:
    """`densesirst_gen.render` of scenes of any sizes, their stamps made on a device at once.

    Only the rows of the plans go to the device and only the stamps come back: the images, which
    come from files and go to files, stay where they are.

    Parameters
    ----------
    scenes : sequence of Scene
        Not modified.
    plans : sequence of PastePlan
        One for each scene, all of one config.
    library : TargetLibrary
    device : torch.device or str

    Yields
    ------
    Scene
        What `render` gives, bit for bit.

    Raises
    ------
    ValueError
        If a plan does not fit its scene, or the plans are of several configs.
    """
    if not plans:
        return
    config = plans[0].config
    tables = make_tables(library, config, device)
    table = plan_table(plans, torch.zeros(len(plans), 2, device=device), config, tables)
    rises, masks = table.rise.cpu().numpy(), table.masks.cpu().numpy()
    for scene, plan, rise, mask in zip(scenes, plans, rises, masks, strict=True):
        n = len(plan)
        yield render(scene, library, plan.with_stamps(rise[:n], mask[:n]))
