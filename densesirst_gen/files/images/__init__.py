"""Image files: bytes to arrays and back, whatever wrote them."""
