"""The parts of a dataset, and the names by which others mean its scenes."""
