"""A page in the browser: search a gallery by an image, mix two images, and see the figures of a run."""
