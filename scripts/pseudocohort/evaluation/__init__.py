"""Real against pseudo, beside the noise floor of two real halves."""
