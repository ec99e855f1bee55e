"""Proving who calls: passwords, personal access tokens, refresh tokens, registry tokens.

Words: *credentials* (a name and a secret as presented), *authenticator* (turns credentials
into an actor; the ordered setting ``AUTHENTICATORS`` names them), *personal access token*,
*refresh token* (docker's identity token), *registry token* (a signed JWT for the
distribution API), *signing key*, *revocation* (registry tokens of a subject issued before an
instant are refused), *login failure* (counted for throttling).
Neighbours: ``users`` below; ``robots`` contributes an authenticator from above.
"""
