"""Networks as they were trained: float weights, data and task."""
