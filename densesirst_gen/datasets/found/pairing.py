"""Which mask belongs to which image, where folders and names are anybody's."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from densesirst_gen.datasets.found.inventory import MASK_WORD, Group, Inventory
from densesirst_gen.datasets.found.owners import IMAGE_WORD, Pairs, distance, owners_of
from densesirst_gen.datasets.parts.names import without_suffixes
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.paths import in_one_form, pair_masks

ENDS = re.compile(r"([_. -](masks?|labels?|lable|gt|seg|target|ann?))+$", re.I)
STARTS = re.compile(r"^((masks?|labels?|gt|seg)[_-])+", re.I)
IMAGE_ENDS = re.compile(r"[_. -](images?|img|ir|infrared|thermal|frame|input)$", re.I)
IMAGE_STARTS = re.compile(r"^(images?|img|ir|infrared|thermal|frame|input)[_-]", re.I)
DERIVED = re.compile(
    r"edge|contour|boundar|outline|centroid|cent(er|re)|point|coarse|pseudo|weak|pred|result|output|"
    r"eroded?|dilat|skeleton|overlay|heat",
    re.I,
)
"""In names of folders of what is made of masks, or guessed by a network."""


@dataclass(frozen=True, eq=False)
class Pairing:
    """Images by scene name, their masks, and what belongs to nothing.

    Parameters
    ----------
    images, masks : dict of str to Path
        By scene name.
    orphans : tuple of Path
        Masks of which there is no image.
    rivals : tuple of str
        Folders of masks that were not taken, as nearer ones hold masks of the same images.
    doubles : tuple of str
        Folders of images that were not taken, as nearer ones have the same masks.
    skies : dict of str to Path
        Masks of the sky, by scene name.
    ties : tuple of (Path, Path)
        Masks that were taken, and others of the same images that might be meant as well.
    """

    images: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)
    orphans: tuple[Path, ...] = ()
    rivals: tuple[str, ...] = ()
    doubles: tuple[str, ...] = ()
    skies: dict[str, Path] = field(default_factory=dict)
    ties: tuple[tuple[Path, Path], ...] = ()


def pair(inventory: Inventory) -> Pairing:
    """Put images and masks together.

    A mask belongs to an image if their stems are the same, but for what marks masks (``_pixels0``,
    ``_mask``, ``gt_``) or tells images from masks in one folder; of several the one whose folder
    is nearest to the image's. A scene's name is the path of its image without the folder that
    tells images from masks: ``train/images/a`` is ``train/a``. Of folders of images that share
    masks, such as results or another camera, one is read.

    Raises
    ------
    DatasetError
        If folders of images share masks, and none is nearer to these or alone called after images.
    """
    owners = owners_of(
        [(group, list(_nearest_first(group, inventory.masks))) for group in inventory.images]
    )
    taken: dict[Path, Path] = {}
    used: set[str] = set()
    folders: dict[str, str] = {}
    for group, others in owners.kept:
        for other, found in others:
            taken |= found
            used.add(other.folder)
            folders.setdefault(group.folder, other.folder)
    images = _named([group for group, _ in owners.kept], folders)
    masks = {name: taken[path] for name, path in images.items() if path in taken}
    claimed = set(taken.values())
    left = [(g, p) for g in inventory.masks for p in g.files.values() if p not in claimed]
    rivals = {g.label for g, p in left if g.folder not in used and _has_image(g, p, inventory)}
    orphans = tuple(p for g, p in left if g.label not in rivals)
    skies = _skies([group for group, _ in owners.kept], images, inventory)
    ties = tuple(t for group, others in owners.kept for t in _ties(group, others, inventory.masks))
    return Pairing(images, masks, orphans, tuple(sorted(rivals)), owners.doubles, skies, ties)


def _skies(
    groups: Sequence[Group], images: dict[str, Path], inventory: Inventory
) -> dict[str, Path]:
    """Masks of the sky, where no two images would share one."""
    pairs = [
        pair
        for group in groups
        for _, found in _nearest_first(group, inventory.skies)
        for pair in found.items()
    ]
    counts = Counter(sky for _, sky in pairs)
    of_image = {image: sky for image, sky in pairs if counts[sky] == 1}
    return {name: of_image[path] for name, path in images.items() if path in of_image}


def several_sets(inventory: Inventory) -> list[str]:
    """Folders below the root that are datasets of their own; parts and sequences are none."""
    return _sets_below([(group.folder, group.is_mask) for group in inventory.groups])


def _sets_below(folders: Sequence[tuple[str, bool]]) -> list[str]:
    """Right below, else all in one folder farther down, such as ``datasets/``."""
    inner: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for folder, is_mask in folders:
        top, _, rest = folder.partition("/")
        if not rest:
            return []
        inner[top].append((rest, is_mask))
    both = sorted(top for top, below in inner.items() if {m for _, m in below} == {True, False})
    patterns = {re.sub(r"\d+", "#", top) for top in both}
    are_parts = any(map(part_of, both)) or len(patterns) < len(both)
    if len(both) > 1:
        return [] if are_parts else both
    return [f"{top}/{name}" for top in both for name in _sets_below(inner[top])]


def plain_key(stem: str) -> str:
    """A mask's stem without what marks it as one."""
    return STARTS.sub("", ENDS.sub("", without_suffixes(stem))) or stem


