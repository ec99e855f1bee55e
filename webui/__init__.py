"""The server-rendered web pages: views and templates over queries and services."""
