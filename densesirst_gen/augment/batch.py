"""Copy-paste for batches of tensors: plan and render where the images are, usually on a GPU.

`BatchBagCopyPaste` decides as `densesirst_gen.make_plan` does and draws as
`densesirst_gen.render` does, by the same lines of arithmetic: the same uniform numbers give
the same plan, and the same plan the same labels and pixels, bit for bit, for integer and float32
images (half precision: within one rounding). Shapes are fixed by the config, nothing waits for the
device and no loop runs over images or targets, so that ``torch.compile(fullgraph=True)`` and CUDA
graphs take it as it is.

What one image of 512 x 512 uint8 costs in memory traffic: its sky is read once (0.26 MB; 0.55 MB
more to pack it into bits, unless a compiler does it in one go), the image is copied (0.52 MB;
nothing with ``inplace``), a label map is written (1 MB of int32; with `labels` given, it is read
three times and written once). Pixels of the image are read and written only below the patches.
Without a compiler a batch of any size takes some 740 kernels, and their small tensors move 9 MB
for each image, mostly inside the caches. ``scripts/cost.py`` counts both for a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

try:
    import torch
except ImportError as error:
    raise ImportError("batches need PyTorch: pip install 'densesirst_gen[torch]'") from error
from torch import Tensor, nn

from densesirst_gen.augment.calls import is_share
from densesirst_gen.augment.levels import SUBJECT, UNIT, checked_span, known_reach, known_span
from densesirst_gen.augment.notices import tell_once
from densesirst_gen.paste.batch.bitmap import pack, rectangle, union
from densesirst_gen.paste.batch.plan import (
    BatchPlan,
    Tables,
    brightest,
    make_tables,
    plan_batch,
    plan_table,
)
from densesirst_gen.paste.batch.render import annotate_rows, compact, paste
from densesirst_gen.paste.config import PasteConfig, settings_of
from densesirst_gen.paste.draws import n_draws, split_draws
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.planner import check_library
from densesirst_gen.paste.shapes import Shapes
from densesirst_gen.scene.scene import SENSOR_BITS

INTEGERS = (torch.uint8, torch.int32)
FLOATS = (torch.float16, torch.bfloat16, torch.float32)
KINDS = {torch.uint8: "uint8", torch.int32: "uint16"} | dict.fromkeys(
    (torch.float16, torch.bfloat16, torch.float32), "float32"
)
"""Dtype of a batch -> that of the images of a data set."""
LABEL_DTYPES = (torch.int32, torch.int64)
BOX_REACH = {
    torch.uint8: 2**8 - 1,
    torch.int8: 2**7 - 1,
    torch.int16: 2**15 - 1,
    torch.int32: 2**31 - 1,
    torch.int64: 2**63 - 1,
    torch.bfloat16: 2**8,
    torch.float16: 2**11,
    torch.float32: 2**24,
    torch.float64: 2**53,
}
"""Up to which coordinate a dtype of boxes holds every whole number."""
CONTIGUOUS = torch.contiguous_format
Span = tuple[float, float] | Tensor


class BatchResult(NamedTuple):
    """A batch with its pastes, and everything known of them.

    Parameters
    ----------
    images : Tensor, (B, 1 or 3, H, W)
        dtype and memory format of the input.
    labels : Tensor, (B, H, W), int32 or the dtype of the input
        The labels given, or zeros; pasted targets are numbered on from what was there.
    boxes : Tensor, (B, M + T, 4), int64 or the dtype of the input
        The M given boxes, then those of the pasted targets, tight, half-open xyxy; from row
        ``counts`` on zero.
    points : Tensor, (B, M + T, 2), float32
        (x, y): centres of the given boxes, centroids of the pasted targets.
    counts : Tensor, (B,), int64
        Rows of boxes and points in use.
    plan : BatchPlan
    """

    images: Tensor
    labels: Tensor
    boxes: Tensor
    points: Tensor
    counts: Tensor
    plan: BatchPlan


class BatchBagCopyPaste(nn.Module):
    """BAG-CP on batches of tensors.

    Parameters
    ----------
    library : TargetLibrary
        Of the kind that ``config.source`` asks for. It moves with ``.to(device)`` and is not part
        of the state dict; its tensors stay float64, so call ``.half()`` on the model only.
    config : PasteConfig, str or mapping, optional
        The settings: themselves, the name of a profile, or plain values (see
        `PasteConfig.from_dict`). Default: the profile ``bag-cp``.
    p : float
        Chance of each image to be drawn for it.
    inplace : bool
        Paste into the images and labels given, instead of into copies.

    Raises
    ------
    ConfigError
        If the config is none.
    ValueError
        If the library is empty or of the wrong kind, or `p` is not in [0, 1].
    """

    table_grid: Tensor

    def __init__(
        self,
        library: TargetLibrary,
        config: PasteConfig | str | Mapping[str, Any] | None = None,
        *,
        p: float = 1.0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        self.config = settings_of(config)
        check_library(library, self.config)
        if not is_share(p):
            raise ValueError(f"p must be in [0, 1], got {p}")
        self.p, self.inplace, self.counts = float(p), inplace, library.counts
        tables = make_tables(library, self.config)
        for name in Shapes._fields:
            self.register_buffer(f"shape_{name}", getattr(tables.shapes, name), persistent=False)
        for name in Tables._fields[1:]:
            self.register_buffer(f"table_{name}", getattr(tables, name), persistent=False)

    def extra_repr(self) -> str:
        """For ``repr``: donors, p and config."""
        return f"donors={len(self.tables.shapes.sizes)}, p={self.p}, config={self.config}"

    @property
    def tables(self) -> Tables:
        """The library and the geometry, as tensors on this module's device."""
        return Tables(
            Shapes(*(getattr(self, f"shape_{name}") for name in Shapes._fields)),
            *(getattr(self, f"table_{name}") for name in Tables._fields[1:]),
        )

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """The random numbers of n images, on this module's device.

        Parameters
        ----------
        n : int
        generator : torch.Generator, optional
            Of the same device; by default torch's own.

        Returns
        -------
        Tensor, (n, 1 + `densesirst_gen.paste.draws.n_draws`), float64, in [0, 1)
            First whether the image is drawn, then the numbers that `make_plan` would take from
            its generator.
        """
        size = (n, 1 + n_draws(self.config))
        device = self.table_grid.device
        return torch.rand(size, dtype=torch.float64, device=device, generator=generator)

    def forward(
        self,
        images: Tensor,
        sky: Tensor | None = None,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        counts: Tensor | None = None,
        *,
        sizes: Tensor | None = None,
        span: Span | None = None,
        draws: Tensor | None = None,
    ) -> BatchResult:
        """Plan and render; parameters as in `plan`.

        Gradients of the result with respect to float images are those of a copy.
        """
        plan = self.plan(images, sky, labels, boxes, counts, sizes=sizes, span=span, draws=draws)
        return self.render(images, plan, labels, boxes, counts)

    @torch.no_grad()
    def plan(
        self,
        images: Tensor,
        sky: Tensor | None = None,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        counts: Tensor | None = None,
        *,
        sizes: Tensor | None = None,
        span: Span | None = None,
        draws: Tensor | None = None,
    ) -> BatchPlan:
        """Decide what to paste.

        Parameters
        ----------
        images : Tensor, (B, 1 or 3, H, W)
            uint8, int32 (deep images, values at least 0), float16, bfloat16 or float32.
            Of colours each pixel's brightest channel is looked at, all are pasted into. B may be 0.
        sky : Tensor, (B, H, W), bool
            True where targets may go; needed unless ``config.region`` is ``anywhere``.
        labels : Tensor, (B, H, W), int32 or int64, optional
            Targets that are there; 0 background.
        boxes : Tensor, (B, M, 4), optional
            The same as half-open xyxy boxes, and boxes of what is to be ignored: nothing is pasted
            into any. Their dtype must hold every corner exactly. With boxes alone the label map of
            the result holds only the pasted targets.
        counts : Tensor, (B,), optional
            Rows of `boxes` in use; by default all.
        sizes : Tensor, (B, 2), optional
            Rows and columns of each image that are not padding; by default all.
        span : (black, white) or Tensor (B, 2), optional
            Values that the sensor can give; by default (0, 1) for float images within these, else
            those of the library's images of this dtype, if it knows them, else as
            `densesirst_gen.Scene.levels` has it, for which deep and float images are read once
            more. A process warns once that it goes by the values of float images.
        draws : Tensor, (B, ...), float64, optional
            Random numbers, see `draw`; by default new ones.

        Returns
        -------
        BatchPlan

        Raises
        ------
        ValueError
            If shapes, dtypes or devices do not fit. Values are not looked at: images with NaN are
            left as they are where it lies.
        """
        self._check(images, sky, labels, boxes, counts, sizes)
        draws = self.draw(len(images)) if draws is None else draws
        _check_tensor("draws", draws, (len(images), 1 + n_draws(self.config)), (torch.float64,))
        uniforms = split_draws(draws[:, 1:], self.config, torch)
        asked = torch.where(draws[:, :1] < self.p, uniforms.per_window, 0)
        return plan_batch(
            images,
            self._free(images, sky, labels, boxes, counts, sizes),
            _n_targets(images, labels, boxes, counts),
            _spans(images, self._known_span(images, span), sizes),
            uniforms._replace(per_window=asked),
            self.config,
            self.tables,
            known_reach(KINDS[images.dtype], self.counts),
        )

    def _known_span(self, images: Tensor, span: Span | None) -> Span | None:
        return known_span(KINDS[images.dtype], span, self.counts)

    def render(
        self,
        images: Tensor,
        plan: BatchPlan,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        counts: Tensor | None = None,
    ) -> BatchResult:
        """Paste a plan into images and labels; describe what is there then.

        Parameters
        ----------
        images, labels, boxes, counts
            As in `plan`.
        plan : BatchPlan

        Returns
        -------
        BatchResult
        """
        self._check(images, None, labels, boxes, counts, None)
        _check_tensor("plan.valid", plan.valid, (len(images), None), (torch.bool,))
        if not self.inplace:
            images = images.clone(memory_format=_memory_format(images))
            labels = None if labels is None else labels.clone(memory_format=CONTIGUOUS)
        elif not images.is_contiguous(memory_format=_memory_format(images)):
            raise ValueError("images to paste into in place must be contiguous or channels_last")
        if labels is None:
            shape = (len(images), *images.shape[2:])
            labels = torch.zeros(shape, dtype=torch.int32, device=images.device)
        with torch.no_grad():
            paste(images, labels, plan, self.table_grid)
            return BatchResult(images, labels, *self._described(plan, boxes, counts), plan)

    def render_plans(
        self,
        images: Tensor,
        plans: Sequence[PastePlan],
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        counts: Tensor | None = None,
        *,
        sizes: Tensor | None = None,
        span: Span | None = None,
    ) -> BatchResult:
        """Paste plans of `densesirst_gen.make_plan`, one for each image.

        Parameters
        ----------
        images, labels, boxes, counts, sizes, span
            As in `plan`.
        plans : sequence of PastePlan

        Returns
        -------
        BatchResult

        Raises
        ------
        ValueError
            If a plan is of another config or does not fit its image.
        """
        self._check(images, None, labels, boxes, counts, sizes)
        _check_fit(plans, images)
        table = plan_table(
            plans, _spans(images, self._known_span(images, span), sizes), self.config, self.tables
        )
        return self.render(images, table, labels, boxes, counts)

    def _check(
        self,
        images: Tensor,
        sky: Tensor | None,
        labels: Tensor | None,
        boxes: Tensor | None,
        counts: Tensor | None,
        sizes: Tensor | None,
    ) -> None:
        if self.table_grid.dtype != torch.float64:
            raise ValueError(
                f"the library must stay float64 on the module, got {self.table_grid.dtype}"
            )
        _check_tensor("images", images, (None, None, None, None), INTEGERS + FLOATS)
        if images.shape[1] not in (1, 3) or 0 in images.shape[2:]:
            raise ValueError(
                f"images must be (B, 1 or 3, H, W) with H, W > 0, got {tuple(images.shape)}"
            )
        n, (height, width) = len(images), images.shape[2:]
        if sky is not None:
            _check_tensor("sky", sky, (n, height, width), (torch.bool,))
        if labels is not None:
            _check_tensor("labels", labels, (n, height, width), LABEL_DTYPES)
        if boxes is not None:
            _check_boxes(boxes, n, max(height, width))
        if counts is not None:
            if boxes is None:
                raise ValueError("counts says how many of boxes are in use: give boxes, too")
            _check_tensor("counts", counts, (n,), LABEL_DTYPES)
        if sizes is not None:
            _check_tensor("sizes", sizes, (n, 2), LABEL_DTYPES)
        for name, tensor in {"images": images, "sky": sky, "labels": labels}.items():
            if tensor is not None and tensor.device != (device := self.table_grid.device):
                raise ValueError(f"{name}: on {tensor.device}, but the library is on {device}")

    def _free(
        self,
        images: Tensor,
        sky: Tensor | None,
        labels: Tensor | None,
        boxes: Tensor | None,
        counts: Tensor | None,
        sizes: Tensor | None,
    ) -> Tensor:
        """Pixels on which a window may lie, packed."""
        everywhere = images.new_ones(images.shape[2:], dtype=torch.bool)
        free = sky if self.config.region == "sky" else everywhere
        if free is None:
            raise ValueError("sky must be given, or config.region be 'anywhere', got None")
        free = free if labels is None else (labels == 0).logical_and_(free)
        words = pack(free.expand(len(images), *images.shape[2:]))
        rows, cols = (torch.arange(n, device=images.device) for n in images.shape[2:])
        if sizes is not None:
            words = words & rectangle(rows < sizes[:, :1], cols < sizes[:, 1:])
        if boxes is not None:
            x0, y0, x1, y1 = boxes[..., None].unbind(2)
            used = _used(boxes, counts)[..., None]
            covered = rectangle((rows + 1 > y0) & (rows < y1) & used, (cols + 1 > x0) & (cols < x1))
            words = words & ~union(covered)
        return words

    def _described(
        self, plan: BatchPlan, boxes: Tensor | None, counts: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes, points and their number: those given, then those of the pasted targets."""
        tight, centroids = annotate_rows(plan, self.table_grid)
        if boxes is None:
            return compact(tight, centroids, plan.valid)
        is_narrow = BOX_REACH[boxes.dtype] < BOX_REACH[torch.float32]
        corners = boxes.float() if is_narrow else boxes
        centres = (corners[..., :2] + corners[..., 2:] - 1).float() / 2
        return compact(
            torch.cat([boxes, tight.to(boxes.dtype)], dim=1),
            torch.cat([centres, centroids], dim=1),
            torch.cat([_used(boxes, counts), plan.valid], dim=1),
        )


def _check_tensor(
    name: str, tensor: Any, shape: tuple[int | None, ...], dtypes: tuple[torch.dtype, ...]
) -> None:
    """Raise ValueError unless the tensor has this shape (None: any) and one of the dtypes."""
    if not isinstance(tensor, Tensor):
        raise ValueError(f"{name} must be a Tensor, got {type(tensor).__name__}")
    fits = tensor.dim() == len(shape) and all(
        wanted in (None, n) for wanted, n in zip(shape, tensor.shape, strict=True)
    )
    if not fits or (dtypes and tensor.dtype not in dtypes):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        names = " or ".join(str(dtype) for dtype in dtypes) or "a number"
        raise ValueError(
            f"{name} must be ({wanted}) of {names}, got {tuple(tensor.shape)} of {tensor.dtype}"
        )


def _check_boxes(boxes: Any, n: int, longest: int) -> None:
    """Raise ValueError unless they are boxes whose dtype holds every corner of the images."""
    _check_tensor("boxes", boxes, (n, None, 4), tuple(BOX_REACH))
    if longest > BOX_REACH[boxes.dtype]:
        raise ValueError(
            f"boxes of {boxes.dtype} can't hold all corners in images of {longest} pixels: give "
            "torch.int64 or torch.float32"
        )


def _memory_format(images: Tensor) -> torch.memory_format:
    last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    return torch.channels_last if last else CONTIGUOUS


def _used(boxes: Tensor, counts: Tensor | None) -> Tensor:
    """(B, M): which rows of padded boxes are in use."""
    rows = torch.arange(boxes.shape[1], device=boxes.device).expand(boxes.shape[:2])
    return rows >= 0 if counts is None else rows < counts[:, None]


def _n_targets(
    images: Tensor, labels: Tensor | None, boxes: Tensor | None, counts: Tensor | None
) -> Tensor:
    """(B,): the number after which those of the pasted targets begin."""
    if labels is not None:
        return labels.amax((1, 2)).long()
    if boxes is not None:
        return _used(boxes, counts).sum(1)
    return torch.zeros(len(images), dtype=torch.int64, device=images.device)


def _spans(images: Tensor, span: Span | None, sizes: Tensor | None) -> Tensor:
    """(B, 2) black and white of each image, as `Scene.levels` has them."""
    if isinstance(span, Tensor):
        _check_tensor("span", span, (len(images), 2), ())
        return span.to(images.device, torch.float64)
    if span is None and images.dtype == torch.uint8:
        span = (0.0, 255.0)
    span = checked_span(span)
    if span is not None:
        if images.dtype == torch.uint8 and span[1] > 255:
            raise ValueError(f"span of uint8 images must end at 255 or below, got {span}")
        ends = [images.new_full((len(images),), end, dtype=torch.float64) for end in span]
        return torch.stack(ends, dim=1)
    black, white = (end.double() for end in _extremes(images, sizes))
    if images.is_floating_point():
        return _float_spans(black, white)
    reach = torch.full_like(white, 2.0 ** SENSOR_BITS[-1] - 1)
    for bits in SENSOR_BITS[-2::-1]:
        reach = torch.where(white < 2**bits, 2.0**bits - 1, reach)
    return torch.stack([torch.zeros_like(reach), reach], dim=1)


def _float_spans(black: Tensor, white: Tensor) -> Tensor:
    """(0, 1) for what lies within, else the extremes; no span was given."""
    is_unit = (black >= UNIT[0]) & (white <= UNIT[1]) & (black < white)
    if not torch.compiler.is_compiling():
        tell_once(
            SUBJECT,
            "float images without a span: those within 0..1 have (0, 1), others their own extremes "
            "as black and white, so a crop has others than its frame; give span=(black, white)",
        )
    white = torch.where(white > black, white, black + 1)
    ends = torch.where(is_unit, UNIT[0], black), torch.where(is_unit, UNIT[1], white)
    return torch.stack(ends, dim=1)


def _extremes(images: Tensor, sizes: Tensor | None) -> tuple[Tensor, Tensor]:
    """(B,) least and largest of each image's brightest channel; padding is not looked at."""
    gray = brightest(images)
    if sizes is not None:
        rows, cols = (torch.arange(n, device=images.device) for n in images.shape[2:])
        inside = (rows < sizes[:, :1])[:, :, None] & (cols < sizes[:, 1:])[:, None]
        gray = torch.where(inside, gray, gray[:, :1, :1])
    return gray.amin((1, 2)), gray.amax((1, 2))


def _check_fit(plans: Sequence[PastePlan], images: Tensor) -> None:
    if len(plans) != len(images):
        raise ValueError(f"there must be a plan for each image, got {len(plans)} for {len(images)}")
    for plan in plans:
        ends = [plan.pastes[corner] + plan.pastes[side] for corner, side in _SIDES]
        starts = [plan.pastes[corner] for corner, _ in _SIDES]
        low = min(int(start.min(initial=0)) for start in starts)
        high = [int(end.max(initial=0)) for end in ends]
        if low < 0 or high[0] > images.shape[2] or high[1] > images.shape[3]:
            raise ValueError(
                f"the plan of scene {plan.scene} does not fit an image of {tuple(images.shape[2:])}"
            )


_SIDES = (("row", "height"), ("col", "width"))
