"""The program: signals are caught first, then the command line is imported and run."""

import sys
from typing import NoReturn

from densesirst_gen.files.stopping import (
    Stopped,
    ignore_signals,
    stop_code,
    stop_on_signals,
    stop_word,
)


def main() -> NoReturn:
    """Run the command line."""
    try:
        stop_on_signals()
        from densesirst_gen.cli import main as run

        run()
    except BaseException as end:
        if not stop_code() or type(end) is SystemExit:  # all has been said
            raise
        ignore_signals()  # Python makes other errors of a `Stopped` in the midst of an import
        if sys.stderr:
            sys.stderr.write(f"densesirst-gen: {stop_word()}\n")
        raise Stopped(stop_code()) from None


if __name__ == "__main__":
    main()
