"""The command line: arguments and environment in, exit status out. A command's module is loaded when it is called."""

from __future__ import annotations

import sys

from extract.cli.app import app
from extract.errors import ExtractError

__all__ = ["main"]


def main() -> None:
    """Run the command. An ExtractError is printed as one line on stderr, without a traceback."""
    try:
        app(prog_name="extract")
    except ExtractError as error:
        from extract.cli.terminal import exit_status, say_error

        say_error(error)
        sys.exit(exit_status(error))
    except KeyboardInterrupt:
        sys.exit(130)
