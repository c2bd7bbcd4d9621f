"""Allocation rule of a user."""


def by_price(market):
    """Emission by the spot price."""
    total = market.spot_price.sum()
    return market.spot_price / total if total > 0.0 else 0.0 * market.spot_price
