"""Networks as graphs: values that know what their numbers stand for, nodes that form values from values."""
