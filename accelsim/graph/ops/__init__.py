"""Operators, one a file: the shapes and elements that they form, and the work that they are."""
