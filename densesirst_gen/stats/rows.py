"""The tables of `stats`: what is known of each target, each group and each scene.

A group is what `density.clusters` finds: a cluster of linked targets, or a single. Quantities
that do not exist for a row (see `MAY_BE_NONE`) are -1; none is NaN.
"""

from __future__ import annotations

import numpy as np

NONE = -1
MAY_BE_NONE = ("in_sky", "sky_fraction", "gap", "nearest_distance")
"""Without a sky mask; for a target without links; for the only target of a scene."""

SKY_GRID = (24, 32)
"""Rows and columns into which every image is divided to add up where the sky is."""

BOX = [(edge, np.int32) for edge in ("x0", "y0", "x1", "y1")]

TARGET = np.dtype(
    [
        ("scene", np.int32),  # row in the table of scenes
        ("label", np.int32),  # in the scene's label image, from 1
        ("group", np.int32),  # in the scene, from 0
        ("group_targets", np.int32),  # targets of that group; 1: a single
        *BOX,  # px, tight and half-open
        ("x", np.float64),  # px, centroid of the mask
        ("y", np.float64),
        ("width", np.int32),  # px
        ("height", np.int32),
        ("area", np.int32),  # px, of the mask
        ("box_fill", np.float64),  # area / area of the box
        ("in_sky", np.float64),  # share of the mask
        ("gap", np.int32),  # px between its box and the nearest linked one; touching or less: 0
        ("nearest_distance", np.float64),  # px to the nearest other centroid of the scene
        ("peak", np.float64),  # these eleven: see `appearance`
        ("mean", np.float64),
        ("saturated", np.bool_),
        ("brightness_rank", np.float64),
        ("local_contrast", np.float64),
        ("scr", np.float64),
        ("log_scr", np.float64),
        ("peak_increment", np.float64),
        ("profile_mean_over_max", np.float64),
        ("halo_ratio", np.float64),
        ("asymmetry", np.float64),
    ]
)
GROUP = np.dtype(
    [
        ("scene", np.int32),
        ("group", np.int32),
        ("n_targets", np.int32),
        *BOX,  # px, tight around all masks
        ("side", np.int32),  # px, the longer side of the box
        ("area", np.int32),  # px, sum over the masks
        ("density", np.float64),  # Eq. 4, see `density.group_density`
        ("log_std", np.float64),  # see `appearance.group_log_std`
        ("in_sky", np.float64),  # share of the box
    ]
)
SCENE = np.dtype(
    [
        ("scene", np.int32),
        ("height", np.int32),  # px
        ("width", np.int32),
        ("n_targets", np.int32),
        ("n_clusters", np.int32),
        ("n_singles", np.int32),
        ("sky_fraction", np.float64),
        ("gray_mean", np.float64),  # gray levels, over all pixels
        ("gray_std", np.float64),
    ]
)
