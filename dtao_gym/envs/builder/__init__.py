"""The builder: a subnet owner who divides a budget between product, research and influence."""
