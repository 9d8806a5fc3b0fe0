"""Effect weights learnt on the training people: mixed model, sampler, cross-fitting."""
