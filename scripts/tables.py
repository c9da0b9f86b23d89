"""The tables that papers print of our five detectors: settings of each row, and its numbers.

Plain data; `reproduce_tables` trains and scores it. Numbers of ablations stand here and nowhere
else, those that `densesirst_gen.detection.training.published` has are taken from there. Not every
table says all that it was made with: what was guessed is in its note. Rows are other trainings on
other hardware with the protocols of their authors, and often the best epoch on the test split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from densesirst_gen.detection.training.published import PUBLISHED, Published

Scores = Mapping[str, float]
NOT_SCORES = ("method", "data", "source", "note")


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Parameters
    ----------
    label : str
    published : mapping of str to float
        By the names of `reproduce_tables.scores_of`, and ``seconds`` for an image on the paper's
        hardware. Empty: the row is known, its numbers are not.
    options : mapping
        What the row has beyond its table, see `densesirst_gen.detection.training.settings.settle`.
    """

    label: str
    published: Scores
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A published table, or our part of it.

    Parameters
    ----------
    id : str
        The paper's detector and the number of the table, or the dataset of a comparison.
    shows : str
    data : str
        The dataset that it needs.
    detector : str
    rows : tuple of Row
    options : mapping
        Of all rows.
    preset : str
    scoring : mapping
        Fields of `densesirst_gen.detection.evaluation.evaluate.Scoring`, where the paper's
        protocol is known.
    note : str
    """

    id: str
    shows: str
    data: str
    detector: str
    rows: tuple[Row, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    preset: str = "paper"
    scoring: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def settings(self, row: Row) -> dict[str, Any]:
        """All options of a row."""
        return {**self.options, **row.options}

    @property
    def varied(self) -> set[str]:
        """Names of the options that tell its rows apart."""
        return {name for row in self.rows for name in row.options}


def printed(method: str, data: str, *names: str) -> dict[str, float]:
    """The scores, or some of them, of a row of `PUBLISHED`; KeyError if there is none."""
    rows = {(row.method, row.data): row for row in PUBLISHED}
    row = rows[method, data]
    known = [f.name for f in fields(Published) if f.name not in NOT_SCORES]
    values = {name: getattr(row, name) for name in names or known}
    return {name: value for name, value in values.items() if value is not None}


# ---- BAFE-Net

ON_TEST = "printed are the best epochs on the test split, chosen for each column"
VOC = {"legacy_plus_one": True}
PASTED = {"augment": "bag-cp"}
ABLATED = {**PASTED, "depth": 18}
FCOS = {"num_levels": 5, "seg_head": False, "exchange": False, "adapter": False}
FULL_R18 = printed("bafenet R18", "DenseSIRST", "ap07", "ap")


def _ap(ap07: float, ap: float) -> Scores:
    return {"ap07": ap07, "ap": ap}


def _bafenet(number: str, shows: str, *rows: Row) -> Table:
    """An ablation of BAFE-Net with ResNet-18."""
    note = f"ResNet-18, preset not stated; the full network's numbers differ by table; {ON_TEST}"
    return Table(
        f"bafenet-{number}", shows, "DenseSIRST", "bafenet", rows, ABLATED, scoring=VOC, note=note
    )


def _depths(data: str, *depths: int) -> tuple[Row, ...]:
    return tuple(
        Row(f"BAFE-Net R{depth}", printed(f"bafenet R{depth}", data), {"depth": depth})
        for depth in depths
    )


BAFENET = (
    Table(
        "bafenet-II",
        "comparison of box detectors: our rows",
        "DenseSIRST",
        "bafenet",
        (
            Row("FCOS R50", printed("FCOS R50", "DenseSIRST"), {"depth": 50, **FCOS}),
            *_depths("DenseSIRST", 18, 34, 50, 101),
        ),
        PASTED,
        scoring=VOC,
        note=f"FCOS is trained as BAFE-Net is here, with pasting; {ON_TEST}",
    ),
    Table(
        "bafenet-IRSTD-1k",
        "comparison on another dataset: our rows",
        "IRSTD-1k",
        "bafenet",
        _depths("IRSTD-1k", 18, 50),
        PASTED,
        scoring=VOC,
        note=f"no sky masks there: the sky is predicted for pasting only; {ON_TEST}",
    ),
    Table(
        "bafenet-IV",
        "comparison of mask detectors, as boxes of their components: our row",
        "DenseSIRST",
        "serankdet",
        (Row("SeRankDet", printed("serankdet", "DenseSIRST")),),
        preset="official",
        scoring=VOC,
        note="printed is another training loss, and boxes by a script that is not public",
    ),
    _bafenet(
        "V",
        "sky branch, exchange, adapter",
        Row("none", _ap(0.225, 0.180), {"seg_head": False, "exchange": False, "adapter": False}),
        Row("sky branch", _ap(0.246, 0.183), {"exchange": False, "adapter": False}),
        Row("sky branch, exchange", _ap(0.254, 0.199), {"adapter": False}),
        Row("all", _ap(0.262, 0.208)),
    ),
    _bafenet(
        "VI",
        "width of the adapter",
        *(
            Row(str(width), _ap(*scores), {"adapter_hidden": width})
            for width, scores in {
                8: (0.243, 0.206),
                16: (0.252, 0.214),
                32: (0.254, 0.218),
                64: (0.260, 0.230),
                128: (0.254, 0.211),
                256: (0.243, 0.212),
            }.items()
        ),
    ),
    _bafenet(
        "VII",
        "what is exchanged",
        Row("channel", _ap(0.266, 0.230), {"exchange_method": "channel"}),
        Row("spatial", _ap(0.223, 0.218), {"exchange_method": "spatial"}),
        Row("channel, spatial", _ap(0.246, 0.199), {"exchange_method": "channel+spatial"}),
        Row("spatial, channel", _ap(0.224, 0.201), {"exchange_method": "spatial+channel"}),
    ),
    _bafenet(
        "VIII",
        "which channels are exchanged",
        Row("random", _ap(0.255, 0.172), {"selection": "random"}),
        Row("fixed", _ap(0.273, 0.230), {"selection": "fixed"}),
        Row("dynamic", FULL_R18, {"selection": "dynamic"}),
    ),
    _bafenet(
        "IX",
        "share of the channels that are exchanged",
        Row("1/8", _ap(0.238, 0.218), {"p": 1 / 8}),
        Row("1/4", _ap(0.241, 0.230), {"p": 1 / 4}),
        Row("3/8", _ap(0.255, 0.203), {"p": 3 / 8}),
        Row("1/2", FULL_R18, {"p": 1 / 2}),
        Row("5/8", _ap(0.259, 0.201), {"p": 5 / 8}),
        Row("3/4", _ap(0.242, 0.204), {"p": 3 / 4}),
        Row("7/8", _ap(0.238, 0.214), {"p": 7 / 8}),
    ),
    Table(
        "bafenet-X",
        "depth of the backbone",
        "DenseSIRST",
        "bafenet",
        _depths("DenseSIRST", 18, 34, 50, 101),
        PASTED,
        scoring=VOC,
        note=ON_TEST,
    ),
)

# ---- ADSNet

NUDT_INPUT = {"size": 256}
OF_PIXELS = {"fa_over": "all"}


def _adsnet(number: str, shows: str, *rows: Row, note: str = "", data: str = "NUDT-SIRST") -> Table:
    options = NUDT_INPUT if data == "NUDT-SIRST" else {}
    note = "; ".join(filter(None, ["no public code, widths are ours", note]))
    return Table(
        f"adsnet-{number}", shows, data, "adsnet", rows, options, scoring=OF_PIXELS, note=note
    )


def _masks(niou: float, pd: float, fa: float) -> Scores:
    """ADSNet's Fa is of pixels (its Eq. 10)."""
    return {"niou": niou, "pd": pd, "fa_pixels": fa}


