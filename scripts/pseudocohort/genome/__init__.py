"""Mendelian reproduction: pedigree, meiosis, mosaic, transmission."""
