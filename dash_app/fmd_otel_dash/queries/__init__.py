"""Store to frozen dataclasses: what a page wants to know, asked in SQL; nothing about how it is drawn."""
