"""Pure helpers without Django: errors, clock, origin of a request, secret formats, patterns."""
