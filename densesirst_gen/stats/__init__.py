"""The numbers of a dataset: measured, compared with another's, reported."""
