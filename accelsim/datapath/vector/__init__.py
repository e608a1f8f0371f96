"""The vector unit's kernels in integers and static shifts: what each computes, its passes, and its events."""
