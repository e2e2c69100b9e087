"""A campaign's report: results as JSON and CSV, figures, and a summary in Markdown."""
