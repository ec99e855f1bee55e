"""What `roadstead serve` prints once it answers: address, first password, what to type next."""

from core.config.env import Environment

ADMINISTRATOR = "admin"


def welcome(environment: Environment, new_password: str | None) -> str:
    """Return the lines to print; `new_password` is that of an administrator made just now."""
    server = environment.server
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104  # compared
    host = f"[{host}]" if ":" in host else host
    url = server.external_url or f"http://{host}:{server.port}"
    registry = url.partition("://")[2]
    insecure = "" if url.startswith("https://") else " --tls-verify=false"
    lines = ["", f"Roadstead is ready at {url}", f"  Data: {server.data_dir}"]
    lines.append(f"  Administrator: {ADMINISTRATOR}")
    if new_password is not None:
        lines.append(f"  Password:      {new_password}   (shown only this once)")
    lines += [
        "",
        "Log in with one of:",
        f"  docker login {registry} -u {ADMINISTRATOR}",
        f"  podman login{insecure} {registry} -u {ADMINISTRATOR}",
        "",
        "Ctrl-C stops the server.",
        "",
    ]
    return "\n".join(lines)
