"""What `stats` says, draws and writes."""