def _timed(niou: float, seconds: float) -> Scores:
    return {"niou": niou, "seconds": seconds}


A4000 = "seconds: an A4000, 256 x 256; ours: benchmark.py detectors"
ADSNET_FULL = printed("adsnet", "NUDT-SIRST", "niou")
ADSNET = (
    *(
        _adsnet(
            data, "comparison: our row", Row("ADSNet", _masks(**printed("adsnet", data))), data=data
        )
        for data in ("NUDT-SIRST", "IRSTD-1k")
    ),
    _adsnet(
        "4",
        "aware fusion distribute, and its two attentions",
        Row("without AFD", _masks(0.8092, 0.9281, 11.43), {"afd": False}),
        Row("without channel attention", _masks(0.8502, 0.9789, 8.32), {"channel_att": False}),
        Row("without spatial attention", _masks(0.8466, 0.9765, 8.57), {"spatial_att": False}),
        Row("full", _masks(0.8594, 0.9816, 7.42)),
        note="the comparison prints Fa 9.42 for the full network",
    ),
    _adsnet(
        "5",
        "levels that receive the fused feature",
        Row("4", _timed(0.8452, 0.038), {"distribute_to": (4,)}),
        Row("3, 4", _timed(0.8594, 0.041), {"distribute_to": (3, 4)}),
        Row("2, 3, 4", _timed(0.8597, 0.071), {"distribute_to": (2, 3, 4)}),
        note=A4000,
    ),
    _adsnet(
        "6",
        "awareness of IoU",
        Row("off", {"niou": 0.8375}, {"iou_aware": False}),
        Row("on", ADSNET_FULL, {"iou_aware": True}),
    ),
    _adsnet(
        "7",
        "patches along a side of the decision masks",
        Row("32", {"niou": 0.8586}, {"patches": 32}),
        Row("16", ADSNET_FULL, {"patches": 16}),
        Row("8", {"niou": 0.8501}, {"patches": 8}),
        Row("4", {"niou": 0.8345}, {"patches": 4}),
    ),
    _adsnet(
        "8",
        "share of the patches that stages 3 and 2 drop",
        Row("0.2, 0.4", _timed(0.8597, 0.056), {"eps": (0.2, 0.4)}),
        Row("0.25, 0.5", _timed(0.8594, 0.041), {"eps": (0.25, 0.5)}),
        Row("0.3, 0.6", _timed(0.8473, 0.032), {"eps": (0.3, 0.6)}),
        Row("dense, 0.25", _timed(0.8605, 0.071), {"eps": (None, 0.25)}),
        Row("dense", _timed(0.8612, 0.096), {"eps": (None, None)}),
        note=A4000,
    ),
)

