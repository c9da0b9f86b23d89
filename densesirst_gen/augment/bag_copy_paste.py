"""`BagCopyPaste`: the method as one line in a training pipeline, on numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.augment.arrays import check_sample, paste, to_scene
from densesirst_gen.augment.calls import CallStream, Index, is_share, whole
from densesirst_gen.augment.levels import assumed_span, checked_span, known_span
from densesirst_gen.augment.notices import tell_once
from densesirst_gen.paste.config import PasteConfig, settings_of
from densesirst_gen.paste.library import LibraryError, TargetLibrary, load_library
from densesirst_gen.paste.placement import free_positions
from densesirst_gen.paste.plan import SKIPPED, PastePlan
from densesirst_gen.paste.planner import allowed, check_library, make_plan
from densesirst_gen.paste.render import render
from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky.predict import usable_sky

SKY = ("required", "predict")


class BagCopyPaste:
    """Paste clusters of targets into the skies of images, while training.

    Parameters
    ----------
    library : TargetLibrary, str or Path
        What to paste. A file is read once in each process, and copies for workers stay small.
    config : PasteConfig, str or mapping, optional
        The settings: themselves, the name of a profile, or plain values (see
        `PasteConfig.from_dict`). Default: the profile ``bag-cp``.
    p : float
        Probability that a call pastes at all.
    seed : int
        At least 0.
    sky : str
        Where no sky mask is given: ``required`` raises, ``predict`` has it predicted with each
        call (costly: better predict once and give the mask, or say `sky_store`). Not looked at
        with ``region="anywhere"``.
    sky_store : str or Path, optional
        Folder in which predictions are kept by the content of the image, so that an image is
        predicted once; see `densesirst_gen.predict_sky`.
    label : number, optional
        Class of new targets, for the key ``labels``. It must be said where there are labels.
    mask_value : int, optional
        Value of target pixels in integer masks, see `densesirst_gen.augment.arrays`.
    span : tuple of float, optional
        (black, white) of images given as arrays, and of scenes without one; see `Scene`. Float
        images within 0..1 have (0, 1) if nothing is said; other float images then have their own
        extremes, of which a process warns once.
    **settings
        Fields of `PasteConfig`, instead of those of `config`.

    Raises
    ------
    ValueError
        If a value breaks its rule, or the library is empty or not of the kind that is needed.

    Notes
    -----
    A call with an ``index`` depends on (seed, epoch, index) only, whatever the number and kind of
    workers; say the epoch by `set_epoch`. Where data sets are joined or repeated, the index must
    say which one it is of: ``index=("train", i, repeat)``. A call without an index takes the next
    numbers of a stream: they differ from call to call, worker to worker, rank to rank, epoch to
    epoch, and between objects, also if these have one seed (the first draws as it would alone).
    In a worker of PyTorch's DataLoader the stream follows ``torch.initial_seed()``, and so a
    ``worker_init_fn``. What is loaded from a pickle has a stream of its own. A program begun anew
    draws the same again: to go on after a stop, call `set_epoch` with the epoch that is next.

    One object may be called from many threads. The first time that nothing could be pasted for a
    reason, a process warns; every result says how many targets were pasted, and why none.
    """

    def __init__(
        self,
        library: TargetLibrary | str | Path,
        config: PasteConfig | str | Mapping[str, Any] | None = None,
        *,
        p: float = 1.0,
        seed: int = 0,
        sky: str = "required",
        sky_store: str | Path | None = None,
        label: float | None = None,
        mask_value: int | None = None,
        span: tuple[float, float] | None = None,
        **settings: Any,
    ) -> None:
        if not is_share(p):
            raise ValueError(f"p must be a number in [0, 1], got {p!r}")
        if sky not in SKY:
            raise ValueError(f"sky must be one of {', '.join(SKY)}, got {sky!r}")
        if mask_value is not None and whole("mask_value", mask_value) == 0:
            raise ValueError("mask_value must be at least 1, got 0")
        self.config = replace(settings_of(config), **settings)
        self.p, self.sky, self.label = float(p), sky, label
        self.sky_store = None if sky_store is None else Path(sky_store)
        self.mask_value, self.span = mask_value, checked_span(span)
        self._library = _Source(library)
        self._calls = CallStream(seed)
        check_library(self.library, self.config)

    @property
    def library(self) -> TargetLibrary:
        """What is pasted."""
        return self._library.library

    @property
    def seed(self) -> int:
        """The seed of all calls."""
        return self._calls.seed

    @property
    def epoch(self) -> int:
        """The epoch that calls are made in."""
        return self._calls.epoch.value

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; worker processes see it too, also persistent ones.

        Parameters
        ----------
        epoch : int
            At least 0. Set it before the DataLoader's iterator is made, as workers read ahead.
        """
        self._calls.epoch.value = whole("epoch", epoch)

    def plan(
        self,
        scene: Scene,
        *,
        index: Index | None = None,
        rng: np.random.Generator | None = None,
        free: np.ndarray | None = None,
    ) -> PastePlan:
        """Decide what to paste into a scene.

        Parameters
        ----------
        scene : Scene
        index : int, str, or a sequence of these, optional
            Of the sample, for reproducible calls; a name such as ``scene.name`` will do.
        rng : numpy.random.Generator, optional
            Draw from this one instead.
        free : ndarray, bool, optional
            `placement_map` of the scene, if known already. It must be the scene's own: flipped or
            cropped scenes have another one.

        Returns
        -------
        PastePlan
            Empty, with a `skip_reason`, where nothing is to be pasted; ``not_drawn`` by chance.

        Raises
        ------
        ValueError
            If a sky mask is required and missing.
        """
        scene = self._with_levels(scene)
        rng = self._calls.rng(index) if rng is None else rng
        if rng.random() >= self.p:
            return PastePlan.empty(scene.name, self.config, 0, "not_drawn")
        if free is None:
            free = self.placement_map(scene)
        elif free.dtype != np.bool_ or free.shape != self._map_shape(scene):
            raise ValueError(
                f"free must be bool of shape {self._map_shape(scene)}, as placement_map gives it, "
                f"got {free.dtype} of shape {free.shape}"
            )
        plan = make_plan(scene, self.library, self.config, rng, free=free)
        if plan.skip_reason:
            _tell_skipped(plan)
        return plan

    def placement_map(self, scene: Scene) -> np.ndarray:
        """Where windows may lie in a scene: the costly part of a plan that no chance enters.

        Returns
        -------
        ndarray, (H - window_px + 1, W - window_px + 1), bool
            Top-left corners of the windows.
        """
        side = self.config.window_px
        return free_positions(~allowed(self._with_sky(scene), self.config), side, side)

    def _map_shape(self, scene: Scene) -> tuple[int, ...]:
        return tuple(max(n - self.config.window_px + 1, 0) for n in scene.shape)

    def _with_levels(self, scene: Scene) -> Scene:
        if scene.span is not None or scene.image.dtype == np.uint8:
            return scene
        span = known_span(scene.image.dtype.name, self.span, self.library.counts)
        return replace(scene, span=assumed_span(scene.image, span, scene.name))

    def _with_sky(self, scene: Scene) -> Scene:
        region = self.config.region
        if scene.sky is None and region != "anywhere" and self.sky == "required":
            raise ValueError(
                f"{scene.name}: sky is missing; give a sky mask, or say sky='predict' or "
                "region='anywhere'"
            )
        return replace(scene, sky=usable_sky(scene, region=region, store=self.sky_store)[1])

    def render(self, scene: Scene, plan: PastePlan) -> Scene:
        """Paste a plan into a scene: `densesirst_gen.render` with this library."""
        return render(self._with_levels(scene), self.library, plan)

    def __call__(
        self,
        scene: Scene | None = None,
        *,
        index: Index | None = None,
        rng: np.random.Generator | None = None,
        plan: PastePlan | None = None,
        free: np.ndarray | None = None,
        return_plan: bool = False,
        **arrays: Any,
    ) -> Any:
        """Paste into a scene, or into the arrays of a sample.

        Parameters
        ----------
        scene : Scene, optional
            Instead of arrays.
        index, rng, free
            See `plan`.
        plan : PastePlan, optional
            Replay this one; nothing is drawn.
        return_plan : bool
            Give the plan too.
        **arrays
            ``image``, and ``sky``, ``mask``, ``bboxes``, ``points``, ``labels`` as far as there
            are; see `densesirst_gen.augment.arrays`.

        Returns
        -------
        Scene, or (Scene, PastePlan)
            If a scene was given. The arrays are new.
        dict
            If arrays were given: the same names, with ``n_pasted``, ``skip_reason`` (empty if
            anything was pasted) and, if asked for, ``plan``.

        Raises
        ------
        ValueError
            If an argument breaks its rule; the message names it.
        """
        given = self._scene(scene, arrays, index)
        if plan is None:
            plan = self.plan(given, index=index, rng=rng, free=free)
        if scene is not None:
            made = self.render(scene, plan)
            return (made, plan) if return_plan else made
        out = paste(arrays, given, self.library, plan, self.label, self.mask_value)
        out |= {"n_pasted": len(plan), "skip_reason": plan.skip_reason}
        return out | {"plan": plan} if return_plan else out

    def _scene(self, scene: Any, arrays: dict[str, Any], index: Index | None) -> Scene:
        if scene is None:
            check_sample(arrays)
            name = "sample" if index is None else f"sample {index}"
            given = (self.config.patch_px, self.span, self.mask_value, self.library.counts)
            return to_scene(arrays, name, *given)
        if not isinstance(scene, Scene) or arrays:
            raise ValueError(
                f"give a Scene, or arrays by name; got {type(scene).__name__} and "
                f"{', '.join(arrays) or 'no arrays'}"
            )
        return scene


