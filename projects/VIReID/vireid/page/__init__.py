"""A page in the browser: search a gallery by an image, mix two images, and see the figures of a run.

Importing it keeps Gradio, which is imported afterwards, from telling anyone that it is used and from looking
for newer versions. Gradio's cache is a folder of this process, which goes with it.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Of what is uploaded, and of the pictures that the page makes. The page opens and serves no other files.
FOLDER = Path(tempfile.mkdtemp(prefix="vireid-page-")).resolve()
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

os.environ["GRADIO_TEMP_DIR"] = str(FOLDER)
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
