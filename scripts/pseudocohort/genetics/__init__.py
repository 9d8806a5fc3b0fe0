"""Traits, association, effect weights and scores."""
