"""Management routes of repositories, artifacts, tags and their history.

``artifact_views`` has the routes below a repository and ``scope`` is their base; ``filters``
says what lists show and in which order; ``bulk`` reads what a page of rows needs beside the
rows themselves.
"""
