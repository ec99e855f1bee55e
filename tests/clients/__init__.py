"""Real registry clients against a real server: skopeo, podman, buildah and docker.

Each client works on a machine of its own: a temporary directory with its stores, its
credentials and its configuration. Images are made on the spot, nothing is fetched from
elsewhere. `images` makes them, `programs` runs the clients, `skopeo`, `containers` and
`docker` hide how they differ, `management` sets up people and projects through the REST API,
`protocol` speaks to the registry without a client, `records` looks into the database.
"""