# ---- EFLNet

PLAIN = {"box_loss": "ciou", "assign_metric": "iou", "dyhead_blocks": 0}
ATFL_ONLY = {**PLAIN, "atfl_mode": "adaptive"}
FROM_CODE = "settings of the public code"


def _prf(precision: float, recall: float, ap50: float, f1: float) -> Scores:
    return {"precision": precision, "recall_f1": recall, "ap50": ap50, "f1": f1}


def _eflnet(
    number: str, shows: str, rows: tuple[Row, ...], options: Mapping[str, Any], note: str
) -> Table:
    note = f"{FROM_CODE}; {note}"
    return Table(
        f"eflnet-{number}", shows, "IRSTD-1k", "eflnet", rows, options, "official", note=note
    )


def _comparison(data: str, precision: float) -> Table:
    """Our row of Table I; its recall is at the confidence of the greatest F1."""
    scores = printed("eflnet", data)
    scores = {"precision": precision, "recall_f1": scores["recall"], "f1": scores["f1"]}
    return Table(
        f"eflnet-I-{data}",
        "comparison: our row",
        data,
        "eflnet",
        (Row("EFLNet", scores),),
        preset="official",
        note=FROM_CODE,
    )


def _exponents() -> tuple[Row, ...]:
    f1 = {
        (2, 2): 0.792,
        (2, 4): 0.768,
        (2, 6): 0.771,
        (2, 8): 0.772,
        (2, 10): 0.731,
        (4, 2): 0.782,
        (6, 2): 0.759,
        (8, 2): 0.735,
        (10, 2): 0.715,
    }
    fixed = tuple(
        Row(
            f"{eta}, {gamma}",
            {"f1": score},
            {"atfl_mode": "fixed", "eta": float(eta), "gamma": float(gamma)},
        )
        for (eta, gamma), score in f1.items()
    )
    return (*fixed, Row("adaptive", {"f1": 0.808}))


