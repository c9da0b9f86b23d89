"""`paste.planner.make_plan` for a batch of images on their device, made equal to it.

The same decisions from the same uniform numbers, by the same arithmetic; only the search for free
windows is another (`densesirst_gen.paste.batch.bitmap`). All shapes are fixed by the config,
nothing waits for the device, and no loop runs over images or targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from densesirst_gen.paste.batch.bitmap import draw_corners, free_corners, rectangle
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.draws import PEAK_QUANTILES, PEAK_VALUES, Draws, sample
from densesirst_gen.paste.fusion import stamps
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.placement import place, placement_tables
from densesirst_gen.paste.plan import COLUMNS, DROPPED, PASTE, SKIPPED, PastePlan
from densesirst_gen.paste.shapes import Shapes, shapes_at
from densesirst_gen.paste.stamps import effect, scaled
from densesirst_gen.scene.scene import gray_step

REASONS = ("", *SKIPPED)
"""`BatchPlan.skip_reason` is an index into this."""


class Tables(NamedTuple):
    """What planning and rendering look up, as tensors on one device.

    Parameters
    ----------
    shapes : Shapes
        The library at pasting size.
    grid : Tensor, (P,), float64
        0, 1, ..., P - 1.
    quantiles, peaks : Tensor, (Q,), float64
        Of the peaks in the released data.
    touches, legal, puts : Tensor
        Of `densesirst_gen.paste.placement.placement_tables`.
    """

    shapes: Shapes
    grid: Tensor
    quantiles: Tensor
    peaks: Tensor
    touches: Tensor
    legal: Tensor
    puts: Tensor


@lru_cache(maxsize=8)
def make_tables(
    library: TargetLibrary, config: PasteConfig, device: torch.device | str = "cpu"
) -> Tables:
    """The tables of a library and a config on a device, made once for each."""
    shapes = shapes_at(library, config.patch_px, config.resize, config.flatten)
    places = placement_tables(
        config.window_px, config.patch_px, config.gap_px[1], config.window_margin
    )
    arrays = (np.arange(float(config.patch_px)), PEAK_QUANTILES, PEAK_VALUES, *places)
    tensors: list[Any] = [torch.tensor(table, device=device) for table in shapes]
    return Tables(
        Shapes(*tensors),
        *(torch.as_tensor(array, device=device) for array in map(np.array, arrays)),
    )


class BatchPlan(NamedTuple):
    """What to paste into B images: a table with T rows for each, of which some are in use.

    T is the number of targets that the config can ask for. The rows of a window follow each other;
    ``valid`` says which of them are pasted.

    Parameters
    ----------
    columns : dict of str to Tensor, (B, T)
        `densesirst_gen.paste.plan.COLUMNS`; of no meaning in rows that are not valid.
    valid : Tensor, (B, T), bool
    windows : Tensor, (B, W, 2), int64
        (row, col) of the windows; -1 for those that found no place or were not asked for.
    requested : Tensor, (B,), int64
        Targets asked for.
    dropped : Tensor, (B, 4), int64
        How many of them were left out, by reason (`densesirst_gen.paste.plan.DROPPED`).
    skip_reason : Tensor, (B,), int64
        Why nothing at all was pasted (`REASONS`); 0 where something was.
    span : Tensor, (B, 2), float64
        (black, white) of each image.
    rise : Tensor, (B, T, P, P), float64
        What each row adds, gray levels; zero in rows that are not valid.
    masks : Tensor, (B, T, P, P), bool
        Pixels of each target; none in rows that are not valid.
    """

    columns: dict[str, Tensor]
    valid: Tensor
    windows: Tensor
    requested: Tensor
    dropped: Tensor
    skip_reason: Tensor
    span: Tensor
    rise: Tensor
    masks: Tensor

    def to_plans(self, config: PasteConfig, names: Sequence[str] | None = None) -> list[PastePlan]:
        """The plans of the images as numpy tables; this waits for the device.

        Parameters
        ----------
        config : PasteConfig
            The one that the plan was made with.
        names : sequence of str, optional
            Of the images; by default their numbers.
        """
        columns = {name: self.columns[name].cpu().numpy() for name in COLUMNS}
        rest = (self.valid, self.windows, self.requested, self.dropped, self.skip_reason)
        valid, windows, requested, dropped, reasons = (t.cpu().numpy() for t in rest)
        plans = []
        for b in range(len(valid)):
            pastes = np.zeros(valid[b].sum(), PASTE)
            for name in COLUMNS:
                pastes[name] = columns[name][b, valid[b]]
            reason = REASONS[reasons[b]]
            counts = dict(zip(DROPPED, dropped[b].tolist(), strict=True))
            if reason in ("no_sky", "unsure_sky"):
                counts = {"no_sky": int(requested[b])}
            plans.append(
                PastePlan(
                    str(b) if names is None else names[b],
                    config,
                    pastes,
                    windows[b][windows[b, :, 0] >= 0],
                    int(requested[b]),
                    {why: n for why, n in counts.items() if n},
                    reason,
                )
            )
        return plans


def plan_batch(
    images: Tensor,
    free: Tensor,
    n_targets: Tensor,
    span: Tensor,
    draws: Draws,
    config: PasteConfig,
    tables: Tables,
    reach: float = 1.0,
) -> BatchPlan:
    """Decide what to paste into a batch.

    Parameters
    ----------
    images : Tensor, (B, C, H, W)
        Of colours each pixel's brightest channel is looked at.
    free : Tensor, (B, H, N), int64
        Pixels on which a window may lie, packed by `densesirst_gen.paste.batch.bitmap.pack`.
    n_targets : Tensor, (B,), int64
        Targets that the images have; labels go on from there.
    span : Tensor, (B, 2), float64
        (black, white) of each image.
    draws : Draws
        Of tensors (B, ...), see `densesirst_gen.paste.draws.split_draws`; an image for which no
        target is asked was not drawn.
    config : PasteConfig
    tables : Tables
    reach : float
        See `densesirst_gen.Scene`.

    Returns
    -------
    BatchPlan
    """
    corners = free_corners(free, config.window_px, images.shape[3])
    windows = _choose_windows(corners, images, draws, config.window_px)
    found = windows[..., 0] >= 0
    peaks = _peaks(draws, tables) * (reach if config.level == "scaled" else 1.0)
    columns = sample(draws.targets, peaks, tables.shapes, config, torch)
    rise, masks = stamps_of(columns, config, tables)
    asked = _asked(draws, columns["donor"]) & found[..., None]
    whole = is_whole(masks, config.fusion == "gaussian")
    where, placed = _placed(masks, columns, asked & whole, windows, draws, config, tables)
    columns |= where
    rows = {name: column.flatten(1) for name, column in columns.items()}
    rise, masks, is_placed = rise.flatten(1, 2), masks.flatten(1, 2), placed.flatten(1)
    seen = _look(images, rows, rise, masks & is_placed[..., None, None], span, config)
    valid = is_placed & seen
    rows["label"] = n_targets[:, None] + valid.cumsum(1)
    shown = valid[..., None, None]
    missing = (draws.per_window * ~found).sum(1)
    left_out = (asked & whole & ~placed, placed & ~seen.view_as(placed), asked & ~whole)
    return BatchPlan(
        rows,
        valid,
        windows,
        draws.per_window.sum(1),
        torch.stack([missing, *(drop.sum((1, 2)) for drop in left_out)], dim=1),
        _skip_reason(valid, found, free, draws),
        span,
        rise * shown,
        masks & shown,
    )


def _peaks(draws: Draws, tables: Tables) -> Tensor:
    """The released peaks at the drawn quantiles, interpolated as `numpy.interp` does."""
    x, knots, values = draws.targets["level"].contiguous(), tables.quantiles, tables.peaks
    k = torch.searchsorted(knots, x, right=True).clamp(1, len(knots) - 1) - 1
    slopes = values.diff() / knots.diff()
    return slopes[k] * (x - knots[k]) + values[k]


def _asked(draws: Draws, like: Tensor) -> Tensor:
    """(B, W, n): the targets asked for are the first of each window."""
    slots = torch.arange(like.shape[2], device=like.device)
    return slots < draws.per_window[..., None]


def _choose_windows(corners: Tensor, images: Tensor, draws: Draws, side: int) -> Tensor:
    """(B, W, 2) corners of disjoint windows, one after the other; -1 where there is none."""
    rows = torch.arange(corners.shape[1], device=images.device)
    cols = torch.arange(images.shape[3], device=images.device)
    windows = []
    for k in range(draws.per_window.shape[1]):
        down, right, total = draw_corners(corners, draws.windows[:, k].contiguous())
        row, col = _smoothest(down, right, side, images)
        near_rows, near_cols = (rows - row).abs() < side, (cols - col).abs() < side
        corners = corners & ~rectangle(near_rows, near_cols)
        found = ((total > 0) & (draws.per_window[:, k] > 0))[:, None]
        windows.append(torch.where(found, torch.cat([row, col], dim=1), -1))
    return torch.stack(windows, dim=1)


def _smoothest(rows: Tensor, cols: Tensor, side: int, images: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 1) row and column of the window of least standard deviation, of (B, C) candidates."""
    if rows.shape[1] == 1:
        return rows, cols
    (height, width), square = images.shape[2:], torch.arange(side, device=images.device)
    corner = (rows * width + cols)[..., None, None]
    index = (corner + square[:, None] * width + square).clamp(max=height * width - 1)
    pixels = _brightest_at(images, index)
    best = pixels.std((-2, -1), correction=0).argmin(1, keepdim=True)
    return rows.gather(1, best), cols.gather(1, best)


