"""Predictions against a dataset, with numpy alone."""
