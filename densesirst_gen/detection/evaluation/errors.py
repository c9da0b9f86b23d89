"""What goes wrong with predictions."""


class PredictionError(ValueError):
    """Predictions that cannot be scored; the message names the file and the rule."""
