"""How explanations and checks look: sheets of tiles, heatmaps laid over images, charts."""
