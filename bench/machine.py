"""What the benchmark ran on."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from core import __version__
from core.common.clock import now

PACKAGES = ("django", "gunicorn", "httptools", "uvloop", "asyncpg", "psycopg2-binary")


def describe(peer: str | None) -> list[tuple[str, str]]:
    """Return what to know about the machine and the programs, as pairs of name and value."""
    return [
        ("Date", now().date().isoformat()),
        ("Processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("Memory", f"{_memory_bytes() / 2**30:.1f} GiB"),
        ("Kernel", f"{platform.system()} {platform.release()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("Roadstead", f"{__version__} ({_commit()})"),
        *((name, version(name)) for name in PACKAGES),
        ("Peer", peer or "none installed"),
        ("Load average before", f"{os.getloadavg()[0]:.1f}"),
    ]


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _commit() -> str:
    """Return the commit that runs, marked when files differ from it."""
    command = ["git", "describe", "--always", "--dirty"]
    folder = Path(__file__).parent
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "commit unknown"
    return result.stdout.strip() or "commit unknown"
