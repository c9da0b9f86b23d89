"""COCO annotation files, read and written: short ones whole, long ones record by record."""
