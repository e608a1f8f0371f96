"""Schemes that change a network without changing what it computes, so that less is lost when it is quantized."""
