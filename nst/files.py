"""Whether a command may write the files that it names, found out before anything is painted."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Hashable, Iterable
from pathlib import Path

Named = tuple[str | os.PathLike[str] | None, str]  # a path, if one was given, and the words for it
USUAL_LONGEST_NAME = 255  # bytes, of Linux, macOS and Windows


def folded(name: str) -> str:
    """Equal for names that differ only in case or in composed accents, which some disks take for the same name."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def check_no_overwriting(written: Iterable[Named], read: Iterable[Named], remedy: str = "name another file") -> None:
    """Refuse to write a file that is also an input, or that is also another output, by whatever name or link.

    `ValueError` says which two. What the system cannot write at all is refused too.
    """
    inputs = {_identity(path): words for path, words in read if path}
    outputs: dict[str, str] = {}
    for path, words in written:
        if not path:
            continue
        check_reachable(Path(path), words)
        taken, place = inputs.get(_identity(path)), folded(os.path.realpath(path))
        if taken or place in outputs:
            raise ValueError(f"{shown(path)!r}, {taken or outputs[place]}, would be overwritten by {words}; {remedy}")
        outputs[place] = words


def check_reachable(path: Path, words: str) -> None:
    """Refuse a path that the system takes for none: a name that is too long, a file where a folder should be."""
    try:
        os.stat(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            length, most = len(os.fsencode(path.name)), longest_name(path.parent)
            what = f"has {length} bytes, the disk takes {most}" if length > most else "is too long with its folders"
            raise ValueError(f"the name of {words}, {shown(path)!r}, {what}; choose a shorter one") from None
        raise ValueError(f"{words} {shown(path)!r} cannot be written ({error.strerror}); choose another") from None
    except ValueError:
        raise ValueError(f"the name of {words}, {shown(path)!r}, holds a zero byte; choose another") from None


def longest_name(folder: Path) -> int:
    """The most bytes that a file's name may have in a folder, or in the folder that it will be made in."""
    for place in (folder, *folder.absolute().parents):
        try:
            return os.pathconf(place, "PC_NAME_MAX")
        except FileNotFoundError:
            continue
        except (AttributeError, OSError, ValueError):  # Windows has no such call
            break
    return USUAL_LONGEST_NAME


def shortened(name: str, most_bytes: int) -> str:
    """The name without its end, so that it has at most `most_bytes` bytes; no character is cut in two."""
    while len(os.fsencode(name)) > most_bytes:
        name = name[: min(len(name) - 1, most_bytes)]
    return name


def shown(path: str | os.PathLike[str]) -> str:
    """A path for a sentence, of bounded length."""
    text = os.fspath(path)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-17:]}"


def _identity(path: str | os.PathLike[str]) -> Hashable:
    """Equal for two names of one file: by device and number where the file exists, by its resolved path otherwise."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return folded(os.path.realpath(path))
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(path)  # 0: a disk without numbers
