"""What the vector unit makes of operators, one operator a file."""
