"""Which programs read the boxes beside a dataset's masks right, for people that look at it."""

from __future__ import annotations

from collections import Counter

from densesirst_gen.datasets.dataset import Dataset, SceneFile
from densesirst_gen.datasets.grammar.dialects import READERS, dialect_votes
from densesirst_gen.datasets.grammar.voc import read_voc
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.files.images.codec import CodecError, read_mask
from densesirst_gen.labels.beside import BOXES, kit_root
from densesirst_gen.scene.annotate import annotate, label_mask

N_LOOKED_AT = 16


def dialect_note(dataset: Dataset) -> str:
    """The dialect of its XML boxes, by a few of them, and who reads it right; empty if unknown.

    Parameters
    ----------
    dataset : Dataset
        Of a layout that has boxes beside masks, or another.
    """
    files = [file for file in dataset.scenes if file.mask is not None]
    if dataset.layout not in BOXES or not files:
        return ""
    votes = Counter[str]()
    for file in files[:: -(-len(files) // N_LOOKED_AT)]:
        votes += _votes(file, dataset)
    if not votes or (found := votes.most_common(1)[0][0]) not in READERS:
        return ""
    return f"boxes in XML, dialect {found} by a few of them: {READERS[found]}"


def _votes(file: SceneFile, dataset: Dataset) -> Counter[str]:
    """How many boxes fit in each dialect; none where something can't be read, which others tell."""
    path = kit_root(dataset.root) / BOXES[dataset.layout] / f"{file.name}.xml"
    if file.mask is None or not path.is_file():
        return Counter()
    try:
        targets = annotate(label_mask(read_mask(file.mask).array))
        return dialect_votes(read_voc(path).boxes, targets.boxes)
    except (DatasetError, CodecError, OSError):
        return Counter()
