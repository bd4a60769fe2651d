"""The page as a program, `nst page` or `python app.py`: set up the process, then build the page and serve it.

Importing this loads neither torch nor gradio: on ZeroGPU another module must be loaded before torch, and gradio reads
variables of the environment while it loads.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from nst import malloc

PORT, HOST = "GRADIO_SERVER_PORT", "GRADIO_SERVER_NAME"  # gradio's variables
LOCAL = ("127.0.0.1", "localhost")


def main(arguments: Sequence[str]) -> int:
    """Serve until interrupted. Exit code: 2 when the page cannot be served as asked."""
    options = _parser().parse_args(arguments)
    try:
        port = _port(options.port, os.environ)
        host = options.host or os.environ.get(HOST) or LOCAL[0]
        if port is not None:
            _refuse_taken(host, port)
        _prepare(host)
        page, served_with = _build()
    except ValueError as error:
        print(f"nst page: {error}", file=sys.stderr)
        return 2
    page.launch(server_name=options.host, server_port=port, **served_with)
    return 0


def page() -> Any:
    """The page, a `gradio.Blocks` that is not served yet, in a process that is set up for it."""
    _prepare(os.environ.get(HOST) or LOCAL[0])
    return _build()[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nst page", description="Serve the web page. Stop it with Ctrl-C.")
    parser.add_argument("--port", metavar="N", help=f"Default: {PORT}, or the first free one from 7860 on.")
    parser.add_argument(
        "--host", metavar="NAME", help=f"Default: {HOST}, or {LOCAL[0]}: this machine only. 0.0.0.0: every network."
    )
    return parser


def _port(asked: str | None, environment: Mapping[str, str]) -> int | None:
    """The port that the command or the environment names; None: gradio takes the first free one."""
    name, written = ("--port", asked) if asked is not None else (PORT, environment.get(PORT))
    if written is None:
        return None
    if not (written.isascii() and written.isdecimal() and len(written) < 6 and 0 < int(written) < 2**16):
        raise ValueError(f"{name} {written!r:.40} is no whole number from 1 to {2**16 - 1}; give one, or leave it out")
    return int(written)


def _refuse_taken(host: str, port: int) -> None:
    """`ValueError` when the page cannot listen there. Gradio would take one of the next hundred ports instead."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ValueError(
                f"port {port} is taken; end the program that uses it, or give another port with --port or {PORT}"
            ) from None
        reason = error.strerror or error
        raise ValueError(
            f"host {host!r}, port {port} cannot be served ({reason}); give another --host or --port"
        ) from None


def _prepare(host: str) -> None:
    """What must be in place before torch and gradio are loaded."""
    ask_ourselves_directly(host)
    with contextlib.suppress(ImportError):
        import spaces  # noqa: F401, on ZeroGPU it must come before torch
    malloc.prepare()


def ask_ourselves_directly(host: str) -> None:
    """Name this machine in `no_proxy`: gradio asks its own address while it starts, and a proxy could not answer."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    named = [name.strip() for name in given.split(",") if name.strip()]
    every = dict.fromkeys((*named, *LOCAL, host.strip("[]")))
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(every)


def _build() -> tuple[Any, dict[str, Any]]:
    """The page, whose files are in a folder of this process, and the keyword arguments of its `launch`."""
    from nst.ui import build, launch_options
    from nst.ui.server import files

    files.keep_apart()
    return build(), launch_options()
