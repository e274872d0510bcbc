"""Store to frozen dataclasses: what each page wants to know, asked in SQL, and nothing about how it is drawn."""
