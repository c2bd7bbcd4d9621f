"""Behaviour of builders and stakers: production, news, valuation, and closed forms. Pure functions of numbers."""
