"""Layouts of datasets on disk, one module each: does a folder have it, and what is in it."""
