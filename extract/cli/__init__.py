"""The command line: arguments and environment in, exit status out. A command's module is loaded when it is called."""

from __future__ import annotations

import sys

from extract.cli.app import app
from extract.errors import ExtractError

__all__ = ["main"]

_NO_MEMORY = "there is not enough memory; what was paid for is in the cache: try again with a lower --concurrency"


def main() -> None:
    """Run the command. An ExtractError or a MemoryError is printed as one line on stderr, without a traceback."""
    try:
        app(prog_name="extract")
    except (ExtractError, MemoryError) as raised:
        from extract.cli.terminal import exit_status, say_error

        error = raised if isinstance(raised, ExtractError) else ExtractError(_NO_MEMORY)
        say_error(error)
        sys.exit(exit_status(error))
    except KeyboardInterrupt:
        sys.exit(130)
