"""The method: decide what to paste where, then paste it. No files, no sky network."""
