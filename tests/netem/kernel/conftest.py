"""Tests marked ``in_kernel`` run under User-Mode Linux, all in one virtual machine."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Sequence

import pytest

from tests.support import kernel_vm

OUTSIDE_TIMEOUT_S = 600


_CONFIGS: list[pytest.Config] = []


def pytest_configure(config: pytest.Config) -> None:
    _CONFIGS.append(config)
    config.addinivalue_line("markers", "in_kernel: runs in a virtual machine that has netem")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    if kernel_vm.is_inside():
        return
    for item in items:
        if item.get_closest_marker("in_kernel"):
            # The first of them waits for all.
            item.add_marker(pytest.mark.timeout(OUTSIDE_TIMEOUT_S))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    if not item.get_closest_marker("in_kernel") or kernel_vm.is_inside():
        return None
    if not kernel_vm.is_available():
        return None
    factory: pytest.TempPathFactory = item.config._tmp_path_factory  # type: ignore[attr-defined]
    folder = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        # What is beside the folders of the workers is common to them.
        folder = folder.parent
    # Waiting for the machine is no reason to print every stack.
    faulthandler.cancel_dump_traceback_later()
    return True if kernel_vm.replay(item, folder) else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if kernel_vm.is_inside():
        kernel_vm.write_down(_CONFIGS[0], report)


@pytest.fixture(autouse=True)
def _run_inside(request: pytest.FixtureRequest) -> None:
    """Let no test run outside that was meant for inside."""
    if request.node.get_closest_marker("in_kernel") is None or kernel_vm.is_inside():
        return
    if wrong := request.node.stash.get(kernel_vm.WRONG, None):
        pytest.fail(wrong)
    if os.environ.get("CI") == "true":
        pytest.fail("no kernel with netem: install the packages user-mode-linux and busybox-static")
    pytest.skip("no kernel with netem: install the packages user-mode-linux and busybox-static")
