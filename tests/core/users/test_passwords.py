import bcrypt
import pytest
from django.contrib.auth import hashers

from core.users import passwords, rules
from core.users.errors import PasswordHashInvalid
from tests.factories.users import PASSWORD


def bcrypt_line(password: str, mark: str = "$2y$") -> str:
    """Return the hash as htpasswd -B writes it."""
    encoded = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    return encoded.replace("$2b$", mark, 1)


def test_hashes_are_argon2id_and_checked() -> None:
    stored = passwords.hash_password(PASSWORD)
    assert stored.startswith("argon2$argon2id$")
    assert passwords.is_correct(PASSWORD, stored)
    assert not passwords.is_correct(PASSWORD + "x", stored)
    assert not passwords.needs_rehash(stored)


@pytest.mark.parametrize("mark", ["$2y$", "$2a$", "$2b$"])
def test_imported_hashes_are_checked(mark: str) -> None:
    stored = passwords.imported_hash(bcrypt_line("old secret", mark))
    assert passwords.is_correct("old secret", stored)
    assert not passwords.is_correct("other", stored)
    assert not passwords.is_correct("nul\x00", stored)
    assert passwords.needs_rehash(stored)


def test_a_long_imported_password_is_cut_where_htpasswd_cut_it() -> None:
    long = "x" * 100
    assert passwords.is_correct(long, passwords.imported_hash(bcrypt_line(long)))


@pytest.mark.parametrize("stored", [None, "", "!unusable", "md5$salt$hash"])
def test_nothing_matches_a_missing_or_unknown_hash(stored: str | None) -> None:
    assert not passwords.is_correct(PASSWORD, stored)


def test_every_no_costs_one_slow_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[str] = []
    check = hashers.check_password

    def counting_check(password: str, encoded: str) -> bool:
        spent.append(encoded)
        return check(password, encoded)

    argon2, imported = passwords.hash_password(PASSWORD), passwords.imported_hash(bcrypt_line("a"))
    monkeypatch.setattr(passwords, "check_password", counting_check)
    for stored in (None, argon2, imported, "!"):
        spent.clear()
        assert not passwords.is_correct("wrong", stored)
        assert [encoded.startswith("argon2$") for encoded in spent] == [True]


def test_only_bcrypt_is_imported() -> None:
    with pytest.raises(PasswordHashInvalid):
        passwords.imported_hash("{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=")


@pytest.mark.parametrize("mark", ["$2y$", "$2a$", "$2b$"])
def test_a_damaged_bcrypt_hash_is_not_imported(mark: str) -> None:
    good = bcrypt_line("a", mark)
    # The last character of a salt carries two bits; with others it cannot be read.
    damaged = good[:28] + "/" + good[29:]
    with pytest.raises(PasswordHashInvalid):
        passwords.imported_hash(damaged)
    with pytest.raises(PasswordHashInvalid):
        passwords.imported_hash(damaged.replace("$04$", "$16$", 1))


def test_generated_passwords_meet_the_rule_and_differ() -> None:
    generated = {passwords.generate_password() for _ in range(50)}
    assert len(generated) == 50
    for password in generated:
        assert len(password) >= 20
        rules.ensure_valid_password(password)
