"""The compute units: what each computes, in how many cycles, at the cost of which events."""
