"""Your own files: a folder with real/ and fake/, or a CSV with paths and labels."""
