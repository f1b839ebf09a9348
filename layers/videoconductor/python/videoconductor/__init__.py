"""VideoConductor: one clip request in, one MP4 in your own S3 out, paid for once."""

__version__ = "0.1.0"