def _nearest_first(
    group: Group, masks: Sequence[Group]
) -> Iterator[tuple[Group, dict[Path, Path]]]:
    """Image -> mask, for each group of masks that has some of the images not yet found."""
    left = group.by_key()
    for other in sorted(masks, key=lambda m: (*_rank(group, m), m.folder)):
        if not left:
            return
        if found := _of_group(other.by_key(), left) or _only_two(group, other):
            yield other, {left[key]: path for key, path in found.items()}
            left = {key: path for key, path in left.items() if key not in found}


def _rank(images: Group, masks: Group) -> tuple[tuple[int, int], bool, bool]:
    """The nearest first; of these those whose names say masks, and nothing that is made of them."""
    name = masks.label
    is_derived, is_named = DERIVED.search(name), MASK_WORD.search(name)
    return distance(images.folder, masks.folder), is_derived is not None, is_named is None


def _ties(images: Group, taken: Pairs, masks: Sequence[Group]) -> Iterator[tuple[Path, Path]]:
    """Masks that were taken, and others of the same images that no name or place puts behind."""
    if not taken:
        return
    first, found = taken[0]
    files = images.by_key()
    for other in masks:
        if other is first or _rank(images, other) != _rank(images, first):
            continue
        for key, path in _of_group(other.by_key(), files).items():
            if files[key] in found:
                yield found[files[key]], path


def _only_two(images: Group, masks: Group) -> dict[str, Path]:
    """The one mask of a folder for its one image, whatever these are called."""
    if images.folder != masks.folder or len(images.files) != 1 or len(masks.files) != 1:
        return {}
    return dict(zip(images.by_key(), masks.files.values(), strict=True))


def _of_group(masks: dict[str, Path], images: Collection[str]) -> dict[str, Path]:
    """The masks of one group for images by their keys: by `pair_masks`, then by plain stems."""
    found = pair_masks(masks, images)
    used = set(found.values())
    plain = {plain_key(stem): path for stem, path in masks.items() if path not in used}
    plain = dict(in_one_form(plain, images))
    rest = {key: plain[key] for key in images if key not in found and key in plain}
    return found | rest or _by_bare_stems(plain, images)


def _by_bare_stems(masks: dict[str, Path], images: Collection[str]) -> dict[str, Path]:
    """``a_image`` and ``a_mask``, ``img_a`` and ``gt_a``; nothing where two images would be one."""
    bare = {IMAGE_STARTS.sub("", IMAGE_ENDS.sub("", key)) or key: key for key in images}
    if len(bare) < len(images):
        return {}
    marked = {stem: path for stem, path in masks.items() if stem != path.stem}
    return {bare[stem]: path for stem, path in marked.items() if stem in bare}


def _named(groups: Iterable[Group], folders: dict[str, str]) -> dict[str, Path]:
    """Images by the names of their scenes, full paths where short ones are not unique."""
    short: dict[str, list[Path]] = defaultdict(list)
    full: dict[Path, str] = {}
    for group in groups:
        where = _without_kind(group.folder, folders.get(group.folder))
        for stem, path in group.files.items():
            short[f"{where}/{stem}" if where else stem].append(path)
            full[path] = f"{group.folder}/{stem}" if group.folder else stem
    unique = all(len(paths) == 1 for paths in short.values())
    if unique:
        return {name: paths[0] for name, paths in short.items()}
    return {full[path]: path for paths in short.values() for path in paths}


def _without_kind(images: str, masks: str | None) -> str:
    """The folder of images without the part in which that of their masks differs."""
    if masks is None or images == masks:
        return images
    a, b = PurePosixPath(images).parts, PurePosixPath(masks).parts
    differing = [k for k in range(min(len(a), len(b))) if a[k] != b[k]]
    if len(a) == len(b) and len(differing) == 1:
        return "/".join((*a[: differing[0]], *a[differing[0] + 1 :]))
    kept = a[:-1] if a and IMAGE_WORD.match(a[-1]) else a
    return "/".join(kept)


def _has_image(group: Group, path: Path, inventory: Inventory) -> bool:
    keys = {path.stem, plain_key(path.stem)}
    return any(keys & set(other.by_key()) for other in inventory.images)
