"""Pictures of a clip: a frame of it, its poster, and a thumbnail with text set on it.

`frames.frame_of` and `reading.picture_of` get a picture, `compose.poster` and `compose.thumbnail`
make a JPEG of it. What cannot be had or read raises NoFrame.
"""
