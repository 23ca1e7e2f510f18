"""The battery: one check a file, the file name is its id."""
