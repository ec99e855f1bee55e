"""Management route of the system's CVE allowlist, and how lists look in projects."""
