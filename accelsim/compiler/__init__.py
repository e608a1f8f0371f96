"""From an integer network to a program for a machine: a list of passes."""