EFLNET = (
    _comparison("NUAA-SIRST", 0.882),
    _comparison("NUDT-SIRST", 0.963),
    _comparison("IRSTD-1k", 0.870),
    _eflnet(
        "II",
        "exponents of hard and easy samples, fixed or adaptive",
        _exponents(),
        {**ATFL_ONLY, "lambda_": 2.5},
        "ATFL alone; the adaptive row is that of λ = 2.5 in Table III",
    ),
    _eflnet(
        "III",
        "λ of ATFL",
        tuple(
            Row(f"{value:g}", _prf(*scores), {"lambda_": value})
            for value, scores in {
                1.5: (0.851, 0.768, 0.773, 0.807),
                2.0: (0.879, 0.726, 0.763, 0.795),
                2.5: (0.876, 0.749, 0.780, 0.808),
                3.0: (0.889, 0.745, 0.763, 0.810),
                3.5: (0.851, 0.790, 0.790, 0.819),
                4.0: (0.870, 0.736, 0.748, 0.797),
            }.items()
        ),
        ATFL_ONLY,
        "ATFL alone",
    ),
    _eflnet(
        "IV",
        "threshold of ATFL",
        tuple(
            Row(f"{value:g}", {"f1": f1}, {"threshold": value})
            for value, f1 in {0.1: 0.789, 0.3: 0.793, 0.5: 0.810, 0.7: 0.808, 0.9: 0.782}.items()
        ),
        {**ATFL_ONLY, "lambda_": 3.0},
        "ATFL alone; λ is not stated: at 0.5 the F1 is that of λ = 3 in Table III",
    ),
    _eflnet(
        "V",
        "C of NWD",
        tuple(
            Row(f"{value:g}", {"ap50": ap50, "f1": f1}, {"nwd_c": value})
            for value, ap50, f1 in (
                (9.0, 0.789, 0.818),
                (11.0, 0.806, 0.832),
                (13.0, 0.800, 0.831),
                (15.0, 0.795, 0.819),
                (17.0, 0.801, 0.830),
            )
        ),
        {**PLAIN, "atfl_mode": "bce", "box_loss": "nwd"},
        "NWD alone; C in cells, as the code has it",
    ),
    _eflnet(
        "VI",
        "dynamic head blocks",
        tuple(
            Row(str(n), {"f1": f1}, {"dyhead_blocks": n})
            for n, f1 in enumerate((0.818, 0.826, 0.829, 0.832, 0.837, 0.836))
        ),
        {"atfl_mode": "bce", "box_loss": "nwd", "assign_metric": "iou", "nwd_c": 9.0},
        "NWD with C = 9, no ATFL",
    ),
    _eflnet(
        "VII",
        "components",
        (
            Row("none", _prf(0.845, 0.756, 0.770, 0.798), {**PLAIN, "atfl_mode": "bce"}),
            Row("ATFL", _prf(0.851, 0.768, 0.773, 0.807), ATFL_ONLY),
            Row("ATFL, NWD", _prf(0.858, 0.797, 0.801, 0.826), {"dyhead_blocks": 0}),
            Row("ATFL, NWD, dynamic head", _prf(0.882, 0.807, 0.816, 0.843)),
        ),
        {},
        "λ = 1.5, three blocks; the comparison prints precision 0.870 and recall 0.817 for the "
        "last row",
    ),
)

# ---- SeRankDet

LEGACY = {"matching": "dnanet_legacy", "empty": "zero"}
SERANKDET_INPUT: dict[str, dict[str, Any]] = {
    "SIRST": {},
    "IRSTD-1k": {},
    "SIRST-Aug": {"size": 256, "batch": 8},
    "NUDT-SIRST": {"size": 256, "batch": 8, "epochs": 1500},
}
DDC_ALONE = {"serank": False, "lsff": "off"}


def _serankdet(name: str, shows: str, data: str, *rows: Row, note: str = "") -> Table:
    note = "; ".join(filter(None, [FROM_CODE, note, "printed is the best epoch on the test split"]))
    return Table(
        f"serankdet-{name}",
        shows,
        data,
        "serankdet",
        rows,
        SERANKDET_INPUT[data],
        "official",
        LEGACY,
        note,
    )


def _on_both(number: str, shows: str, rows: Mapping[str, Any], note: str = "") -> tuple[Table, ...]:
    """Two tables of label -> (IoU on SIRST, IoU on IRSTD-1k, options)."""
    names = {"SIRST": number, "IRSTD-1k": f"{number}-IRSTD-1k"}
    tables = []
    for k, (data, name) in enumerate(names.items()):
        of_data = [Row(label, {"iou": row[k]}, row[2]) for label, row in rows.items()]
        tables.append(_serankdet(name, shows, data, *of_data, note=note))
    return tuple(tables)


