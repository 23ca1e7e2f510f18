"""Commands: parse, call, print, exit. One command a file; heavy imports inside functions."""
