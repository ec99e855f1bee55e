"""Management routes of repositories, artifacts, tags and their history.

``artifact_views`` has the routes below a repository and ``scope`` is their base; ``bulk_views``
acts on many artifacts at once, and ``usage_views`` says how often they are pulled; ``filters``
says what lists show and in which order; ``bulk`` reads what a page of rows needs beside the
rows themselves.
"""
