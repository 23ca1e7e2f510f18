"""From results.json to pages: view (all formatting and rounding), then html, pdf and markdown."""
