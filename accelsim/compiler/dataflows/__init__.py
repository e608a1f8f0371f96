"""How each datapath wants its products: one datapath a file."""
