"""The command `nst`, or `python -m nst`: one picture, `grid` for a sheet, `batch` for many, `page` for the web page."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code, as `nst.command_line` and `nst.serve` give it."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["page"]:
        from nst import serve  # here: it loads what must come before torch

        return serve.main(arguments[1:])
    from nst import command_line

    return command_line.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
