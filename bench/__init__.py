"""The benchmark: Roadstead beside the Go reference registry, under the same load.

A tool for people who work on Roadstead; not part of what is installed. `make bench` runs it, and
docs/performance.md tells how it measures and what came out.
"""
