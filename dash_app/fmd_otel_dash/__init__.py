"""Rows in, pages out: queries, figures, components and pages of the dashboard."""
