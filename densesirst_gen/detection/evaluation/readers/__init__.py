"""One reader a format: what the file says, before anybody asks which scenes are meant."""