SERANKDET_FULL = tuple(printed("serankdet", data, "iou")["iou"] for data in ("SIRST", "IRSTD-1k"))
SERANKDET = (
    *(
        _serankdet(data, "comparison: our row", data, Row("SeRankDet", printed("serankdet", data)))
        for data in SERANKDET_INPUT
    ),
    *_on_both(
        "III",
        "DDC, SeRank, LSFF, position embedding",
        {
            "none": (0.7699, 0.6632, {**DDC_ALONE, "ddc": False}),
            "DDC": (0.7946, 0.6869, DDC_ALONE),
            "SeRank with PE": (0.7834, 0.6994, {"ddc": False, "lsff": "off"}),
            "LSFF": (0.7899, 0.6821, {"ddc": False, "serank": False}),
            "DDC, SeRank with PE": (0.8064, 0.7090, {"lsff": "off"}),
            "all but PE": (0.8014, 0.7263, {"pe": False}),
            "all": (*SERANKDET_FULL, {}),
        },
        "the marks of two rows are partly read from the text",
    ),
    *_on_both(
        "IV",
        "branches of DDC, without SeRank and LSFF",
        {
            "difference": (0.7845, 0.6715, {**DDC_ALONE, "ddc_dilated": False}),
            "dilated": (0.7881, 0.6775, {**DDC_ALONE, "ddc_cdc": False}),
            "all": (0.7946, 0.6869, DDC_ALONE),
        },
        "what the rows mean is read from the text",
    ),
    *_on_both(
        "V",
        "top K before or after the product",
        {
            "after": (0.8026, 0.7220, {"serank_mode": "post_topk"}),
            "before": (*SERANKDET_FULL, {"serank_mode": "pre_topk"}),
        },
    ),
    _serankdet(
        "offset",
        "offset o of K",
        "SIRST",
        *(
            Row(str(o), {"iou": SERANKDET_FULL[0]} if o == 3 else {}, {"offset": o})
            for o in range(1, 6)
        ),
        note="the other four print 0.8086, 0.8081, 0.8016 and 0.7963, which is which is not known",
    ),
)

# ---- CgraNet


def _cgranet(name: str, shows: str, *rows: Row, data: str = "MDvsFA") -> Table:
    note = "no public code; number of epochs not stated; printed F can't be of the printed Eq. 6"
    return Table(f"cgranet-{name}", shows, data, "cgranet", rows, note=note)


def _auc(auc: float, iou: float, f1: float) -> Scores:
    return {"auc": auc, "iou": iou, "pixel_f1": f1}


UNITED = _auc(0.9510, printed("cgranet", "MDvsFA")["iou"], 0.6909)
CGRANET = (
    _cgranet(
        "MDvsFA", "comparison: our row", Row("CgraNet", {**UNITED, **printed("cgranet", "MDvsFA")})
    ),
    _cgranet(
        "NUDT-SIRST",
        "comparison: our row",
        Row("CgraNet", {**printed("cgranet", "NUDT-SIRST"), "pixel_f1": 0.7654}),
        data="NUDT-SIRST",
    ),
    _cgranet(
        "III",
        "loss",
        *(
            Row(loss, scores, {"loss": loss})
            for loss, scores in {
                "iou": _auc(0.9098, 0.4580, 0.5410),
                "dice": _auc(0.9433, 0.3834, 0.5407),
                "focal": _auc(0.9598, 0.3813, 0.6474),
                "bce": _auc(0.9713, 0.3768, 0.6001),
                "iou+dice": _auc(0.9374, 0.4127, 0.5967),
                "iou+focal": _auc(0.9435, 0.4657, 0.6178),
                "unite": UNITED,
            }.items()
        ),
    ),
    _cgranet(
        "IV",
        "modules",
        *(
            Row(label, scores, {"cgm": cgm, "ram": ram, "mab": mab})
            for label, scores, cgm, ram, mab in (
                ("none", _auc(0.8575, 0.2436, 0.4357), (), (), False),
                ("RAM 1", _auc(0.9057, 0.3377, 0.5024), (), (1,), False),
                ("CGM 1, RAM 1", _auc(0.9170, 0.3649, 0.5242), (1,), (1,), False),
                ("CGM 1-2, RAM 1-2", _auc(0.9211, 0.4093, 0.5647), (1, 2), (1, 2), False),
                ("CGM 1-3, RAM 1-3", _auc(0.9498, 0.4130, 0.6226), (1, 2, 3), (1, 2, 3), False),
                ("all, MAB", UNITED, (1, 2, 3), (1, 2, 3), True),
            )
        ),
    ),
)

TABLES: dict[str, Table] = {
    table.id: table for table in (*BAFENET, *ADSNET, *EFLNET, *SERANKDET, *CGRANET)
}
