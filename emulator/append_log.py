"""A file that is only ever added to: what a device did, for whoever reconciles it afterwards."""

from __future__ import annotations

import errno
import os
from pathlib import Path


class AppendLog:
    """Lines of one writer. Raises `OSError`: the file cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def append(self, octets: bytes) -> None:
        """Append whole lines; they are with the kernel when this returns.

        Raises `OSError`: they could not be written, and nothing of them was.
        """
        end = self._file.seek(0, os.SEEK_END)
        if self._file.write(octets) != len(octets):
            self._file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
