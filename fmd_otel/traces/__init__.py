"""The steps of a request, kept where somebody will want to see them."""
