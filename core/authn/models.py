"""Tables of credentials other than passwords, and of what guards logins."""

from django.conf import settings
from django.db import models


class PersonalToken(models.Model):
    """A user's personal access token: named, scoped, expiring, stored as SHA-256.

    ``scopes`` is a list of scope names (``core.rbac.rules.SCOPES``); ``project_names`` limits
    the token to these projects when not empty. ``hint`` keeps the last four characters.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="personal_tokens",
    )
    name = models.CharField(max_length=255)
    description = models.CharField(max_length=1024, blank=True)
    secret_hash = models.BinaryField(max_length=32, unique=True)
    hint = models.CharField(max_length=4)
    scopes = models.JSONField(default=list)
    project_names = models.JSONField(default=list)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, db_index=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    last_used_address = models.GenericIPAddressField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "user",
                "name",
                condition=models.Q(revoked_at=None),
                name="authn_personaltoken_name_unique",
            ),
        )


class RefreshToken(models.Model):
    """A long-lived token that docker keeps instead of a password (``identitytoken``).

    It ends when it expires, when it is revoked, and when the credentials of its subject are
    revoked after its ``generation`` (``core.users.revocations``): a changed password, a disabled
    account and a rotated robot secret all do that. One that was issued for a personal access
    token carries that token's limits and dies with it. Each use moves ``expires_at``, but never
    past ``ends_at``, the end of the credentials it was issued for; None when they had none.
    """

    subject = models.CharField(max_length=64, db_index=True)
    subject_label = models.CharField(max_length=512)
    secret_hash = models.BinaryField(max_length=32, unique=True)
    personal_token = models.ForeignKey(
        PersonalToken,
        on_delete=models.CASCADE,
        null=True,
        related_name="refresh_tokens",
    )
    client = models.CharField(max_length=255, blank=True)
    generation = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    ends_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)


class BrowserSession(models.Model):
    """A login with a password that a browser keeps as a cookie, whose secret is stored hashed.

    It ends when nobody uses it for as long as the settings say, when it is revoked, and when the
    credentials of its user are revoked after its ``generation``, like a refresh token.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    secret_hash = models.BinaryField(max_length=32, unique=True)
    generation = models.BigIntegerField()
    address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=512, blank=True)
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(db_index=True)


class SigningKey(models.Model):
    """An ES256 key pair for registry tokens; the private half is encrypted at rest.

    The newest key whose ``activates_at`` has passed signs; every key not yet retired
    verifies. ``key_id`` is the RFC 7638 thumbprint.
    """

    key_id = models.CharField(max_length=64, unique=True)
    private_key_encrypted = models.BinaryField()
    public_jwk = models.JSONField()
    created_at = models.DateTimeField()
    activates_at = models.DateTimeField()
    retires_at = models.DateTimeField(null=True)


class LoginFailure(models.Model):
    """A rejected login. Equal attempts within two seconds are one row (containerd tries twice).

    ``attempt`` is a keyed fingerprint of name, secret and the two-second window, so that
    nothing about the tried secret can be learned from the table.
    """

    username = models.CharField(max_length=255)
    address = models.CharField(max_length=64)
    attempt = models.BinaryField(max_length=32, unique=True)
    failed_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = (
            models.Index("username", "failed_at", name="authn_loginfailure_username"),
            models.Index("address", "failed_at", name="authn_loginfailure_address"),
        )
