"""Phased .pgen files read and written as bits, without a byte an allele in between."""
