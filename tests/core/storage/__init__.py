"""Tests of the blob drivers; ``suite`` holds what every driver must pass."""
