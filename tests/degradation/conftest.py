"""The suite runs from a checkout too, whose environment may be older than the plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

PLUGIN = "harness.pytest_plugin"


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> None:
    """Load the plugin where no entry point did."""
    manager = parent.config.pluginmanager
    if not any(getattr(plugin, "__name__", "") == PLUGIN for plugin in manager.get_plugins()):
        manager.import_plugin(PLUGIN)
