"""What single files of labels say: XML, lines, JSON, outlines and run lengths."""
