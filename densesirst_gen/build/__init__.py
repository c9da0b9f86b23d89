"""The method into a dataset on disk, and back."""