def _brightest_at(images: Tensor, index: Tensor) -> Tensor:
    """The brightest channel of images (B, C, H, W) at flat indices (B, ...), float64."""
    everywhere = index.flatten(1)[:, None].expand(-1, images.shape[1], -1)
    values = brightest(images.flatten(2).gather(2, everywhere))
    return values.view(index.shape).double()


def brightest(images: Tensor) -> Tensor:
    """(B, C, ...) -> (B, ...), what plans look at, see `densesirst_gen.scene.scene`."""
    return images.amax(1) if images.shape[1] > 1 else images[:, 0]


def stamps_of(
    columns: dict[str, Tensor], config: PasteConfig, tables: Tables
) -> tuple[Tensor, Tensor]:
    """`densesirst_gen.paste.fusion.stamps` of the rows of a plan, with torch."""
    shapes = tables.shapes
    return stamps(shapes.shapes, shapes.masks, columns, tables.grid, config, torch)


def is_whole(masks: Tensor, convex: bool) -> Tensor:
    """Which masks are one 8-connected piece.

    Parameters
    ----------
    masks : Tensor, (..., P, P), bool
    convex : bool
        Whether each is the grid points of a convex shape, such as a level of a Gaussian.

    Returns
    -------
    Tensor, (...), bool
        False for an empty mask.
    """
    lead, side = masks.shape[:-2], masks.shape[-1]
    masks = masks.reshape(lead.numel(), 1, side, side)
    first = (masks.flatten(1).cumsum(1).view_as(masks) == 1) & masks
    pixels, reached = masks.float(), first.float()
    # The longest shortest path: in a convex mask it never turns back; in any mask it has at most
    # two pixels in each of the 2 x 2 squares that tile the patch.
    for _ in range(2 * (side - 1) if convex else 2 * (-(-side // 2)) ** 2 - 1):
        reached = max_pool2d(reached, 3, 1, 1) * pixels
    n_pixels, n_reached = pixels.sum((1, 2, 3)), reached.sum((1, 2, 3))
    return ((n_pixels > 0) & (n_pixels == n_reached)).view(lead)


def _placed(
    masks: Tensor,
    columns: dict[str, Tensor],
    wanted: Tensor,
    windows: Tensor,
    draws: Draws,
    config: PasteConfig,
    tables: Tables,
) -> tuple[dict[str, Tensor], Tensor]:
    """Columns (B, W, n) that say where the targets go; which of them found a place."""
    sizes = torch.stack([columns["height"], columns["width"]], dim=-1) * wanted[..., None]
    chances = torch.stack([draws.targets["success"], draws.targets["position"]], dim=-1)
    corners = place(
        masks.float().flatten(0, 1),
        sizes.flatten(0, 1),
        columns["gap"].flatten(0, 1),
        chances.flatten(0, 1),
        (tables.touches, tables.legal, tables.puts),
        config.attempts,
        torch,
    )
    rows, cols = (corner.view(wanted.shape) for corner in corners)
    cluster = torch.arange(windows.shape[1], device=windows.device)[:, None]
    where = {
        "row": rows + windows[..., :1],
        "col": cols + windows[..., 1:],
        "cluster": cluster.expand_as(wanted),
    }
    return where, rows >= 0


def pixels_of(columns: dict[str, Tensor], grid: Tensor, shape: tuple[int, int]) -> Tensor:
    """(B, T, P, P) flat indices into images of (H, W); meaningful inside height x width."""
    steps = grid.long()
    corner = columns["row"] * shape[1] + columns["col"]
    index = corner[..., None, None] + steps[:, None] * shape[1] + steps
    return index.clamp(0, shape[0] * shape[1] - 1)


def _look(
    images: Tensor,
    columns: dict[str, Tensor],
    rise: Tensor,
    masks: Tensor,
    span: Tensor,
    config: PasteConfig,
) -> Tensor:
    """Record what each paste changes; say which of them can be seen."""
    steps = torch.arange(config.patch_px, device=images.device)
    index = pixels_of(columns, steps, (images.shape[2], images.shape[3]))
    under = _brightest_at(images, index)
    black, white = span[:, :1], span[:, 1:]
    whole = not images.is_floating_point()
    values = scaled(rise, black[..., None, None], white[..., None, None], whole, torch)
    columns["increment"], columns["n_clipped"] = effect(
        under, values, masks, white[..., None, None], torch
    )
    return columns["increment"] >= config.min_increment * gray_step(black, white)


def _skip_reason(valid: Tensor, found: Tensor, free: Tensor, draws: Draws) -> Tensor:
    reason = torch.where(found.any(1), REASONS.index("nothing_visible"), REASONS.index("no_window"))
    nothing_free = ~(free != 0).flatten(1).any(1)
    reason = torch.where(nothing_free, REASONS.index("no_sky"), reason)
    reason = torch.where(draws.per_window.sum(1) == 0, REASONS.index("not_drawn"), reason)
    return torch.where(valid.any(1), 0, reason)


def plan_table(
    plans: Sequence[PastePlan], span: Tensor, config: PasteConfig, tables: Tables
) -> BatchPlan:
    """The table of plans that were made elsewhere, on the device of the tables.

    Parameters
    ----------
    plans : sequence of PastePlan
        One for each image.
    span : Tensor, (B, 2), float64
        (black, white) of each image.
    config : PasteConfig
        Its shape, fusion and level settings are those of all plans.
    tables : Tables

    Returns
    -------
    BatchPlan
        As many rows as the longest plan has.

    Raises
    ------
    ValueError
        If a plan was made with another config, or has a donor that is not in the library.
    """
    _check_plans(plans, config, len(tables.shapes.sizes))
    device, n_rows = span.device, max((len(plan) for plan in plans), default=0)
    pastes, valid = np.zeros((len(plans), n_rows), PASTE), np.zeros((len(plans), n_rows), bool)
    pastes["height"] = pastes["width"] = 1  # of rows that are not in use
    windows = np.full((len(plans), max((len(p.windows) for p in plans), default=0), 2), -1)
    for b, plan in enumerate(plans):
        pastes[b, : len(plan)], valid[b, : len(plan)] = plan.pastes, True
        windows[b, : len(plan.windows)] = plan.windows
    columns = {
        name: torch.from_numpy(np.ascontiguousarray(pastes[name])).to(device) for name in COLUMNS
    }
    rise, masks = stamps_of(columns, config, tables)
    dropped = [[plan.dropped.get(reason, 0) for reason in DROPPED] for plan in plans]
    reasons = [REASONS.index(plan.skip_reason) for plan in plans]
    shown = torch.from_numpy(valid).to(device)
    return BatchPlan(
        columns,
        shown,
        torch.from_numpy(windows).to(device),
        torch.tensor([plan.requested for plan in plans], dtype=torch.int64, device=device),
        torch.tensor(dropped, dtype=torch.int64, device=device).view(-1, len(DROPPED)),
        torch.tensor(reasons, dtype=torch.int64, device=device),
        span,
        rise * shown[..., None, None],
        masks & shown[..., None, None],
    )


def _check_plans(plans: Sequence[PastePlan], config: PasteConfig, n_donors: int) -> None:
    for plan in plans:
        if plan.config.to_dict() != config.to_dict():
            raise ValueError(f"the plan of scene {plan.scene} was made with another config")
        if len(plan) and plan.pastes["donor"].max() >= n_donors:
            raise ValueError(
                f"the plan of scene {plan.scene} has donor {plan.pastes['donor'].max()}, "
                f"the library {n_donors} donors"
            )
