"""Starting child processes that end with their parent, and PostgreSQL as root.

PostgreSQL refuses to run as root. A root user still gets an embedded one: it runs
in a user namespace of its own, in which the owner of root's files has an ordinary
number, and outside of which it has lost every capability. The files stay root's,
so the data directory may lie anywhere, below a closed home too. Where the kernel
or a container forbids such namespaces, PostgreSQL runs as the account ``nobody``,
and its directory is given to that account.
"""

import ctypes
import os
import pwd
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.config.reader import ConfigurationError

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x1000_0000
ACCOUNT = "nobody"

_libc = ctypes.CDLL(None, use_errno=True)

Preparation = Callable[[], None]


@dataclass(frozen=True, slots=True)
class RunAs:
    """How a program that refuses root is started."""

    namespace: bool
    """In a user namespace: outside it stays the same user, without capabilities."""
    uid: int | None
    gid: int | None
    """Account to change to; None: none."""


def choose(directory: Path, programs: Path) -> RunAs:
    """Return how PostgreSQL runs, with its files in `directory` and its binaries in `programs`.

    The owner of files that exist decides; for new ones the namespace comes first.
    Raises ConfigurationError when root has no way to run it.
    """
    if os.geteuid() != 0:
        return RunAs(namespace=False, uid=None, gid=None)
    owner = directory.stat().st_uid if directory.exists() else None
    if owner in (None, 0) and namespaces_work():
        # It loses the right of root to pass through closed directories of others.
        for path in (directory.parent, programs):
            _require_reachable(path, pwd.getpwuid(0))
        return RunAs(namespace=True, uid=None, gid=None)
    account = pwd.getpwnam(ACCOUNT) if owner in (None, 0) else pwd.getpwuid(owner)
    for path in (directory.parent, programs):
        _require_reachable(path, account)
    return RunAs(namespace=False, uid=account.pw_uid, gid=account.pw_gid)


def needs_other_account() -> bool:
    """Say whether a new PostgreSQL here would have to run as another account than this one."""
    return os.geteuid() == 0 and not namespaces_work()


def namespaces_work() -> bool:
    """Say whether this process may make a user namespace, by letting a child try."""
    child = os.fork()
    if child == 0:
        try:
            _enter_namespace(*_inner_identity())
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def preparation(death_signal: int, run_as: RunAs | None = None) -> Preparation:
    """Return what a new child does before it becomes its program.

    The child gets `death_signal` when the process that started it ends, however it
    ends; changing the user comes first, since that would cancel the order.
    """
    parent = os.getpid()
    inner = _inner_identity() if run_as is not None and run_as.namespace else None

    def prepare() -> None:
        if run_as is not None and run_as.uid is not None and run_as.gid is not None:
            os.setgroups([])
            os.setgid(run_as.gid)
            os.setuid(run_as.uid)
        if inner is not None:
            _enter_namespace(*inner)
        if _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def _inner_identity() -> tuple[int, int]:
    """Return an ordinary user and group number that have a name on this machine."""
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        account = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)
    return account.pw_uid, account.pw_gid


def _enter_namespace(inner_uid: int, inner_gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    if _libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, content in (
        ("uid_map", f"{inner_uid} {outer_uid} 1"),
        ("setgroups", "deny"),
        ("gid_map", f"{inner_gid} {outer_gid} 1"),
    ):
        Path("/proc/self", name).write_text(content, encoding="ascii")


def _require_reachable(path: Path, account: pwd.struct_passwd) -> None:
    """Raise ConfigurationError if `account` may not pass through `path` or what is above it."""
    for part in (path, *path.parents):
        state = part.stat()
        if state.st_uid == account.pw_uid:
            passable = state.st_mode & 0o100
        elif state.st_gid == account.pw_gid:
            passable = state.st_mode & 0o010
        else:
            passable = state.st_mode & 0o001
        if not passable:
            raise ConfigurationError(
                f"PostgreSQL runs as {account.pw_name} without the privileges of root and cannot "
                f"enter {part}: run the command as an ordinary user, move {path} elsewhere, "
                "or set ROADSTEAD_DATABASE_URL."
            )
