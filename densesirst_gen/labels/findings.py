"""What may be wrong with labels: the rules, and a finding of one."""

from __future__ import annotations

from dataclasses import dataclass

RULES = {
    "unreadable": "files that can't be read",
    "size": "masks of another size than their image",
    "inverted": "masks that are white where nothing is",
    "values": "masks that are not black and white",
    "missing": "scenes without a file that others have",
    "extra": "files of no scene",
    "identical": "images of the same pixels under two names",
    "overlap": "scenes in lists of training and of what is held back",
    "unknown": "names in lists that are no scene",
    "near": "images of training nearly the same as one that is held back",
    "against": "images that are also in the other dataset, or nearly",
    "dialect": "boxes in another dialect than most",
    "box": "boxes that fit no target",
    "outside": "boxes that are empty or reach out of their image",
    "count": "files with more or fewer boxes or points than there are targets",
    "point": "points that lie off the masks",
    "shifted": "masks that would fit their image better elsewhere",
    "sequence": "sequences, by name, torn between training and what is held back",
    "loose": "boxes that are around a target, but not tight",
    "no-box": "objects without a box, taken for no target",
    "touching": "targets that touch others in the source, one with them in a mask",
    "corners": "targets that hold together by corners only",
    "one-pixel": "targets of one pixel",
    "giant": "targets larger than 1,000 px or a hundredth of their image",
    "border": "targets at the border of their image, perhaps cut",
    "no-sky": "targets without a pixel of sky",
    "erratum": "masks of public sets that others have corrected",
    "coded": "masks of other values than 0 and 255, which say the same",
}
"""Rule -> what breaks it."""
NOTES = frozenset(list(RULES)[list(RULES).index("sequence") :])
"""What may well be meant: told, and no problem."""


@dataclass(frozen=True, order=True)
class Finding:
    """Something that breaks a rule.

    Parameters
    ----------
    rule : str
        A key of `RULES`.
    file : str
        Path below the dataset, or the name of a scene or list.
    what : str
        The value, and what it should be.
    """

    rule: str
    file: str
    what: str

    @property
    def is_note(self) -> bool:
        """Whether it may well be meant."""
        return self.rule in NOTES
