"""What the names of image files say, as the datasets of this field write them."""

import re

# Identity and camera in Market-1501, DukeMTMC and LLCM: 0002_c1s1_000451_03.jpg, 0005_c2_f0046985.jpg,
# 0001_c03_s171429_f12990_nir.jpg; Market-1501 calls what is no person -1.
PERSON_AND_CAMERA = re.compile(r"(-?\d+)_c(\d+)")
