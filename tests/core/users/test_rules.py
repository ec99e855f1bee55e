import pytest

from core.common.errors import DomainError
from core.users import rules
from core.users.errors import (
    GroupNameInvalid,
    PasswordHashInvalid,
    PasswordInvalid,
    ProfileInvalid,
    UsernameInvalid,
)

pytestmark = pytest.mark.pure

BCRYPT = "$2y$05$" + "a" * 53


@pytest.mark.parametrize(
    "username", ["a", "alice", "Alice.Smith", "a@example.org", "ünï", "x" * 255, "robot"]
)
def test_ordinary_names_are_valid(username: str) -> None:
    rules.ensure_valid_username(username, robot_name_prefix="robot-")


@pytest.mark.parametrize(
    "username",
    [
        "",
        "x" * 256,
        "two words",
        "tab\t",
        "nul\x00",
        "line\n",
        "colon:",
        "comma,",
        'quote"',
        "tilde~",
        "hash#",
        "percent%",
        "dollar$",
        "\u00a0",
        "\ud800",
        "robot-ci",
        "Robot-CI",
    ],
)
def test_names_that_could_not_log_in_are_refused(username: str) -> None:
    with pytest.raises(UsernameInvalid):
        rules.ensure_valid_username(username, robot_name_prefix="robot-")


@pytest.mark.parametrize(
    "password", ["Harbor12345", "Aa345678", "Ää3" + "x" * 125, "Aa 3 \u00a0 \U0001f600 "]
)
def test_passwords_that_meet_the_rule(password: str) -> None:
    rules.ensure_valid_password(password)


@pytest.mark.parametrize(
    "password",
    [
        "Aa34567",
        "Aa3" + "x" * 126,
        "aa345678",
        "AA345678",
        "Aabcdefgh",
        "Aa345678\x00",
        "",
        "Abcdefg1\n",
        "Abc\tdefg1",
        "\x1bAbcdefg1",
        "Abcdefg1\x7f",
        "Abcdefg1\x85",
    ],
)
def test_weak_passwords_are_refused_without_being_repeated(password: str) -> None:
    with pytest.raises(PasswordInvalid) as caught:
        rules.ensure_valid_password(password)
    assert caught.value.detail is None
    assert not password or password not in caught.value.message


@pytest.mark.parametrize(
    "profile",
    [
        {"email": "no-at-sign"},
        {"email": "two words@example.org"},
        {"email": "x" * 250 + "@example.org"},
        {"real_name": "x" * 256},
        {"comment": "nul\x00"},
    ],
)
def test_profiles_that_cannot_be_stored_are_refused(profile: dict[str, str]) -> None:
    with pytest.raises(ProfileInvalid):
        rules.ensure_valid_profile(**{"email": "", "real_name": "", "comment": "", **profile})


def test_an_empty_profile_is_valid() -> None:
    rules.ensure_valid_profile(email="", real_name="", comment="")
    rules.ensure_valid_profile(email="a@example.org", real_name="Ä b", comment="c")


@pytest.mark.parametrize("name", ["", "  ", "x" * 151, "line\nfeed"])
def test_group_names_that_are_refused(name: str) -> None:
    with pytest.raises(GroupNameInvalid):
        rules.ensure_valid_group_name(name)


def test_group_names_may_hold_spaces() -> None:
    rules.ensure_valid_group_name("Platform team")


@pytest.mark.parametrize(
    "password_hash",
    [BCRYPT, BCRYPT.replace("$2y$", "$2b$"), BCRYPT.replace("$2y$", "$2a$")],
)
def test_bcrypt_hashes_are_known(password_hash: str) -> None:
    rules.ensure_bcrypt(password_hash)


@pytest.mark.parametrize(
    "password_hash",
    ["", "{SHA}abc", "$apr1$x$y", BCRYPT[:-1], BCRYPT + "a", BCRYPT.replace("05", "31"), "plain"],
)
def test_other_hashes_are_refused(password_hash: str) -> None:
    with pytest.raises(PasswordHashInvalid):
        rules.ensure_bcrypt(password_hash)


def test_errors_of_the_feature_have_codes_of_their_own() -> None:
    from core.users import errors

    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, DomainError) and value is not DomainError
    ]
    assert len({error.code for error in classes}) == len(classes)
