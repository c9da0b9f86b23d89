"""Bytes on disk, whole or not at all: encoding, folders that resume, processes."""
