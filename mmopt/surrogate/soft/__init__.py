"""How a soft law is computed: corners of regions, weights that separate them, the proof of its errors, growth from planes."""
