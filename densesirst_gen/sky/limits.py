"""What of a predicted sky is pasted on."""

from __future__ import annotations

DOUBTFUL = 0.75
"""Nothing is pasted into an image of less confidence, whatever is asked of its pixels."""

SKY_CONFIDENCE = 0.75
SKY_MARGIN = 4
"""Defaults: pasted on is what is at least this probable and this far, px, from its boundary."""

LITTLE_SKY = 0.05
"""Of a doubtful image that has no more, there is nothing to paste on and little to look at."""
