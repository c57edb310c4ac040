"""Files that a reader sees whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` so that a reader sees the old file or the new one, never half of it."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(content))
    os.replace(beside, path)
