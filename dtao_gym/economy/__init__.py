"""What people do: how value moves and what stakers think a token is worth. Pure functions of numbers."""
