"""Make and annotate infrared small target datasets with dense clusters of targets."""

from densesirst_gen.version import __version__

__all__ = ["__version__"]
