"""Training detectors, and what their training is worth."""
