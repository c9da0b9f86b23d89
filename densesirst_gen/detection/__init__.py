"""Training and evaluating detectors: optional, nothing outside this package needs it."""
