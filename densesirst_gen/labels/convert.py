"""Converting a dataset: any layout that is read into a format that is written, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from densesirst_gen.datasets.apart import check_apart
from densesirst_gen.datasets.coco.scene import check_masks
from densesirst_gen.datasets.dataset import Dataset, SceneFile, cut_splits
from densesirst_gen.datasets.notes import grouped, nothing_left
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.files.atomic import PARTS, RefusedError, atomic_file, file_digest, write_files
from densesirst_gen.files.checksums import CHECKSUMS, checksum_lines
from densesirst_gen.files.folder import MANIFEST, BuildFolder
from densesirst_gen.files.images.codec import CodecError, read_head
from densesirst_gen.files.objects import read_object
from densesirst_gen.files.workers import Progress, workers
from densesirst_gen.labels.formats import CATEGORY, FORMATS, Format, mask_png
from densesirst_gen.labels.item import Item, image_file, load_item
from densesirst_gen.labels.new_folder import check_new, new_folder
from densesirst_gen.labels.whole import Whole, parts_of_scenes
from densesirst_gen.scene.scene import SceneError

Record = dict[str, Any]
DISTRIBUTIONS = ("numpy", "pillow", "opencv-python", "pycocotools", "shapely")
GATHERED = ".build/gathered"
"""Files that go into those of the whole, until they do."""
VIEW8 = "-view8"
"""Behind the name of a folder: the same with images of 8 bits."""


class LossError(DatasetError):
    """A conversion would lose something, and it was not said that it may."""


@dataclass(frozen=True, eq=False)
class Converted:
    """What a conversion did.

    Parameters
    ----------
    out : Path
    n_images, n_images_in : int
        Written; in the source.
    n_targets, n_targets_in : int
        Likewise.
    lost : tuple of str
        What the format does not hold, or could not be read, each kind with a count and examples.
    set_aside : dict of str to str
        Scenes that could not be read: name -> reason.
    notes : tuple of str
        What was noted in decoding.
    """

    out: Path
    n_images: int
    n_images_in: int
    n_targets: int
    n_targets_in: int
    lost: tuple[str, ...] = ()
    set_aside: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> list[str]:
        """What a person should know: notes, then losses."""
        return [*self.notes, *(f"lost: {lost}" for lost in self.lost)]


def convert(
    dataset: Dataset,
    out: Path,
    to: str,
    *,
    voc_dialect: str | None = None,
    allow_loss: bool = False,
    view8: bool = False,
    jobs: int = 1,
    progress: Progress = lambda results, total: results,
) -> Converted:
    """Write a dataset in another format, into a new folder.

    Targets with masks keep them where the format has masks; boxes and points follow from the masks.
    Targets that are boxes stay boxes. Images are copied byte for byte where the format allows.

    Parameters
    ----------
    dataset : Dataset
    out : Path
        Must not exist, or be empty. It is there when all is written, or not at all.
    to : str
        A key of `formats.FORMATS`.
    voc_dialect : str, optional
        Of boxes in XML. None: ``sirst`` in the devkit, ``devkit`` in voc.
    allow_loss : bool
        Write although something is lost: targets, regions that are not judged, scenes.
    view8 : bool
        Images deeper than 8 bits become 8 bits, each with its own contrast.
    jobs : int
        Processes. The result does not depend on it.
    progress : callable
        Wraps (results, total) for a progress bar.

    Raises
    ------
    LossError
        If not all targets and scenes of the source are written, and `allow_loss` is not set.
    DatasetError
        If the source has no labels, has boxes or points where the format needs masks, or nothing
        can be read.
    RefusedError
        If `out` is in use, or lies in the source.
    """
    form = FORMATS[to]
    form.check()
    check_new(out)
    check_apart(out, dataset.root, dataset.scenes)
    annotated = _annotated(dataset)
    _check_kinds(annotated, to, form)
    made = partial(
        convert_scene,
        to=to,
        dialect=voc_dialect or form.dialect,
        view8=view8,
        ignore=allow_loss,
        is_boxed=any(file.boxes for file in annotated),
    )
    with new_folder(out) as part, workers(jobs, [__name__]) as mapped:
        recipe = {"to": to, "voc_dialect": voc_dialect or form.dialect, "view8": view8}
        folder = BuildFolder(part, recipe)
        folder.open(resume=False, overwrite=False)
        heads = _heads(dataset, annotated, form)
        tasks = ((file, part, heads[file.name]) for file in annotated)
        folder.append(progress(mapped(made, tasks), len(annotated)))
        found = _summed(dataset, out, folder, form)
        if found.lost and not allow_loss:
            raise LossError(_refusal(out, to, found))
        _finish(folder, dataset, out, form, found)
    return found


def is_converted(source: Path, out: Path, to: str) -> bool:
    """Whether a folder holds a dataset of ours in some format, made of it as it is now.

    Raises
    ------
    RefusedError
        If it holds something else.
    """
    if not (out / MANIFEST).exists():
        check_new(out)
        return False
    manifest = read_object(out / MANIFEST, "a manifest")
    made = {"to": to, **_own_list(source)}
    said = {**manifest.get("source", {}), **manifest.get("recipe", {})}
    if any(said.get(name) != value for name, value in made.items()):
        raise RefusedError(f"{out} was not made of {source} as it is: name another, or --overwrite")
    return True


def _own_list(source: Path) -> Record:
    """The SHA-256 of the list of checksums of a folder of ours, by which it is known again."""
    path = source / CHECKSUMS
    return {"files_sha256": file_digest(path)} if path.is_file() else {}


def has_deep_images(dataset: Dataset) -> bool:
    """Whether an image is deeper than 8 bits, by the heads of all; unreadable ones are not."""
    return any(_is_deep(file.image) for file in dataset.scenes)


def _is_deep(path: Path) -> bool:
    try:
        return read_head(path).depth not in ("1 bit", "8 bit")
    except CodecError:
        return False


def _annotated(dataset: Dataset) -> list[SceneFile]:
    """The scenes with labels, or all where no file of them means no target."""
    if not any(file.has_labels for file in dataset.scenes):
        raise DatasetError(
            f"{dataset.root}: no labels in the {dataset.layout} layout, nothing to convert"
        )
    if dataset.layout in NO_FILE_IS_NO_TARGET:
        return list(dataset.scenes)
    return [file for file in dataset.scenes if file.has_labels]


NO_FILE_IS_NO_TARGET = ("devkit", "sirst", "folders")


def _check_kinds(files: Sequence[SceneFile], to: str, form: Format) -> None:
    if form.needs_masks:
        check_masks(files, f"the format {to}")
    elif pointed := [file for file in files if file.points]:
        check_masks(pointed, f"the format {to}")


def convert_scene(
    task: tuple[SceneFile, Path, str],
    *,
    to: str,
    dialect: str,
    view8: bool,
    ignore: bool,
    is_boxed: bool = False,
) -> Record:
    """Write the files of a scene; its line of the journal, with ``error`` if it can't be read.

    The task is the scene, the folder to write to, and the folder in it that all its files are in.
    """
    (file, root, head), form = task, FORMATS[to]
    try:
        item = load_item(file, is_boxed=is_boxed)
        suffix, data = image_file(file, item, form.kinds, view8=view8)
    except (CodecError, SceneError, OSError) as error:
        return {"name": file.name, "error": str(error), "files": {}}
    image = f"{head}{form.images}/{file.name}{suffix}"
    written = form.write(item, image, dialect)
    skies = [*_sky(item, form, head)]
    content = [(image, data), *written.files, *skies]
    digests = write_files(root, content)
    places = {"image": image, "mask": written.mask, "sky": skies[0][0] if skies else ""}
    return {
        "name": file.name,
        "files": {} if form.is_gathered else digests,
        "image": image,
        "places": {kind: place for kind, place in places.items() if place},
        "n_bytes": sum(len(data) for _, data in content),
        "coco": written.coco,
        "source_id": item.source_id,
        "n_in": item.n_stated,
        "n_out": written.n_targets,
        "n_ignored": 0 if form.holds_ignored else len(item.ignored),
        "notes": list(item.notes),
    }


def _heads(dataset: Dataset, files: Sequence[SceneFile], form: Format) -> dict[str, str]:
    """Before the paths of each scene: the folder of its part, or of what is not yet gathered."""
    names = [file.name for file in files]
    if not form.by_part:
        return dict.fromkeys(names, f"{GATHERED}/" if form.is_gathered else "")
    splits = cut_splits(dataset.splits, set(names))
    return {name: f"{part}/" for name, part in parts_of_scenes(splits, names).items()}


def _sky(item: Item, form: Format, head: str) -> Iterator[tuple[str, bytes]]:
    sky = item.scene.sky
    if form.sky and sky is not None:
        yield f"{head}{form.sky}/{item.scene.name}.png", mask_png(sky)


def _summed(dataset: Dataset, out: Path, folder: BuildFolder, form: Format) -> Converted:
    """The counts, and what is lost; DatasetError if nothing could be read."""
    set_aside: dict[str, str] = {}
    notes, moved, ignored, sums = [], [], [], Counter[str]()
    for record in folder.sorted_entries():
        if "error" in record:
            set_aside[record["name"]] = record["error"]
            continue
        sums.update(images=1, n_in=record["n_in"], n_out=record["n_out"])
        notes += [(record["name"], note) for note in record["notes"]]
        if record["n_in"] != record["n_out"]:
            moved.append(f"{record['name']} ({record['n_in']} become {record['n_out']})")
        ignored += [record["name"]] * record["n_ignored"]
    if not sums["images"]:
        raise DatasetError(nothing_left("converted", set_aside))
    lost = []
    if set_aside:
        first = next(iter(set_aside.items()))
        lost.append(f"{len(set_aside)} scenes can't be read: {first[0]}: {first[1]}")
    if n_bare := len(dataset.scenes) - sums["images"] - len(set_aside):
        bare = [file.name for file in dataset.scenes if not file.has_labels]
        lost.append(f"{n_bare} images without labels are left out: {examples(bare)}")
    if moved:
        lost.append(f"{len(moved)} scenes with other counts of targets: {examples(moved)}")
    if ignored:
        which = examples(dict.fromkeys(ignored))
        lost.append(f"{len(ignored)} regions that are not judged have no place: {which}")
    return Converted(
        out,
        sums["images"],
        len(dataset.scenes),
        sums["n_out"],
        sums["n_in"],
        tuple(lost),
        set_aside,
        tuple(grouped(notes, "scenes")),
    )


def _refusal(out: Path, to: str, found: Converted) -> str:
    counts = f"{found.n_targets_in} targets in, {found.n_targets} out as {to}"
    return f"{out} is not written, {counts}: {'; '.join(found.lost)}. --allow-loss writes it"


def _finish(
    folder: BuildFolder, dataset: Dataset, out: Path, form: Format, found: Converted
) -> None:
    """Write what the scenes make together, the manifest last."""
    images = {r["name"]: r["image"] for r in folder.sorted_entries() if "error" not in r}
    splits = {s: members for s, members in cut_splits(dataset.splits, images).items() if members}
    whole = Whole(folder, out.name, images, splits)
    files = write_files(folder.root, form.end(whole)) | form.gather(whole)
    with atomic_file(folder.root / CHECKSUMS, folder.root / PARTS) as lines:
        for record in folder.sorted_entries():
            lines.writelines(checksum_lines(sorted(record["files"].items())))
        lines.writelines(checksum_lines(sorted(files.items())))
    folder.close(_content(folder, dataset, found), DISTRIBUTIONS)


def _content(folder: BuildFolder, dataset: Dataset, found: Converted) -> Record:
    """Of the manifest."""
    return {
        "recipe": folder.recipe,
        "source": {"layout": dataset.layout, "name": dataset.root.name, **_own_list(dataset.root)},
        "conventions": {
            "category": CATEGORY,
            "boxes": f"XML: dialect {folder.recipe['voc_dialect'] or 'none'}; others half-open",
            "sky": "255",
        },
        "summary": {
            "n_images": found.n_images,
            "n_targets": found.n_targets,
            "n_targets_in": found.n_targets_in,
            "lost": list(found.lost),
        },
        "files": {"list": CHECKSUMS, "sha256": file_digest(folder.root / CHECKSUMS)},
    }
