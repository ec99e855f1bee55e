"""Registry tokens, made older: `python -m tests.faults.aging SECONDS` beside a server.

It takes a token from its input and prints the same token as if it had been issued so long ago,
signed with the server's key.
"""

import subprocess
import sys

import django
import jwt

from tests.support.server import REPOSITORY_ROOT, RunningServer


def aged(server: RunningServer, token: str, *, seconds: int) -> str:
    """Return a token of the server as if it had been issued so long ago."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.aging", str(seconds)],
        env=server.environment(),
        cwd=REPOSITORY_ROOT,
        input=token,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def main() -> None:
    """Print the older token, signed with the settings of the environment."""
    # The order is that of every process of the product: settings first, then the features.
    from core.config.env import use_django_settings

    use_django_settings()
    django.setup()
    from core.authn.signing_keys import KEY_RING

    claims = jwt.decode(sys.stdin.read().strip(), options={"verify_signature": False})
    for instant in ("iat", "nbf", "exp"):
        claims[instant] -= int(sys.argv[1])
    sys.stdout.write(KEY_RING.signer().sign(claims) + "\n")


if __name__ == "__main__":
    main()
