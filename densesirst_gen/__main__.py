"""``python -m densesirst_gen`` is ``densesirst-gen``."""

from densesirst_gen.cli import main

main()