def refuse_seed(settings: Mapping[str, Any], host: str) -> None:
    """Raise ValueError if an adapter is given a seed, while its chance comes from the host."""
    if "seed" in settings:
        raise ValueError(f"seed={settings['seed']!r} has no use here: chance comes from {host}")


class _Source:
    """A library, or the file that it comes from. Copies share the library."""

    def __init__(self, source: TargetLibrary | str | Path) -> None:
        self.path = None if isinstance(source, TargetLibrary) else Path(source).resolve()
        self.library = source if isinstance(source, TargetLibrary) else load_library(source)

    @cached_property
    def digest(self) -> str:
        """Of the library."""
        return self.library.digest

    def __deepcopy__(self, memo: dict[int, Any]) -> _Source:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is None:
            return _Source, (self.library,)
        return _source_of, (self.path, self.digest)


def _source_of(path: Path, digest: str) -> _Source:
    """The source in another process; LibraryError if the file is no longer what it was there."""
    source = _Source(path)
    if source.digest != digest:
        raise LibraryError(
            f"{path}: the library was replaced while in use: its digest was {digest[:12]}..., now "
            f"it is {source.digest[:12]}...; give each library a file of its own"
        )
    return source


def _tell_skipped(plan: PastePlan) -> None:
    why = f"{plan.skip_reason}: {SKIPPED[plan.skip_reason]}"
    text = f"{plan.scene}: BagCopyPaste pasted nothing ({why})"
    tell_once(plan.skip_reason, text, more=", later ones only in the results", depth=5)
