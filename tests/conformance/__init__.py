"""The distribution specification against a running server: our own checks, and the OCI suite."""
