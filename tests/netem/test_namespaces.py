from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from netem import namespaces
from netem.namespaces import Namespace, NotCapableError, become_capable, enter, is_capable

ROOT = Path(__file__).parents[2]


def own_namespace() -> str:
    return os.readlink("/proc/thread-self/ns/net")


def openable() -> bool:
    try:
        Namespace.create().close()
    except NotCapableError:
        return False
    return True


def user_namespaces_open() -> bool:
    try:
        namespaces.check_user_namespaces()
    except NotCapableError:
        return False
    return True


needs_namespaces = pytest.mark.skipif(not openable(), reason="may not have network namespaces here")
needs_users = pytest.mark.skipif(not user_namespaces_open(), reason="user namespaces are closed")


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@needs_namespaces
def test_a_namespace_is_another_one_and_its_loopback_works() -> None:
    before = own_namespace()
    with Namespace.create() as namespace:
        with namespace.entered():
            assert own_namespace() != before
            with socket.create_server(("127.0.0.1", 0)) as server:
                socket.create_connection(server.getsockname(), timeout=5).close()
        assert own_namespace() == before


@needs_namespaces
def test_an_error_inside_leads_back_too() -> None:
    before = own_namespace()
    with Namespace.create() as namespace:
        with pytest.raises(ZeroDivisionError), namespace.entered():
            raise ZeroDivisionError
        assert own_namespace() == before


@needs_namespaces
def test_a_thread_that_runs_already_stays_where_it_is() -> None:
    before = own_namespace()
    seen: list[str] = []
    look = threading.Event()

    def wait_and_look() -> None:
        look.wait(10)
        seen.append(own_namespace())

    thread = threading.Thread(target=wait_and_look)
    thread.start()
    with Namespace.create() as namespace, namespace.entered():
        look.set()
        thread.join()
    assert seen == [before]


@needs_namespaces
def test_a_child_enters_by_path_and_sockets_stay_in_their_namespace() -> None:
    code = (
        "import os, sys; from netem.namespaces import enter; enter(sys.argv[1]);"
        "print(os.readlink('/proc/self/ns/net'))"
    )
    with Namespace.create() as namespace:
        with namespace.entered():
            inside = own_namespace()
        assert run(code, namespace.path).stdout.strip() == inside


@needs_namespaces
def test_nothing_is_left_of_a_namespace_that_was_closed() -> None:
    namespace = Namespace.create()
    path = namespace.path
    namespace.close()
    namespace.close()
    with pytest.raises(OSError, match="No such file"):
        enter(path)


@needs_users
def test_a_process_becomes_root_of_its_own_namespaces_though_it_has_threads() -> None:
    code = """
import os, sys, threading, time
from netem import namespaces
threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
namespaces.is_capable = lambda: False
show = "import os; from netem import namespaces as n;"
show += "print(os.getpid(), os.geteuid(), n.is_capable(), os.readlink('/proc/self/ns/net'))"
print(os.getpid(), os.readlink('/proc/self/ns/net'), flush=True)
namespaces.become_capable([sys.executable, "-c", show])
"""
    result = run(code)
    before, after = (line.split() for line in result.stdout.splitlines())
    assert after[:3] == [before[0], "0", "True"]
    assert after[3] != before[1]


@pytest.mark.skipif(not is_capable(), reason="is not capable to begin with")
def test_a_capable_process_stays_itself() -> None:
    become_capable(["/bin/false"])


def test_without_a_way_the_process_is_told_why_and_stays_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(namespaces, "is_capable", lambda: False)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(NotCapableError) as refused:
        become_capable(["/bin/true"])
    assert refused.value.mend


@pytest.mark.parametrize(
    ("switch", "value", "mend"),
    [
        ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
        (
            "kernel/unprivileged_userns_clone",
            "0",
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_the_mend_names_the_switch_that_is_closed(
    tmp_path: Path, switch: str, value: str, mend: str
) -> None:
    (tmp_path / switch).parent.mkdir()
    (tmp_path / switch).write_text(value + "\n")
    refused = namespaces._not_capable(OSError(errno.EPERM, "no"), tmp_path)
    assert mend in refused.mend


def test_with_no_switch_closed_the_container_is_to_blame(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user/max_user_namespaces").write_text("15000\n")
    refused = namespaces._not_capable(OSError(errno.EPERM, "not permitted"), tmp_path)
    assert "not permitted" in refused.reason
    assert "container" in refused.mend
