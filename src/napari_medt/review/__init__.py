"""What happens after the click: provenance, and later measurement and export."""
