"""How a page is written: markup, tables, and plots over days."""
