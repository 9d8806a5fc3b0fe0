"""Association of traits with sites: engine, results, hits; LD, heritability, principal components."""
