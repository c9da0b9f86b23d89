"""The program: signals are caught first, then the command line is imported and run."""

import sys
from typing import NoReturn

from densesirst_gen.files.stopping import Stopped, ignore_signals, stop_on_signals, stop_word


def main() -> NoReturn:
    """Run the command line."""
    try:
        stop_on_signals()
        from densesirst_gen.cli import main as run

        run()
    except Stopped:
        ignore_signals()
        if sys.stderr:
            sys.stderr.write(f"densesirst-gen: {stop_word()}\n")
        raise


if __name__ == "__main__":
    main()
