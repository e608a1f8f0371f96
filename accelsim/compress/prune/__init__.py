"""Schemes that set weights to zero; retraining is for the variants of a workload."""
