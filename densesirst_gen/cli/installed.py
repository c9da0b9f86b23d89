"""What a command needs beside the core, looked for before any work."""

from __future__ import annotations

from importlib.util import find_spec

import click

EXTRAS = {
    "tensorboard": "tensorboard",
    "matplotlib": "'densesirst_gen[plot]'",
    "pyarrow": "'densesirst_gen[parquet]'",
    "jinja2": "'densesirst_gen[report]'",
}
"""Other modules come with ``densesirst_gen[train]``."""


def check_installed(*modules: str) -> None:
    """Raise ClickException, with the command that helps, if one of the modules is missing."""
    for module in modules:
        if find_spec(module) is None:
            hint = EXTRAS.get(module, "'densesirst_gen[train]'")
            raise click.ClickException(f"{module} is not installed: pip install {hint}")


def check_training(*modules: str) -> None:
    """`check_installed` of what trained detectors need, and of more."""
    check_installed("torch", "lightning_fabric", "safetensors", *modules)
