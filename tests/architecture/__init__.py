"""Tests of the shape of the code: they read it, and run none of it if they can avoid to."""
