"""Labels of datasets: from any layout that is read into others, and checked."""
