"""The phenotype network (conditional VAE) and the independent-marginals baseline."""
