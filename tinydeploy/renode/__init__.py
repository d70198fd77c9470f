"""Renode: what it calls things, the files that describe a board to it, the program itself."""
