"""All pages: one module a route."""
