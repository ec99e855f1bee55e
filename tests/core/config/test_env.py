"""Every setting has a default, a check, and a sentence for whoever gets it wrong."""

import ipaddress
import stat
from pathlib import Path

import pytest

from core.config import env
from core.config.env import ConfigurationError, load
from core.config.reader import MASK, masked_url, stored_secret

pytestmark = pytest.mark.pure


def fault(**variables: str) -> str:
    """Return the one sentence that these settings are refused with."""
    with pytest.raises(ConfigurationError) as caught:
        load({f"ROADSTEAD_{name}": value for name, value in variables.items()})
    assert len(caught.value.faults) == 1, caught.value.faults
    return caught.value.faults[0]


def test_defaults_need_no_variable() -> None:
    environment = load({"HOME": "/root", "PATH": "/bin"})
    assert environment.server.host == "127.0.0.1"
    assert environment.server.port == 5000
    assert environment.server.data_dir == Path("data").absolute()
    assert environment.storage.directory == environment.server.data_dir / "storage"
    assert environment.database.embedded
    assert environment.broker.embedded
    assert environment.auth.token_lifetime_seconds == 900
    assert environment.auth.robot_name_prefix == "robot-"
    assert environment.limits.upload_lifetime_seconds == 604_800
    assert environment.server.trusted_proxies == ()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"PORT": "http"},
            "ROADSTEAD_PORT cannot be 'http': set it to a whole number from 1 to 65535.",
        ),
        (
            {"PORT": "70000"},
            "ROADSTEAD_PORT cannot be '70000': set it to a whole number from 1 to 65535.",
        ),
        (
            {"WORKERS": "0"},
            "ROADSTEAD_WORKERS cannot be '0': set it to a whole number from 1 to 256.",
        ),
        ({"HOST": " "}, "ROADSTEAD_HOST is empty: give it a value or unset it."),
        (
            {"LOG_LEVEL": "loud"},
            "ROADSTEAD_LOG_LEVEL cannot be 'loud': set it to one of debug, info, warning, error.",
        ),
        (
            {"DEBUG": "perhaps"},
            "ROADSTEAD_DEBUG cannot be 'perhaps': set it to one of true, false.",
        ),
        (
            {"EXTERNAL_URL": "registry.example.org"},
            "ROADSTEAD_EXTERNAL_URL cannot be 'registry.example.org': "
            "write it as https://registry.example.org without a path.",
        ),
        (
            {"EXTERNAL_URL": "https://example.org/registry"},
            "ROADSTEAD_EXTERNAL_URL cannot be 'https://example.org/registry': "
            "write it as https://registry.example.org without a path.",
        ),
        (
            {"DATABASE_URL": "postgresql://user:hidden@host/name?channel_binding=require"},
            "ROADSTEAD_DATABASE_URL has channel_binding, which the connections for pulls cannot "
            "honour: leave it out.",
        ),
        (
            {"DATABASE_URL": "mysql://user:hidden@host/name"},
            f"ROADSTEAD_DATABASE_URL cannot be 'mysql://user:{MASK}@host/name': "
            "write it as postgresql://user:password@host:5432/roadstead.",
        ),
        (
            {"REDIS_URL": "redis://host:port/0"},
            f"ROADSTEAD_REDIS_URL cannot be 'redis://{MASK}': write it as redis://host:6379/0.",
        ),
        (
            {"TRUSTED_PROXIES": "10.0.0.0/8,proxy"},
            "ROADSTEAD_TRUSTED_PROXIES cannot be 'proxy': "
            "write networks as 10.0.0.0/8,192.168.1.5,fd00::/8.",
        ),
        (
            {"ROBOT_NAME_PREFIX": "-robot"},
            "ROADSTEAD_ROBOT_NAME_PREFIX cannot be '-robot': it must begin with a letter or "
            "digit and hold at most 32 letters, digits or . _ $ + -.",
        ),
        (
            {"ADMIN_PASSWORD": "short"},
            "ROADSTEAD_ADMIN_PASSWORD is too short: use at least 8 characters.",
        ),
        (
            {"PRT": "1"},
            "ROADSTEAD_PRT is not a setting of Roadstead: did you mean ROADSTEAD_PORT?",
        ),
        (
            {"COLOUR_OF_SHED": "1"},
            "ROADSTEAD_COLOUR_OF_SHED is not a setting of Roadstead: "
            "remove it or correct its name.",
        ),
        (
            {"SECRET_KEY_FILE": "/nonexistent/key"},
            "ROADSTEAD_SECRET_KEY_FILE cannot be '/nonexistent/key': "
            "name a readable file (No such file or directory).",
        ),
        (
            {"SECRET_KEY": "x" * 32, "SECRET_KEY_FILE": "/dev/null"},
            "ROADSTEAD_SECRET_KEY and ROADSTEAD_SECRET_KEY_FILE are both set: unset one of them.",
        ),
        (
            {"SECRET_KEY_FILE": "/dev/null"},
            "ROADSTEAD_SECRET_KEY_FILE cannot be '/dev/null': name a file that is not empty.",
        ),
    ],
)
def test_a_wrong_setting_gives_one_sentence(variables: dict[str, str], sentence: str) -> None:
    assert fault(**variables) == sentence


