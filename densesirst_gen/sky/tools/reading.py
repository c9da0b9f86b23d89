"""How a file of an annotation tool is read: which label is the sky, and which image is meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from densesirst_gen.datasets.findings import Findings
from densesirst_gen.datasets.parts.names import SceneNames, without_suffixes
from densesirst_gen.datasets.paths import DatasetError, examples, list_images, safe_join
from densesirst_gen.sky.tools.masks import NOT_SKY, SKY

OTHER_LABEL = f"shapes and tags have other labels than {SKY!r} and {NOT_SKY!r}, passed over"
BY_TAIL = "images are found by the end of their path only"
STALE = "images are not where imagePath says, found by name"


@dataclass(frozen=True, eq=False)
class ToolReading:
    """What is asked of a reader, and what it finds odd.

    Parameters
    ----------
    label : str
        What the sky is called in the file, in any case.
    names : collection of str, optional
        The images that may be meant, POSIX, relative to their folder. None: all in it.
    findings : Findings
        Gets what was passed over or decided.
    """

    label: str = SKY
    names: Collection[str] | None = None
    findings: Findings = field(default_factory=Findings)

    def role(self, label: str) -> str:
        """`SKY`, `NOT_SKY`, or empty for a label that says nothing of the sky."""
        word = "-".join(label.casefold().replace("_", " ").replace("-", " ").split())
        own = "-".join(self.label.casefold().replace("_", " ").replace("-", " ").split())
        roles = {own: SKY, NOT_SKY: NOT_SKY, f"not-{own}": NOT_SKY}
        return roles.get(word, "")

    def check_labels(self, path: Path, labels: Iterable[tuple[str, str]]) -> None:
        """Count the labels of shapes that say nothing of the sky.

        Parameters
        ----------
        path : Path
            For messages.
        labels : iterable of (str, str)
            Image, label.

        Raises
        ------
        DatasetError
            If there are labels, and none of them is of the sky; it lists them.
        """
        found = list(labels)
        others = [(image, label) for image, label in found if not self.role(label)]
        if found and len(others) == len(found):
            counts = sorted(Counter(label for _, label in others).items())
            listed = examples(f"{label!r} ({n} shapes)" for label, n in counts)
            raise DatasetError(
                f"{path}: labels must be {self.label!r} or {NOT_SKY!r}, found {listed}; "
                "--label NAME says what the sky is called"
            )
        for image, label in others:
            self.findings.add(OTHER_LABEL, f"{label!r} in {image}")

    def places(self, path: Path, names: Sequence[str], images: Path) -> list[str]:
        """The images that a file means, POSIX, relative to their folder.

        A name that is not there stands for the one image whose path ends like it, in any case, with
        any slashes; or that it ends like, as after an upload into a folder.

        Parameters
        ----------
        path : Path
            The file, for messages.
        names : sequence of str
            As written there.
        images : Path

        Raises
        ------
        DatasetError
            If a name leads out of the folder, is of no image, or of one that comes twice.
        """
        places = [self._place(name, images) for name in names]
        twice = [place for place, n in Counter(filter(None, places)).items() if n > 1]
        if twice:
            raise DatasetError(f"{path}: {len(twice)} images come twice: {examples(twice)}")
        absent = [name for name, place in zip(names, places, strict=True) if place is None]
        if absent:
            for name in absent:
                safe_join(images, name)
            raise DatasetError(f"{path}: {len(absent)} images not in {images}: {examples(absent)}")
        return [place for place in places if place is not None]

    def stale(self, image: str, stem: str, images: Path) -> str | None:
        """The image that a path of another place or time means, by its end.

        Parameters
        ----------
        image : str
            The path, POSIX.
        stem : str
            Of the file that names it; where it is not that of the image, nothing is found.
        images : Path

        Returns
        -------
        str or None
            None if there is no such image, or several.
        """
        tail = image.rpartition("../")[2]
        if PurePosixPath(tail).stem.casefold() != stem.casefold():
            return None
        found = self._by_tail(tail, images)
        if found:
            self.findings.add(STALE, f"{image}, read as {found}")
        return found

    def _place(self, name: str, images: Path) -> str | None:
        if self.names is not None and name in self.names:
            return name
        plain = name.replace("\\", "/")
        if ".." in plain.split("/") or not plain.strip("/"):
            safe_join(images, name)  # which says what is wrong with it
        if not plain.startswith("/") and "\0" not in plain and (images / plain).is_file():
            return safe_join(images, plain).relative_to(images).as_posix()
        if found := self._by_tail(plain, images):
            self.findings.add(BY_TAIL, f"{name}, read as {found}")
        return found

    def _by_tail(self, name: str, images: Path) -> str | None:
        known = self._known(images)
        found = known[0].find(name)
        return None if found is None else known[1][found]

    def _known(self, images: Path) -> tuple[SceneNames, dict[str, str]]:
        """The images by path without suffix; looked for once."""
        cached: tuple[SceneNames, dict[str, str]] | None = self.__dict__.get("known")
        if cached is None:
            names = self.names
            if names is None:
                found = list_images(images, nested=True).values()
                names = [path.relative_to(images).as_posix() for path in found]
            by_stem = {without_suffixes(name): name for name in names}
            cached = self.__dict__["known"] = SceneNames(by_stem), by_stem
        return cached
