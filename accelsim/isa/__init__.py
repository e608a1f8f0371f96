"""The instruction set and the program: all that compiler and simulator share."""
