"""A scene, and what follows from it: arithmetic on arrays, no files."""
