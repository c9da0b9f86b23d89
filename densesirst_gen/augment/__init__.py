"""The method while training."""
