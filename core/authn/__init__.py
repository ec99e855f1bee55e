"""Proving who calls: passwords, personal access tokens, refresh tokens, registry tokens.

Words: *credentials* (a name and a secret as presented), *authenticator* (a module that turns
credentials into an actor; the ordered setting ``AUTHENTICATORS`` names them), *personal access
token*, *refresh token* (docker's identity token), *registry token* (a signed JWT for the
distribution API), *browser session* (a login that a browser keeps as a cookie), *signing key*,
*login failure* (counted for throttling).
Neighbours: ``users`` below; ``robots`` contributes an authenticator from above.

Slots of its own, each one mechanism that several of the ordinary slots use:
``token_authenticator.py`` and ``password_authenticator.py`` are named in settings;
``authenticators.py`` says what such a module offers; ``recent_keys.py`` remembers a bounded
number of keys for a time; ``guessable_secrets.py`` verifies what somebody
chose and ``password_memory.py`` spares it repeated slow hashes;
``token_limits.py`` binds personal access tokens to projects that there are;
``browser_sessions.py`` begins, recalls and ends sessions; ``throttle.py`` counts failed logins;
``unstored_failures.py`` keeps those that a read-only database cannot take;
``derived_keys.py`` turns the installation's secret key into keys for one purpose each;
``login_records.py`` audits the logins that succeed;
``signing_keys.py`` and ``registry_tokens.py`` issue and verify registry tokens.
"""
