"""Network namespaces that nobody has to clean up, and the right to have them.

A namespace here has no name: it lives as long as a descriptor of it is open or a process is in it.
Whatever ends the holder, SIGKILL included, the kernel then frees the namespace with every
interface, queueing discipline and packet filter in it.

This module imports the standard library only, so that a fleet shard can enter its namespace before
anything starts a thread.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn, Self

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWNET: Final = 0x4000_0000
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 0x1
_OWN_NAMESPACE: Final = "/proc/thread-self/ns/net"
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class NotCapableError(Exception):
    """This process may not have network namespaces; says why and what mends it."""

    def __init__(self, reason: str, mend: str) -> None:
        self.reason = reason
        self.mend = mend
        super().__init__(f"{reason}; {mend}")


class Namespace:
    """A network namespace, held by a descriptor.

    Args:
        fd: descriptor of the namespace; belongs to this object from now on.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def create(cls) -> Self:
        """Return a new namespace whose loopback interface is up.

        Raises:
            NotCapableError: this process may not.
        """
        made: list[int | OSError] = []

        def make() -> None:
            # A thread has a namespace of its own and takes it along when it ends.
            try:
                _unshare(CLONE_NEWNET)
                bring_loopback_up()
                made.append(os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=make, name="new-namespace")
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise _not_capable(made[0]) from made[0]
        return cls(made[0])

    @classmethod
    def current(cls) -> Self:
        """Return the namespace this thread is in."""
        return cls(os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC))

    @property
    def path(self) -> str:
        """Path for `enter`, for this process and its children, as long as this is open."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread, and no other, in the namespace for the length of the block.

        Sockets and processes made within the block stay in the namespace. Never hold this across
        an ``await``.
        """
        before = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self.fd)
            try:
                yield
            finally:
                _setns(before)
        finally:
            os.close(before)

    def close(self) -> None:
        """Let go of the namespace; it ends with the last process in it. May be repeated."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def enter(path: str) -> None:
    """Have this process live in the network namespace at ``path`` from now on.

    Threads that run already stay where they are, so this comes first.

    Raises:
        OSError: there is no such namespace (any more), or this process may not enter it.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(fd)
    finally:
        os.close(fd)


def is_capable() -> bool:
    """Return whether this process may administer its network and have namespaces beside it.

    Asks the kernel rather than the capability bits: those say nothing about whose namespace it is.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            _set_flags(control, _flags(control))
        Namespace.create().close()
    except (OSError, NotCapableError):
        return False
    return True


def become_capable(argv: Sequence[str]) -> None:
    """Return if this process may administer its network; else become one that may.

    A process with threads cannot change its user namespace, so the way there is to start anew:
    the process is replaced by ``argv`` (a whole command line), run as root of a user, network and
    mount namespace of its own, with nothing but a loopback interface. Open files, the environment
    and the process id stay; this does not return then.

    Raises:
        NotCapableError: user namespaces are closed here. The process is as it was.
    """
    if is_capable():
        return
    check_user_namespaces()
    command = [sys.executable, "-I", str(Path(__file__)), *argv]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)


def check_user_namespaces() -> None:
    """Try in a child whether `become_capable` would work.

    Raises:
        NotCapableError: it would not.
    """
    # The child says by its exit code which error it met: 0 is none.
    child = subprocess.run(
        [sys.executable, "-I", str(Path(__file__))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if child.returncode:
        number = child.returncode if child.returncode > 0 else errno.EPERM
        raise _not_capable(OSError(number, os.strerror(number)))


def unshare_as_root() -> None:
    """Put this process, which must have no second thread, into namespaces where it is root.

    Raises:
        OSError: user namespaces are closed here, or the process has threads (EINVAL).
    """
    user, group = os.geteuid(), os.getegid()
    _unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    bring_loopback_up()


def bring_loopback_up() -> None:
    """Bring up the loopback interface of the namespace this thread is in.

    Raises:
        OSError: this process may not.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _set_flags(control, _flags(control) | _IFF_UP)


def _flags(control: socket.socket) -> int:
    request = struct.pack("16sh22x", b"lo", 0)
    answer = fcntl.ioctl(control, _SIOCGIFFLAGS, request)
    return int(struct.unpack("16sh22x", answer)[1])


def _set_flags(control: socket.socket, flags: int) -> None:
    fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags))


def _unshare(flags: int) -> None:
    _checked(_LIBC.unshare(flags))


def _setns(fd: int) -> None:
    _checked(_LIBC.setns(fd, CLONE_NEWNET))


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_SWITCHES: Final = (
    # file below /proc/sys, the value that closes user namespaces, the one that opens them
    ("user/max_user_namespaces", "0", "15000"),
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
)


def _not_capable(error: OSError, sysctls: Path = Path("/proc/sys")) -> NotCapableError:
    """Return what to tell, from what the distribution has switched off."""
    for name, closed, opened in _SWITCHES:
        try:
            value = (sysctls / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if value == closed:
            key = name.replace("/", ".")
            return NotCapableError(
                f"this system closes user namespaces to ordinary users ({key} = {value})",
                f"as root: sysctl -w {key}={opened}, or run as root",
            )
    return NotCapableError(
        f"the kernel refuses a network namespace ({error.strerror})",
        "run as root; in a container allow user namespaces, or add the capabilities NET_ADMIN and"
        " SYS_ADMIN",
    )


def _main(argv: Sequence[str]) -> NoReturn:
    """Run ``argv`` as root of its own namespaces; without ``argv``, say whether that works."""
    try:
        unshare_as_root()
    except OSError as error:
        if argv:
            print(f"no user namespace: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.errno or errno.EPERM)
    if argv:
        os.execvp(argv[0], list(argv))
    sys.exit(0)


if __name__ == "__main__":
    _main(sys.argv[1:])
