"""Behaviour of builders and stakers as pure functions: production, news, valuation, closed forms."""
