"""Management routes of repositories, artifacts, tags and their history.

``scope`` is the base of every view below a repository, ``filters`` says what lists show and
in which order, ``bulk`` reads what a page of rows needs beside the rows themselves.
"""