def test_threads_that_the_embedded_database_cannot_serve_are_refused() -> None:
    assert fault(WORKERS="11") == (
        "11 web processes with these threads need 416 database connections, and the embedded "
        "PostgreSQL has 400: lower ROADSTEAD_WORKERS, ROADSTEAD_REGISTRY_THREADS or "
        "ROADSTEAD_MANAGEMENT_THREADS, or set ROADSTEAD_DATABASE_URL."
    )
    assert load({"ROADSTEAD_WORKERS": "10"}).server.workers == 10
    elsewhere = {"ROADSTEAD_WORKERS": "100", "ROADSTEAD_DATABASE_URL": "postgresql://a@b/c"}
    assert load(elsewhere).server.workers == 100


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"ROADSTEAD_PORT": "x", "ROADSTEAD_WORKERS": "x", "ROADSTEAD_NOTHING": "x"})
    assert len(caught.value.faults) == 3


def test_a_file_gives_a_secret_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    environment = load({"ROADSTEAD_ADMIN_PASSWORD_FILE": str(file)})
    assert environment.auth.administrator_password == "correct horse"


def test_a_file_gives_the_database_address(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://a:b@c/d")
    environment = load({"ROADSTEAD_DATABASE_URL_FILE": str(file)})
    assert environment.database.url == "postgresql://a:b@c/d"
    assert not environment.database.embedded


def test_shown_settings_hold_no_secret() -> None:
    environment = load(
        {
            "ROADSTEAD_ADMIN_PASSWORD": "hidden-one",
            "ROADSTEAD_SECRET_KEY": "hidden-two" * 4,
            "ROADSTEAD_DATABASE_URL": "postgresql://user:hidden-three@host/name",
            "ROADSTEAD_REDIS_URL": "redis://:hidden-four@host/0",
        }
    )
    printed = " ".join(f"{setting.value} {setting.origin}" for setting in environment.shown)
    assert "hidden" not in printed
    assert "user" in printed


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user@host/name", "postgresql://user@host/name"),
        (
            "postgresql://user:hidden@host/name?sslmode=require&sslpassword=hidden",
            f"postgresql://user:{MASK}@host/name?sslmode=require&sslpassword={MASK}",
        ),
        ("postgresql:///name?PASSWORD=hidden", f"postgresql:///name?PASSWORD={MASK}"),
        ("postgresql:///name?pass%77ord=hidden", f"postgresql:///name?pass%77ord={MASK}"),
        ("postgresql:///name?passfile=/hidden", f"postgresql:///name?passfile={MASK}"),
        ("redis://host/0?password=hidden", f"redis://host/0?password={MASK}"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
        # A password whose special characters nobody encoded.
        ("postgresql://user:hid/den@host:5432/name", f"postgresql://{MASK}"),
        ("postgresql://user:12/hidden@host/name", f"postgresql://{MASK}"),
        ("postgresql://user:#hidden@host/name", f"postgresql://{MASK}"),
        ("postgresql://user:hid[den@host/name", f"postgresql://{MASK}"),
        ("hidden", MASK),
        ("user:hidden@host", MASK),
    ],
)
def test_a_masked_address_holds_no_secret(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_shown_settings_say_where_they_come_from(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse")
    shown = {
        setting.name: setting.origin
        for setting in load(
            {"ROADSTEAD_PORT": "1", "ROADSTEAD_ADMIN_PASSWORD_FILE": str(file)}
        ).shown
    }
    assert shown["ROADSTEAD_PORT"] == "environment"
    assert shown["ROADSTEAD_HOST"] == "default"
    assert shown["ROADSTEAD_ADMIN_PASSWORD"] == f"file {file}"


def test_every_setting_has_a_meaning() -> None:
    assert all(setting.meaning.endswith(".") for setting in load({}).shown)


def test_networks_and_lone_addresses() -> None:
    environment = load({"ROADSTEAD_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.7,fd00::/8"})
    assert environment.server.trusted_proxies == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("192.0.2.7/32"),
        ipaddress.ip_network("fd00::/8"),
    )


@pytest.mark.parametrize(
    ("given", "celery"),
    [
        ("redis://host:6379/1", "redis://host:6379/1"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
    ],
)
def test_redis_address_for_client_and_celery(given: str, celery: str) -> None:
    broker = load({"ROADSTEAD_REDIS_URL": given}).broker
    assert broker.client_url == given
    assert broker.url == celery


def test_override_reaches_this_process_and_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADSTEAD_PORT", "5000")
    env.override(port="5055", host=None)
    try:
        assert env.current().server.port == 5055
        assert env.child_environment()["ROADSTEAD_PORT"] == "5055"
    finally:
        monkeypatch.undo()
        env.current.cache_clear()


def test_masked_url_leaves_the_rest_alone() -> None:
    assert masked_url("postgresql://a:b@c:1/d?x=y") == f"postgresql://a:{MASK}@c:1/d?x=y"
    assert masked_url("postgresql://c/d") == "postgresql://c/d"


def test_the_secret_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret_key"
    first = stored_secret(path)
    assert len(first) >= 50
    assert stored_secret(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret_key"]


def test_an_empty_secret_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.write_text("")
    with pytest.raises(ConfigurationError, match="is empty: remove it, and a new key is made"):
        stored_secret(path)


def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="make its directory writable or set"):
        stored_secret(tmp_path / "file" / "secret_key")
