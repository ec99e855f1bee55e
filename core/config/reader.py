"""Reading typed values out of environment variables, collecting every fault."""

import difflib
import ipaddress
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MASK = "********"
# Parameters of libpq and of redis.Redis.from_url that hold a secret or lead to one.
SECRET_PARAMETERS = frozenset({"password", "sslpassword", "passfile", "ssl_password"})
SECRET_KEY_BYTES = 48


class ConfigurationError(Exception):
    """The configuration cannot be used; `faults` holds one sentence for each reason."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable as `roadstead config show` prints it; secrets are masked."""

    name: str
    value: str
    origin: str
    meaning: str


class Reader:
    """Takes values out of a mapping and remembers names, origins and faults."""

    def __init__(self, environ: Mapping[str, str], prefix: str) -> None:
        self._environ = environ
        self._prefix = prefix
        self._known: set[str] = set()
        self._faults: list[str] = []
        self._shown: list[Setting] = []

    def below(self, prefix: str) -> "Reader":
        """Return a reader of the variables with one more prefix; it adds to the same results."""
        reader = Reader(self._environ, self._prefix + prefix)
        reader._known, reader._faults, reader._shown = self._known, self._faults, self._shown
        return reader

    def text(self, name: str, *, default: str, meaning: str) -> str:
        """Return a text that is not empty."""
        value = self._raw(name)
        self._show(name, value, default, meaning)
        return default if value is None else value

    def path(self, name: str, *, default: Path, meaning: str) -> Path:
        """Return an absolute path; a leading ``~`` is the home directory."""
        value = self._raw(name)
        path = Path(default if value is None else value).expanduser().absolute()
        self._show(name, None if value is None else str(path), str(path), meaning)
        return path

    def integer(self, name: str, *, default: int, minimum: int, maximum: int, meaning: str) -> int:
        """Return a whole number between `minimum` and `maximum`, both allowed."""
        value = self._raw(name)
        self._show(name, value, str(default), meaning)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,18}", value) or not minimum <= int(value) <= maximum:
            self._fault(name, value, f"set it to a whole number from {minimum} to {maximum}")
            return default
        return int(value)

    def boolean(self, name: str, *, default: bool, meaning: str) -> bool:
        """Return True for ``true`` and False for ``false``."""
        shown = "true" if default else "false"
        return (
            self.choice(name, default=shown, choices=("true", "false"), meaning=meaning) == "true"
        )

    def choice(self, name: str, *, default: str, choices: tuple[str, ...], meaning: str) -> str:
        """Return one of `choices`; upper and lower case are the same."""
        value = self._raw(name)
        self._show(name, value, default, meaning)
        if value is None:
            return default
        if value.lower() not in choices:
            self._fault(name, value, f"set it to one of {', '.join(choices)}")
            return default
        return value.lower()

    def matching(self, name: str, *, default: str, pattern: str, rule: str, meaning: str) -> str:
        """Return a text that matches `pattern` whole; `rule` says so in words."""
        value = self._raw(name)
        self._show(name, value, default, meaning)
        if value is None:
            return default
        if not re.fullmatch(pattern, value):
            self._fault(name, value, f"it must {rule}")
            return default
        return value

    def web_address(self, name: str, *, meaning: str) -> str | None:
        """Return scheme and host of an http or https address, without a trailing slash."""
        value = self._raw(name)
        self._show(name, value, "(taken from each request)", meaning)
        if value is None:
            return None
        parts = _split(value)
        plain = (
            parts is not None and parts.path in ("", "/") and not (parts.query or parts.fragment)
        )
        if (
            parts is None
            or parts.scheme not in ("http", "https")
            or not parts.hostname
            or not plain
        ):
            self._fault(name, value, "write it as https://registry.example.org without a path")
            return None
        return value.rstrip("/")

    def url(self, name: str, *, schemes: tuple[str, ...], example: str, meaning: str) -> str | None:
        """Return a URL whose scheme is one of `schemes`; its password is a secret."""
        value, origin = self._secret(name)
        shown = None if value is None else masked_url(value)
        self._show(name, shown, "(embedded)", meaning, origin=origin)
        if value is None:
            return None
        parts = _split(value)
        if parts is None or parts.scheme not in schemes:
            self._fault(name, shown or "", f"write it as {example}")
            return None
        return value

    def networks(self, name: str, *, meaning: str) -> tuple[Network, ...]:
        """Return the networks of a comma-separated list; a lone address is a network too."""
        value = self._raw(name)
        self._show(name, value, "(none)", meaning)
        networks: list[Network] = []
        for part in (value or "").split(","):
            if not part.strip():
                continue
            try:
                networks.append(ipaddress.ip_network(part.strip()))
            except ValueError:
                self._fault(name, part.strip(), "write networks as 10.0.0.0/8,192.168.1.5,fd00::/8")
        return tuple(networks)

    def secret(self, name: str, *, minimum_length: int, meaning: str) -> str | None:
        """Return a secret from the variable or from the file that ``<name>_FILE`` names."""
        value, origin = self._secret(name)
        self._show(name, None if value is None else MASK, "(unset)", meaning, origin=origin)
        if value is not None and len(value) < minimum_length:
            self._faults.append(
                f"{self._prefix}{name} is too short: use at least {minimum_length} characters."
            )
            return None
        return value

    def full_name(self, name: str) -> str:
        """Return the name of a variable as people write it."""
        return self._prefix + name

    def names(self) -> list[str]:
        """Return the names, without prefix, of what was read so far, in that order."""
        return [setting.name.removeprefix(self._prefix) for setting in self._shown]

    def is_set(self, name: str) -> bool:
        """Say whether the variable, or the one that names its file, is there."""
        full_name = self._prefix + name
        return any(one in self._environ for one in (full_name, f"{full_name}_FILE"))

    def refuse(self, sentence: str) -> None:
        """Add a fault that is about more than one value by itself."""
        self._faults.append(sentence)

    def refuse_unknown(self) -> None:
        """Add a fault for each variable with the prefix that nothing has asked for."""
        for full_name in sorted(self._environ):
            if not full_name.startswith(self._prefix) or full_name in self._known:
                continue
            near = difflib.get_close_matches(
                full_name.removeprefix(self._prefix),
                [name.removeprefix(self._prefix) for name in sorted(self._known)],
                n=1,
                cutoff=0.7,
            )
            advice = (
                f"did you mean {self._prefix}{near[0]}" if near else "remove it or correct its name"
            )
            question = "?" if near else "."
            self._faults.append(f"{full_name} is not a setting of Roadstead: {advice}{question}")

    def raise_faults(self) -> None:
        """Raise ConfigurationError if anything was wrong."""
        if self._faults:
            raise ConfigurationError(*self._faults)

    def shown(self) -> tuple[Setting, ...]:
        """Return what was read so far, in the order of reading."""
        return tuple(self._shown)

    def _raw(self, name: str) -> str | None:
        full_name = self._prefix + name
        self._known.add(full_name)
        value = self._environ.get(full_name)
        if value is not None and not value.strip():
            self._faults.append(f"{full_name} is empty: give it a value or unset it.")
            return None
        return None if value is None else value.strip()

    def _secret(self, name: str) -> tuple[str | None, str | None]:
        """Return the value and, if it came from a file, where from."""
        value = self._raw(name)
        file_name = self._raw(f"{name}_FILE")
        if file_name is None:
            return value, None
        full_name = f"{self._prefix}{name}"
        if value is not None:
            self._faults.append(
                f"{full_name} and {full_name}_FILE are both set: unset one of them."
            )
            return value, None
        try:
            content = Path(file_name).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self._fault(f"{name}_FILE", file_name, f"name a readable file ({reason})")
            return None, None
        if not content:
            self._fault(f"{name}_FILE", file_name, "name a file that is not empty")
            return None, None
        return content, f"file {file_name}"

    def _show(
        self, name: str, value: str | None, default: str, meaning: str, origin: str | None = None
    ) -> None:
        came_from = origin or ("environment" if value is not None else "default")
        shown = (default if value is None else value) or "(none)"
        self._shown.append(Setting(self._prefix + name, shown, came_from, meaning))

    def _fault(self, name: str, value: str, advice: str) -> None:
        self._faults.append(f"{self._prefix}{name} cannot be {value!r}: {advice}.")


