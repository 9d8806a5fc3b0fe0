"""What is measured, in one form; by which written goal it is judged; what it is called in each language."""
