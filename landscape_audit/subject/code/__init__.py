"""Code that is not ours: the user's and a library's, run so that nothing is left changed."""
