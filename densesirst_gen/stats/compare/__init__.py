"""Two datasets side by side."""