def masked_url(url: str) -> str:
    """Return `url` with its passwords, also those among its parameters, replaced by a mask.

    Of one that cannot be taken apart only the scheme is left: the rest may be a password.
    """
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url)
    if scheme is None:
        return MASK
    parts = _split(url)
    # A password with a character that nobody encoded moves the end of the host into it.
    if parts is None or parts.fragment or "@" in parts.path + parts.query:
        return f"{scheme[0]}{MASK}"
    user, at, host = parts.netloc.rpartition("@")
    if parts.password is not None:
        user = f"{user.partition(':')[0]}:{MASK}"
    query = "&".join(_masked_parameter(parameter) for parameter in parts.query.split("&"))
    return f"{scheme[0]}{user}{at}{host}{parts.path}{'?' if query else ''}{query}"


def _masked_parameter(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    return f"{name}={MASK}" if equals and unquote(name).lower() in SECRET_PARAMETERS else parameter


def stored_secret(path: Path) -> str:
    """Return the secret kept in `path`, making it (mode 0600) when there is none.

    Two processes that start together end up with the same secret: the file is
    linked into place whole, and the one that comes second reads the first one's.
    Raises ConfigurationError when the file can be neither read nor made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            own = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(SECRET_KEY_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(own, path)
            except FileExistsError:
                pass
            finally:
                own.unlink()
        content = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be used ({error.strerror}): make its directory writable or set "
            "ROADSTEAD_DATA_DIR to another one."
        ) from error
    if not content:
        raise ConfigurationError(f"{path} is empty: remove it, and a new key is made.")
    return content


def _split(url: str) -> SplitResult | None:
    """Return the parts of `url`, or None when it is malformed or its port is no number."""
    try:
        parts = urlsplit(url)
        usable = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts if usable else None
