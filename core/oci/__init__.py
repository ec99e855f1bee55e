"""Pure vocabulary of the OCI specifications: digests, references, media types, manifests."""
