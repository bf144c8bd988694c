"""Who a person is, what the person wears, and how the person is painted."""
