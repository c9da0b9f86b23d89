"""What papers print: the one table of numbers that are not ours.

Each is of another training on other hardware, with the protocol of its authors; see the notes
before comparing. AP and recall are VOC's at IoU 0.5, EFLNet's recall that of its best
F1; ``ap07`` is of 11 points, ``ap`` of the area.
"""

from __future__ import annotations

from dataclasses import dataclass

IMPOSSIBLE = "area AP printed above the final recall, which cannot be: left out"
NOT_F = "the printed F can't be that of the equation given for it: left out"
BEST_OF_TEST = "best epoch on the test split, chosen for each column"


@dataclass(frozen=True)
class Published:
    """One printed row; None where nothing (usable) is printed. `fa` is 1e-6."""

    method: str
    data: str
    source: str
    ap: float | None = None
    ap07: float | None = None
    recall: float | None = None
    f1: float | None = None
    iou: float | None = None
    niou: float | None = None
    pd: float | None = None
    fa: float | None = None
    auc: float | None = None
    note: str = ""


def _ap(
    method: str, data: str, ap07: float, recall: float, ap: float | None, note: str = BEST_OF_TEST
) -> Published:
    return Published(method, data, "BAFE-Net", ap, ap07, recall, note=note)


def _pixels(method: str, data: str, iou: float, niou: float, pd: float, fa: float) -> Published:
    return Published(method, data, method, iou=iou, niou=niou, pd=pd, fa=fa)


PUBLISHED: tuple[Published, ...] = (
    _ap("bafenet R18", "DenseSIRST", 0.283, 0.335, 0.233),
    _ap("bafenet R34", "DenseSIRST", 0.281, 0.354, 0.226),
    _ap("bafenet R50", "DenseSIRST", 0.274, 0.342, 0.248),
    _ap("bafenet R101", "DenseSIRST", 0.261, 0.317, 0.241),
    _ap("bafenet R18", "IRSTD-1k", 0.433, 0.603, 0.380),
    _ap("bafenet R50", "IRSTD-1k", 0.410, 0.545, 0.370),
    _ap("FCOS R50", "DenseSIRST", 0.232, 0.315, 0.204),
    _ap("ACM", "DenseSIRST", 0.116, 0.163, None, IMPOSSIBLE),
    _ap("DNANet", "DenseSIRST", 0.188, 0.219, 0.135),
    _ap("AGPCNet", "DenseSIRST", 0.154, 0.183, None, IMPOSSIBLE),
    _ap("UIUNet", "DenseSIRST", 0.178, 0.235, None, IMPOSSIBLE),
    _ap("MTUNet", "DenseSIRST", 0.272, 0.337, None, IMPOSSIBLE),
    _ap("RDIAN", "DenseSIRST", 0.101, 0.124, None, IMPOSSIBLE),
    _ap("URANet", "DenseSIRST", 0.201, 0.224, None, IMPOSSIBLE),
    _ap("ABCNet", "DenseSIRST", 0.261, 0.315, None, IMPOSSIBLE),
    _ap("serankdet", "DenseSIRST", 0.216, 0.261, 0.114),
    Published("eflnet", "NUAA-SIRST", "EFLNet", recall=0.858, f1=0.870),
    Published("eflnet", "NUDT-SIRST", "EFLNet", recall=0.931, f1=0.947),
    Published("eflnet", "IRSTD-1k", "EFLNet", recall=0.817, f1=0.843),
    Published("adsnet", "NUDT-SIRST", "ADSNet", niou=0.8594, pd=0.9816, fa=9.42),
    Published("adsnet", "IRSTD-1k", "ADSNet", niou=0.6879, pd=0.9318, fa=13.39),
    _pixels("serankdet", "SIRST", 0.8127, 0.7966, 1.0, 1.86),
    _pixels("serankdet", "IRSTD-1k", 0.7366, 0.6911, 0.9428, 8.37),
    _pixels("serankdet", "SIRST-Aug", 0.7649, 0.7198, 0.9917, 18.90),
    _pixels("serankdet", "NUDT-SIRST", 0.9428, 0.9369, 0.9977, 2.03),
    Published(
        "cgranet", "MDvsFA", "CgraNet", iou=0.4766, pd=0.5849, fa=31.71, auc=0.9510, note=NOT_F
    ),
    Published(
        "cgranet", "NUDT-SIRST", "CgraNet", iou=0.6245, pd=0.9841, fa=18.35, auc=0.9534, note=NOT_F
    ),
)


def published_for(detector: str) -> list[Published]:
    """The rows of a detector, by its name in the registry."""
    return [row for row in PUBLISHED if row.method.split()[0] == detector]
