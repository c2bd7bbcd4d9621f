"""Self-contained report pages: blocks, charts and a glossary, written as HTML and as Markdown."""
